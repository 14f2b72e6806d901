package org.jlatent.nn;

import org.jlatent.EmbeddingOps;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * A vector for each code: {@code y = weight[codes]}.
 *
 * <p>Parameter: {@code weight [rows, dims]}, standard normal at the start.
 */
public final class Embedding extends Module implements Layer {
    private final Tensor weight;
    private final Tensor outOfRange;

    public Embedding(Init init, long rows, long dims) {
        if (rows < 1 || dims < 1) {
            throw new ShapeException(
                    "an embedding needs at least one row and column, got " + rows + " and " + dims);
        }
        this.weight = parameter("weight", init.normal(Shape.of(rows, dims), 1));
        this.outOfRange = init.scope().ofInts(Shape.of(1), 0);
    }

    /**
     * @param codes i32, any shape, each in [0, rows); one that is not is an error on the CPU, and
     *     NaN on a GPU, where {@link #outOfRange} counts it
     * @return the codes' shape and {@code dims}
     */
    @Override
    public Tensor forward(Tape tape, Tensor codes) {
        Tensor y = EmbeddingOps.forward(tape.scope(), weight, codes, outOfRange);
        return tape.record(
                "embedding",
                weight,
                y,
                dy -> EmbeddingOps.backward(tape.scope(), codes, dy, weight.shape().get(0)));
    }

    /** Its rows, {@code [rows, dims]}. */
    public Tensor table() {
        return weight;
    }

    /**
     * Codes met so far that no row had; always 0 on the CPU, which refuses them. Waits for the
     * device.
     */
    public int outOfRange() {
        return outOfRange.toIntArray()[0];
    }
}
