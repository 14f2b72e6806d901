package org.jlatent;

import static org.jlatent.Checks.address;
import static org.jlatent.Checks.floats;
import static org.jlatent.Checks.require;
import static org.jlatent.Checks.requireOptional;

import org.jlatent.internal.L2NormalizeKernels;
import org.jlatent.internal.NormKernels;

/**
 * Layer, group, instance and batch normalization, as operations on tensors; formulas in
 * kernels/norm/norm.h. The last axis holds the channels. And rows of length 1.
 *
 * <p>Every method throws {@link ShapeException} when a shape does not fit or tensors live on
 * different devices, and {@link DeviceException} when the device fails.
 */
public final class NormOps {
    private static final float L2_EPSILON = 1e-12f;

    private NormOps() {}

    /** What shares a mean and a variance. */
    public enum Kind {
        /** The last axis of each row [Ba et al. 2016]. */
        LAYER,
        /** A group of neighbouring channels of each image, over all its pixels [Wu, He 2018]. */
        GROUP,
        /** A channel, over all images and pixels [Ioffe, Szegedy 2015]. */
        BATCH
    }

    /**
     * How to normalize.
     *
     * @param kind over what
     * @param groups for {@link Kind#GROUP}: how many, must divide the channels; as many as channels
     *     is instance normalization [Ulyanov et al. 2016]. Else 1
     * @param epsilon added to the variance, positive
     */
    public record Options(Kind kind, long groups, float epsilon) {
        public Options {
            if (groups < 1 || (kind != Kind.GROUP && groups != 1)) {
                throw new IllegalArgumentException(
                        "groups must be "
                                + (kind == Kind.GROUP ? "at least 1" : "1 for " + kind)
                                + ", got "
                                + groups);
            }
            if (!(epsilon > 0) || Float.isInfinite(epsilon)) {
                throw new IllegalArgumentException(
                        "epsilon must be positive and finite, got " + epsilon);
            }
        }

        /** Layer normalization, epsilon 1e-5. */
        public static Options layer() {
            return new Options(Kind.LAYER, 1, 1e-5f);
        }

        /** Group normalization, epsilon 1e-5. */
        public static Options group(long groups) {
            return new Options(Kind.GROUP, groups, 1e-5f);
        }

        /** Batch normalization, epsilon 1e-5. */
        public static Options batch() {
            return new Options(Kind.BATCH, 1, 1e-5f);
        }

        /** What is added to the variance, positive. */
        public Options withEpsilon(float epsilon) {
            return new Options(kind, groups, epsilon);
        }
    }

    /**
     * Averages over the batches seen, for inference.
     *
     * @param mean {@code [channels]}, overwritten with {@code (1 - momentum) mean + momentum m}
     * @param variance {@code [channels]}, likewise, of the unbiased variance
     * @param momentum the new batch's part, in [0, 1]
     */
    public record Running(Tensor mean, Tensor variance, float momentum) {
        public Running {
            if (!(momentum >= 0 && momentum <= 1)) {
                throw new IllegalArgumentException("momentum must be in [0, 1], got " + momentum);
            }
        }
    }

    /**
     * @param y shape of {@code x}
     * @param statistics what backward needs: {@code [3, items]}, the mean in two parts and {@code 1
     *     / sqrt(variance + epsilon)} of whatever shares them
     */
    public record Result(Tensor y, Tensor statistics) {}

    /**
     * @param dx shape of {@code x}, null when not asked for
     * @param dGamma {@code [channels]}
     * @param dBeta {@code [channels]}
     */
    public record Gradients(Tensor dx, Tensor dGamma, Tensor dBeta) {}

    /**
     * {@code gamma (x - mean) / sqrt(variance + epsilon) + beta} with the mean and variance of
     * {@code x} itself.
     *
     * @param x {@code [..., channels]}; for groups {@code [images, ..., channels]}
     * @param gamma {@code [channels]}, or null for 1
     * @param beta {@code [channels]}, or null for 0
     * @param running updated where the batch's statistics are finite; only for batch normalization,
     *     else null
     */
    public static Result forward(
            Scope scope, Options options, Tensor x, Tensor gamma, Tensor beta, Running running) {
        NormKernels.NormShape shape =
                shape(options, x.shape(), running == null ? 0 : running.momentum);
        requireParameters(x, gamma, beta);
        floats("norm", scope, x, gamma, beta);
        if (running != null) {
            requireBatch(options, "running statistics");
            requireStatistics(scope, x, running.mean, running.variance);
        }
        Tensor y = scope.empty(x.shape());
        Tensor statistics = scope.empty(Shape.of(3, shape.outer() * shape.groups()));
        NormKernels.normForward(
                scope.device().backend(),
                shape,
                x.address(),
                address(gamma),
                address(beta),
                y.address(),
                statistics.address(),
                running == null ? 0 : running.mean.address(),
                running == null ? 0 : running.variance.address());
        return new Result(y, statistics);
    }

    /**
     * Batch normalization with mean and variance as given, such as running ones.
     *
     * @param x {@code [..., channels]}
     * @param gamma {@code [channels]}, or null for 1
     * @param beta {@code [channels]}, or null for 0
     * @param mean {@code [channels]}
     * @param variance {@code [channels]}
     * @return shape of {@code x}
     */
    public static Tensor inference(
            Scope scope,
            Options options,
            Tensor x,
            Tensor gamma,
            Tensor beta,
            Tensor mean,
            Tensor variance) {
        requireBatch(options, "given statistics");
        NormKernels.NormShape shape = shape(options, x.shape(), 0);
        requireParameters(x, gamma, beta);
        requireStatistics(scope, x, mean, variance);
        floats("norm inference", scope, x, gamma, beta);
        Tensor y = scope.empty(x.shape());
        NormKernels.normInference(
                scope.device().backend(),
                shape,
                x.address(),
                address(gamma),
                address(beta),
                mean.address(),
                variance.address(),
                y.address());
        return y;
    }

