package org.jlatent.nn;

import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * The same values under another shape for each row: {@code [batch, ...]} to {@code [batch,
 * extents]}. No copy.
 */
public final class Reshape implements Layer {
    private final long[] extents;

    /**
     * @param extents of a row; {@code new Reshape(28, 28, 1)} makes images of rows of 784 values
     */
    public Reshape(long... extents) {
        this.extents = extents.clone();
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        long[] full = new long[extents.length + 1];
        full[0] = x.shape().get(0);
        System.arraycopy(extents, 0, full, 1, extents.length);
        return Functions.reshape(tape, x, Shape.of(full));
    }
}
