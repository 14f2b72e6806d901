package org.jlatent.nn;

import org.jlatent.NormOps;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * Batch normalization [Ioffe, Szegedy 2015]: each channel gets mean 0 and variance 1 over all
 * images and pixels, then {@code weight} and {@code bias}.
 *
 * <p>On a tape that {@linkplain Tape#recording records}, which is training, mean and variance are
 * the batch's own, and the running ones move towards them by {@link #MOMENTUM}, once a call (the
 * variance by the unbiased one; a channel that is not finite moves nothing). On an {@linkplain
 * Tape#inference inference} tape the running ones are used, and stay.
 *
 * <p>Parameters: {@code weight [channels]}, 1 at the start, and {@code bias [channels]}, 0.
 * Buffers: {@code runningMean [channels]}, 0 at the start, and {@code runningVariance [channels]},
 * 1.
 */
public final class BatchNorm extends Module implements Layer {
    /** A new batch's part of the running statistics. */
    public static final float MOMENTUM = 0.1f;

    private static final NormOps.Options OPTIONS = NormOps.Options.batch();

    private final Tensor weight;
    private final Tensor bias;
    private final NormOps.Running running;

    /**
     * @param channels extent of the last axis
     * @throws ShapeException if {@code channels} is not positive
     */
    public BatchNorm(Init init, long channels) {
        Norms.requireChannels("batch", channels);
        Shape shape = Shape.of(channels);
        this.weight = parameter("weight", init.scope().filled(shape, 1.0f));
        this.bias = parameter("bias", init.scope().zeros(shape));
        this.running =
                new NormOps.Running(
                        buffer("runningMean", init.scope().zeros(shape)),
                        buffer("runningVariance", init.scope().filled(shape, 1.0f)),
                        MOMENTUM);
    }

    /** {@code [channels]}; what inference subtracts. */
    public Tensor runningMean() {
        return running.mean();
    }

    /** {@code [channels]}; what inference divides by the root of. */
    public Tensor runningVariance() {
        return running.variance();
    }

    /**
     * @param x {@code [..., channels]}
     * @return shape of {@code x}
     * @throws ShapeException in training, when there is only one value a channel: its variance says
     *     nothing
     */
    @Override
    public Tensor forward(Tape tape, Tensor x) {
        if (!tape.recording()) {
            return NormOps.inference(
                    tape.scope(), OPTIONS, x, weight, bias, running.mean(), running.variance());
        }
        if (x.shape().rows() < 2) {
            throw new ShapeException(
                    "batch norm needs at least two values a channel in training, got x "
                            + x.shape());
        }
        return Norms.forward(tape, "batch norm", OPTIONS, x, weight, bias, running);
    }
}