    /**
     * Gradients through {@link #forward}, its own statistics included. Arguments as given to it.
     *
     * @param statistics as {@link #forward} returned them
     * @param dy shape of {@code x}
     * @param inputGradient whether {@code dx} is wanted
     */
    public static Gradients backward(
            Scope scope,
            Options options,
            Tensor x,
            Tensor gamma,
            Tensor statistics,
            Tensor dy,
            boolean inputGradient) {
        NormKernels.NormShape shape = shape(options, x.shape(), 0);
        requireParameters(x, gamma, null);
        require(
                "norm backward",
                "statistics",
                statistics,
                Shape.of(3, shape.outer() * shape.groups()));
        require("norm backward", "dy", dy, x.shape());
        floats("norm backward", scope, x, gamma, statistics, dy);
        Shape channels = Shape.of(x.shape().get(-1));
        Tensor dx = inputGradient ? scope.empty(x.shape()) : null;
        Tensor dGamma = scope.empty(channels);
        Tensor dBeta = scope.empty(channels);
        NormKernels.normBackward(
                scope.device().backend(),
                shape,
                x.address(),
                address(gamma),
                statistics.address(),
                dy.address(),
                address(dx),
                dGamma.address(),
                dBeta.address());
        return new Gradients(dx, dGamma, dBeta);
    }

    /**
     * Rows of length 1, for what is compared by its cosine: {@code x / max(|x|, 1e-12)} along the
     * last axis; formulas in kernels/l2_normalize/l2_normalize.h.
     *
     * @param x {@code [..., n]}
     */
    public static Tensor l2Normalize(Scope scope, Tensor x) {
        floats("l2Normalize", scope, x);
        Tensor y = scope.empty(x.shape());
        l2Normalize(x, x.address(), y.address());
        return y;
    }

    /** {@link #l2Normalize} of x, written over it. */
    public static void l2NormalizeInPlace(Tensor x) {
        if (x.dtype() != DType.F32) {
            throw new ShapeException("l2NormalizeInPlace takes F32 tensors, got " + x.dtype());
        }
        x.use(a -> l2Normalize(x, a, a));
    }

    private static void l2Normalize(Tensor x, long from, long to) {
        Axis last = Axis.of("l2Normalize", x.shape(), -1);
        L2NormalizeKernels.forward(
                x.device().backend(), from, to, last.outer(), last.extent(), L2_EPSILON);
    }

    /**
     * Gradient of {@link #l2Normalize} for its input.
     *
     * @param x as given to it
     */
    public static Tensor l2NormalizeBackward(Scope scope, Tensor x, Tensor dy) {
        require("l2Normalize backward", "dy", dy, x.shape());
        floats("l2Normalize backward", scope, x, dy);
        Axis last = Axis.of("l2Normalize backward", x.shape(), -1);
        Tensor dx = scope.empty(x.shape());
        L2NormalizeKernels.backward(
                scope.device().backend(),
                x.address(),
                dy.address(),
                dx.address(),
                last.outer(),
                last.extent(),
                L2_EPSILON);
        return dx;
    }

    private static NormKernels.NormShape shape(Options options, Shape x, float momentum) {
        int axes = options.kind == Kind.LAYER ? 1 : 2;
        if (x.rank() < axes) {
            throw new ShapeException(
                    "norm: "
                            + options.kind
                            + " needs x of at least "
                            + axes
                            + (axes == 1 ? " axis" : " axes")
                            + ", got "
                            + x);
        }
        long channels = x.get(-1);
        if (channels % options.groups != 0) {
            throw new ShapeException(
                    "norm: "
                            + options.groups
                            + " groups do not divide the "
                            + channels
                            + " channels of x "
                            + x);
        }
        long images = x.get(0);
        boolean nothing =
                switch (options.kind) {
                    case LAYER -> channels == 0;
                    case GROUP -> images != 0 && x.elements() == 0;
                    case BATCH -> x.elements() == 0;
                };
        if (nothing || channels == 0) {
            throw new ShapeException("norm: x " + x + " has no values to take a mean of");
        }
        long groups = options.groups;
        return switch (options.kind) {
            case LAYER ->
                    new NormKernels.NormShape(x.rows(), 1, 1, channels, options.epsilon, momentum);
            case GROUP ->
                    new NormKernels.NormShape(
                            images,
                            images == 0 ? 1 : x.rows() / images,
                            groups,
                            channels / groups,
                            options.epsilon,
                            momentum);
            case BATCH ->
                    new NormKernels.NormShape(1, x.rows(), channels, 1, options.epsilon, momentum);
        };
    }

    private static void requireBatch(Options options, String what) {
        if (options.kind != Kind.BATCH) {
            throw new IllegalArgumentException(
                    "norm: " + what + " are for BATCH only, got " + options.kind);
        }
    }

    private static void requireParameters(Tensor x, Tensor gamma, Tensor beta) {
        Shape channels = Shape.of(x.shape().get(-1));
        requireOptional("norm", "gamma", gamma, channels);
        requireOptional("norm", "beta", beta, channels);
    }

    private static void requireStatistics(Scope scope, Tensor x, Tensor mean, Tensor variance) {
        Shape channels = Shape.of(x.shape().get(-1));
        require("norm", "mean", mean, channels);
        require("norm", "variance", variance, channels);
        floats("norm", scope, mean, variance);
    }
}
