package org.jlatent;

import static org.jlatent.Checks.address;
import static org.jlatent.Checks.floats;
import static org.jlatent.Checks.requireOptional;

import org.jlatent.internal.Kernels;

/**
 * Negative log-likelihoods of pixels and their gradient in one pass, as operations on tensors;
 * formulas in kernels/likelihood/likelihood.h.
 *
 * <p>Every method throws {@link ShapeException} when a shape does not fit or tensors live on
 * different devices, and {@link DeviceException} when the device fails.
 */
public final class LikelihoodOps {
    private LikelihoodOps() {}

    /**
     * Distributions of a pixel given the decoder's output; formulas in
     * kernels/likelihood/likelihood.h.
     *
     * @param distribution which one
     * @param learnedScale whether the parameters hold a log scale for every value, after the
     *     locations
     * @param logScale otherwise this for all: log variance (Gaussian) or log b (Laplace)
     */
    public record Options(Distribution distribution, boolean learnedScale, float logScale) {
        /** Parameters a value: 2 with a learned scale, else 1. */
        public int parametersPerValue() {
            return learnedScale ? 2 : 1;
        }
    }

    /** What a pixel's distribution can be. */
    public enum Distribution {
        /** Parameters are logits; x in [0, 1]. */
        BERNOULLI(0),
        /** Parameters are means; scales are log variances. */
        GAUSSIAN(1),
        /** Parameters are medians; scales are log b. */
        LAPLACE(2);

        private final int code; // the C ABI's jl_distribution

        Distribution(int code) {
            this.code = code;
        }
    }

    /**
     * Negative log-likelihoods and their gradient.
     *
     * @param nllRows {@code [rows]} in nats, unweighted
     * @param nllTotal {@code [1]}, weighted sum
     * @param dParameters shape of the parameters, null when not asked for
     */
    public record Result(Tensor nllRows, Tensor nllTotal, Tensor dParameters) {}

    /**
     * Loss and gradient in one pass.
     *
     * @param parameters {@code [rows, parametersPerValue dims]}
     * @param x {@code [rows / samples, dims]}: row r is held against row r / samples of x
     * @param rowWeight {@code [rows]}, or null for 1
     * @param weight one element, or null for 1
     * @param gradient whether {@code dParameters} is wanted
     */
    public static Result nll(
            Scope scope,
            Options options,
            Tensor parameters,
            Tensor x,
            Tensor rowWeight,
            Tensor weight,
            boolean gradient) {
        if (parameters.shape().rank() != 2 || x.shape().rank() != 2) {
            throw new ShapeException(
                    "likelihood takes matrices, got parameters "
                            + parameters.shape()
                            + ", x "
                            + x.shape());
        }
        long rows = parameters.shape().get(0);
        long dims = x.shape().get(1);
        if (parameters.shape().get(1) != dims * options.parametersPerValue()) {
            throw new ShapeException(
                    "likelihood: x "
                            + x.shape()
                            + " needs parameters of "
                            + dims * options.parametersPerValue()
                            + " columns, got "
                            + parameters.shape());
        }
        long xRows = x.shape().get(0);
        if (xRows == 0 ? rows != 0 : rows % xRows != 0) {
            throw new ShapeException(
                    "likelihood: "
                            + rows
                            + " rows of parameters do not share "
                            + xRows
                            + " rows of x evenly");
        }
        requireOptional("likelihood", "rowWeight", rowWeight, Shape.of(rows));
        requireOptional("likelihood", "weight", weight, Shape.of(1));
        floats("likelihood", scope, parameters, x, rowWeight, weight);
        Tensor nllRows = scope.empty(Shape.of(rows));
        Tensor nllTotal = scope.empty(Shape.of(1));
        Tensor dParameters = gradient ? scope.empty(parameters.shape()) : null;
        Kernels.likelihood(
                scope.device().backend(),
                rows,
                dims,
                xRows == 0 ? 1 : rows / xRows,
                options.distribution().code,
                options.learnedScale(),
                options.logScale(),
                parameters.address(),
                x.address(),
                address(rowWeight),
                address(weight),
                nllRows.address(),
                nllTotal.address(),
                address(dParameters));
        return new Result(nllRows, nllTotal, dParameters);
    }
}
