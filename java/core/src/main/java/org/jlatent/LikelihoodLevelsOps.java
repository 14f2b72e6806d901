package org.jlatent;

import static org.jlatent.Checks.address;
import static org.jlatent.Checks.floats;
import static org.jlatent.Checks.integers;
import static org.jlatent.Checks.requireOptional;

import org.jlatent.internal.LikelihoodLevelsKernels;
import org.jlatent.internal.LikelihoodLevelsKernels.Levels;

/**
 * Negative log-likelihoods of integer levels, or codes, with their gradient in one pass, and draws
 * of them, as operations on tensors; formulas in kernels/likelihood/likelihood_levels.h.
 *
 * <p>Parameters are what the last layer of an NHWC network writes, {@code [rows, pixels,
 * parametersPerPixel]}; any shape does whose first extent is the rows and whose others hold as many
 * values, so {@code [rows, height, width, channels]} needs no reshaping. The same for levels.
 *
 * <p>Every method throws {@link ShapeException} when a shape or type does not fit or tensors live
 * on different devices, and {@link DeviceException} when the device fails.
 */
public final class LikelihoodLevelsOps {
    private LikelihoodLevelsOps() {}

    private static final int MOST_LEVELS = 1 << 24;
    private static final int MOST_FLOATS = 381; // of a pixel's mixture: kMostMixture

    /** What a value's, or a pixel's, distribution can be. */
    public enum Distribution {
        /** A logit: of level 1. For draws; {@link LikelihoodOps} has the loss. */
        BERNOULLI(0),
        /** Logits of all levels. */
        CATEGORICAL(3),
        /** Discretized logistic mixture [Salimans et al. 2017, eq. 1-3], channels coupled. */
        LOGISTIC_MIXTURE(4);

        private final int code; // the C ABI's jl_distribution

        Distribution(int code) {
            this.code = code;
        }
    }

    /**
     * A distribution; by its name below.
     *
     * @param channels values that belong together: of a mixture's pixel, else 1
     * @param levels a value is one of {@code 0 .. levels - 1}
     * @param components of a mixture, else 1
     */
    public record Options(Distribution distribution, int channels, int levels, int components) {
        /**
         * Checks.
         *
         * @throws IllegalArgumentException if there is no such distribution
         */
        public Options {
            if (levels < 2 || levels > MOST_LEVELS) {
                throw new IllegalArgumentException(
                        "levels must be from 2 to " + MOST_LEVELS + ", got " + levels);
            }
            boolean mixture = distribution == Distribution.LOGISTIC_MIXTURE;
            int most = mixture ? MOST_FLOATS : 1;
            if (channels < 1 || channels > most || components < 1 || components > most) {
                throw new IllegalArgumentException(
                        "channels and components must be from 1 to "
                                + most
                                + ", got "
                                + channels
                                + " and "
                                + components);
            }
            int floats = components * (2 + 2 * channels + channels * (channels - 1) / 2);
            if (mixture && floats > MOST_FLOATS) {
                throw new IllegalArgumentException(
                        "a mixture's (2 + 2 channels + channels (channels - 1) / 2) components"
                                + " must be at most "
                                + MOST_FLOATS
                                + ", got "
                                + components
                                + " components of "
                                + channels
                                + " channels");
            }
        }

        /** A logit for each value. */
        public static Options bernoulli() {
            return new Options(Distribution.BERNOULLI, 1, 2, 1);
        }

        /** {@code levels} logits, neighbours, for each value. */
        public static Options categorical(int levels) {
            return new Options(Distribution.CATEGORICAL, 1, levels, 1);
        }

        /**
         * For each pixel {@code components} logits, means of each channel, their log scales, and
         * the coefficients of the channels' coupling; order and formulas in
         * kernels/likelihood/mixture.h.
         */
        public static Options logisticMixture(int channels, int levels, int components) {
            return new Options(Distribution.LOGISTIC_MIXTURE, channels, levels, components);
        }

        /** Parameters of {@code channels} values. */
        public int parametersPerPixel() {
            return switch (distribution) {
                case BERNOULLI -> 1;
                case CATEGORICAL -> levels;
                case LOGISTIC_MIXTURE ->
                        components * (1 + 2 * channels + channels * (channels - 1) / 2);
            };
        }

        private Levels shape(String operation, Tensor parameters, Shape x) {
            if (parameters.shape().rank() < 2 || x.rank() < 1) {
                throw new ShapeException(
                        operation
                                + ": parameters need rows and more, levels rows, got "
                                + parameters.shape()
                                + " and "
                                + x);
            }
            long values = inner(x);
            if (values == 0
                    || values % channels != 0
                    || inner(parameters.shape()) != values / channels * parametersPerPixel()) {
                throw new ShapeException(
                        operation
                                + ": levels "
                                + x
                                + " in pixels of "
                                + channels
                                + " need "
                                + parametersPerPixel()
                                + " parameters a pixel, got "
                                + parameters.shape());
            }
            return new Levels(
                    parameters.shape().get(0),
                    values / channels,
                    channels,
                    levels,
                    components,
                    distribution.code);
        }
    }

