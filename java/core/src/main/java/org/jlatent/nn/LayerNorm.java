package org.jlatent.nn;

import org.jlatent.NormOps;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * Layer normalization [Ba et al. 2016]: each row gets mean 0 and variance 1 over the last axis,
 * then {@code weight} and {@code bias}.
 *
 * <p>Parameters: {@code weight [channels]}, 1 at the start, and {@code bias [channels]}, 0.
 */
public final class LayerNorm extends Module implements Layer {
    private final Tensor weight;
    private final Tensor bias;

    /**
     * @param channels extent of the last axis
     * @throws ShapeException if {@code channels} is not positive
     */
    public LayerNorm(Init init, long channels) {
        Norms.requireChannels("layer", channels);
        this.weight = parameter("weight", init.scope().filled(Shape.of(channels), 1.0f));
        this.bias = parameter("bias", init.scope().zeros(Shape.of(channels)));
    }

    /**
     * @param x {@code [..., channels]}
     * @return shape of {@code x}
     */
    @Override
    public Tensor forward(Tape tape, Tensor x) {
        return Norms.forward(tape, "layer norm", NormOps.Options.layer(), x, weight, bias, null);
    }
}
