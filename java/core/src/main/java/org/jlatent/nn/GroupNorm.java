package org.jlatent.nn;

import org.jlatent.NormOps;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * Group normalization [Wu, He 2018]: each group of neighbouring channels of an image gets mean 0
 * and variance 1 over all its pixels, then {@code weight} and {@code bias}. As many groups as
 * channels: instance normalization.
 *
 * <p>Parameters: {@code weight [channels]}, 1 at the start, and {@code bias [channels]}, 0.
 */
public final class GroupNorm extends Module implements Layer {
    private final NormOps.Options options;
    private final Tensor weight;
    private final Tensor bias;

    /**
     * @param groups how many; must divide {@code channels}
     * @param channels extent of the last axis
     * @throws ShapeException if {@code groups} does not divide {@code channels}, or these are not
     *     positive
     */
    public GroupNorm(Init init, long groups, long channels) {
        Norms.requireChannels("group", channels);
        if (groups < 1 || channels % groups != 0) {
            throw new ShapeException(
                    "group norm: " + groups + " groups do not divide " + channels + " channels");
        }
        this.options = NormOps.Options.group(groups);
        this.weight = parameter("weight", init.scope().filled(Shape.of(channels), 1.0f));
        this.bias = parameter("bias", init.scope().zeros(Shape.of(channels)));
    }

    /**
     * @param x {@code [images, ..., channels]}
     * @return shape of {@code x}
     */
    @Override
    public Tensor forward(Tape tape, Tensor x) {
        return Norms.forward(tape, "group norm", options, x, weight, bias, null);
    }
}