    /** Elements a row. */
    private static long inner(Shape shape) {
        long count = 1;
        for (int axis = 1; axis < shape.rank(); axis++) {
            count = Math.multiplyExact(count, shape.get(axis));
        }
        return count;
    }

    /**
     * Loss and gradient in one pass.
     *
     * <p>A level that is none of {@code 0 .. levels - 1}: the CPU throws {@link DeviceException}
     * and names it. A GPU cannot know without waiting; there the loss and gradients of its pixel
     * are NaN.
     *
     * @param parameters {@code [rows, pixels, parametersPerPixel]}
     * @param x i32, {@code [rows / samples, pixels, channels]}: row r is held against row r /
     *     samples of x
     * @param rowWeight {@code [rows]}, or null for 1
     * @param weight one element, or null for 1
     * @param gradient whether {@code dParameters} is wanted
     */
    public static LikelihoodOps.Result nll(
            Scope scope,
            Options options,
            Tensor parameters,
            Tensor x,
            Tensor rowWeight,
            Tensor weight,
            boolean gradient) {
        if (options.distribution() == Distribution.BERNOULLI) {
            throw new IllegalArgumentException(
                    "likelihood levels: the Bernoulli's loss is LikelihoodOps.nll");
        }
        Levels shape = options.shape("likelihood levels", parameters, x.shape());
        long rows = shape.rows();
        long xRows = x.shape().get(0);
        if (xRows == 0 ? rows != 0 : rows % xRows != 0) {
            throw new ShapeException(
                    "likelihood levels: "
                            + rows
                            + " rows of parameters do not share "
                            + xRows
                            + " rows of levels evenly");
        }
        requireOptional("likelihood levels", "rowWeight", rowWeight, Shape.of(rows));
        requireOptional("likelihood levels", "weight", weight, Shape.of(1));
        floats("likelihood levels", scope, parameters, rowWeight, weight);
        integers("likelihood levels", "x", scope, x);
        Tensor nllRows = scope.empty(Shape.of(rows));
        Tensor nllTotal = scope.empty(Shape.of(1));
        Tensor dParameters = gradient ? scope.empty(parameters.shape()) : null;
        LikelihoodLevelsKernels.nll(
                scope.device().backend(),
                shape,
                xRows == 0 ? 1 : rows / xRows,
                parameters.address(),
                x.address(),
                address(rowWeight),
                address(weight),
                nllRows.address(),
                nllTotal.address(),
                address(dParameters));
        return new LikelihoodOps.Result(nllRows, nllTotal, dParameters);
    }

    /**
     * Draws levels, each by inverting its distribution function at one uniform number; the same for
     * the same state and site.
     *
     * @param parameters {@code [rows, pixels, parametersPerPixel]}
     * @param shape of the result: {@code [rows, pixels, channels]}
     * @param temperature divides logits and multiplies scales: below 1 likelier levels, above 1
     *     others
     * @param topK only the most likely so many levels of a categorical, and what equals the last of
     *     them; 0: all
     * @return i32; -1 where the parameters are no distribution
     * @throws IllegalArgumentException if the temperature is not positive and finite, or topK not
     *     from 0 to the levels, or not 0 for another distribution
     */
    public static Tensor draw(
            Scope scope,
            Options options,
            Tensor parameters,
            Shape shape,
            Random random,
            int site,
            float temperature,
            int topK) {
        if (!(temperature > 0) || Float.isInfinite(temperature)) {
            throw new IllegalArgumentException(
                    "likelihood draw: temperature must be positive and finite, got " + temperature);
        }
        int most = options.distribution() == Distribution.CATEGORICAL ? options.levels() : 0;
        if (topK < 0 || topK > most) {
            throw new IllegalArgumentException(
                    "likelihood draw: topK must be from 0, for all, to "
                            + most
                            + ", got "
                            + topK
                            + " for a "
                            + options.distribution());
        }
        Levels levels = options.shape("likelihood draw", parameters, shape);
        if (shape.get(0) != levels.rows()) {
            throw new ShapeException(
                    "likelihood draw: parameters "
                            + parameters.shape()
                            + " have other rows than "
                            + shape);
        }
        floats("likelihood draw", scope, parameters, random.state());
        Tensor x = scope.empty(shape, DType.I32);
        LikelihoodLevelsKernels.draw(
                scope.device().backend(),
                levels,
                parameters.address(),
                address(random),
                site,
                temperature,
                topK,
                x.address());
        return x;
    }

    /**
     * An image's values in [0, 1] as levels: {@code round((levels - 1) value)}.
     *
     * <p>Values outside: the CPU throws {@link DeviceException} and names the first, a GPU makes -1
     * of them.
     *
     * @return i32, the values' shape
     */
    public static Tensor ofValues(Scope scope, Tensor values, int levels) {
        Options.categorical(levels); // complains where there are none
        floats("levels of values", scope, values);
        Tensor x = scope.empty(values.shape(), DType.I32);
        LikelihoodLevelsKernels.ofValues(
                scope.device().backend(),
                values.address(),
                values.shape().elements(),
                levels,
                x.address());
        return x;
    }
}
