package org.jlatent.nn;

import org.jlatent.ShapeException;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * Every pixel of NHWC images repeated by whole factors (nearest neighbour), as a layer.
 *
 * @param factorY down
 * @param factorX across
 */
public record Upsample(int factorY, int factorX) implements Layer {
    public Upsample {
        if (factorY < 1 || factorX < 1) {
            throw new ShapeException(
                    "upsample: factors must be at least 1, got " + factorY + " and " + factorX);
        }
    }

    /**
     * @param x {@code [images, height, width, channels]}
     * @return {@code [images, height factorY, width factorX, channels]}
     */
    @Override
    public Tensor forward(Tape tape, Tensor x) {
        return Functions.upsample(tape, x, factorY, factorX);
    }
}
