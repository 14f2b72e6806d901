package org.jlatent.nn;

import java.util.List;
import java.util.function.DoubleUnaryOperator;
import org.jlatent.JlatentException;
import org.jlatent.LikelihoodOps;
import org.jlatent.LikelihoodOps.Distribution;
import org.jlatent.Ops;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * The likelihoods that run as one kernel, loss and gradient together; formulas in
 * kernels/likelihood/likelihood.h.
 */
public final class Likelihoods {
    private Likelihoods() {}

    /**
     * Logits of Bernoulli pixels; grey values in [0, 1] are taken as probabilities [Kingma, Welling
     * 2014, app. C.1].
     */
    public static Likelihood bernoulli() {
        return new Fused(
                "bernoulli", new LikelihoodOps.Options(Distribution.BERNOULLI, false, 0.0f));
    }

    /** Normal pixels of one given variance. */
    public static Likelihood gaussian(double variance) {
        return new Fused(
                "gaussian",
                new LikelihoodOps.Options(
                        Distribution.GAUSSIAN, false, logOf("variance", variance)));
    }

    /** Normal pixels; the decoder gives each its log variance as well. */
    public static Likelihood gaussianLearned() {
        return new Fused(
                "gaussian-learned", new LikelihoodOps.Options(Distribution.GAUSSIAN, true, 0.0f));
    }

    /** Laplace pixels of one given scale b. */
    public static Likelihood laplace(double scale) {
        return new Fused(
                "laplace",
                new LikelihoodOps.Options(Distribution.LAPLACE, false, logOf("scale", scale)));
    }

    /** Laplace pixels; the decoder gives each its log scale as well. */
    public static Likelihood laplaceLearned() {
        return new Fused(
                "laplace-learned", new LikelihoodOps.Options(Distribution.LAPLACE, true, 0.0f));
    }

    /**
     * Squared errors, summed over an image: a normal distribution's likelihood without its
     * constants. For autoencoders, which claim no probability.
     */
    public static Likelihood squaredError() {
        // A variance of 1/(2 pi) makes the density's constant 1, and leaves pi (x - mean)^2.
        return new Errors("l2", gaussian(0.5 / Math.PI), 1 / Math.PI, variance -> variance);
    }

    /** Absolute errors, summed over an image. */
    public static Likelihood absoluteError() {
        // b = 1/2 makes the density's constant 1, and leaves 2 |x - mean|.
        return new Errors("l1", laplace(0.5), 0.5, Math::sqrt);
    }

    private static float logOf(String name, double value) {
        if (!(value > 0) || Double.isInfinite(value)) {
            throw new IllegalArgumentException(name + " must be positive and finite, got " + value);
        }
        return (float) Math.log(value);
    }

    private record Fused(String name, LikelihoodOps.Options options) implements Likelihood {

        @Override
        public int parametersPerValue() {
            return options.parametersPerValue();
        }

        @Override
        public Loss loss(Tape tape, Tensor parameters, Tensor x, Tensor weight) {
            boolean gradient = tape.tracks(parameters);
            LikelihoodOps.Result r =
                    LikelihoodOps.nll(tape.scope(), options, parameters, x, null, weight, gradient);
            tape.record(
                    name,
                    List.of(parameters),
                    List.of(r.nllTotal(), r.nllRows()),
                    () -> {
                        Tensor dTotal = tape.gradient(r.nllTotal());
                        if (dTotal != null) {
                            tape.accumulate(
                                    parameters,
                                    tape.isSeed(dTotal)
                                            ? r.dParameters()
                                            : Ops.scale(tape.scope(), r.dParameters(), dTotal));
                        }
                        Tensor dRows = tape.gradient(r.nllRows());
                        if (dRows != null) { // the rows' own gradients as weights: one more pass,
                            // only for losses built on rows
                            tape.accumulate(
                                    parameters,
                                    LikelihoodOps.nll(
                                                    tape.scope(),
                                                    options,
                                                    parameters,
                                                    x,
                                                    dRows,
                                                    null,
                                                    true)
                                            .dParameters());
                        }
                    });
            return new Loss(r.nllRows(), r.nllTotal());
        }

        @Override
        public void check(float[] x) {
            if (options.distribution() != Distribution.BERNOULLI) {
                return;
            }
            for (float value : x) {
                if (value < 0 || value > 1) {
                    throw new JlatentException(
                            "a bernoulli likelihood takes values in [0, 1], the images hold "
                                    + value
                                    + "; choose a gaussian or laplace one");
                }
            }
        }

        @Override
        public float[] mean(float[] parameters, int dims) {
            int stride = dims * parametersPerValue();
            float[] mean = new float[parameters.length / parametersPerValue()];
            for (int i = 0; i < mean.length; i++) {
                float location = parameters[i / dims * stride + i % dims];
                mean[i] =
                        options.distribution() == Distribution.BERNOULLI
                                ? (float) (1.0 / (1.0 + Math.exp(-location)))
                                : location;
            }
            return mean;
        }
    }

    /** Another likelihood's negative logarithm times a factor. */
    private record Errors(
            String name, Likelihood likelihood, double factor, DoubleUnaryOperator units)
            implements Likelihood {

        @Override
        public int parametersPerValue() {
            return likelihood.parametersPerValue();
        }

        @Override
        public Loss loss(Tape tape, Tensor parameters, Tensor x, Tensor weight) {
            Tensor scale = tape.scope().scalar((float) factor);
            Tensor scaled = weight == null ? scale : Ops.scale(tape.scope(), weight, scale);
            Loss loss = likelihood.loss(tape, parameters, x, scaled);
            Tensor rows = Ops.scale(tape.scope(), loss.rows(), scale);
            tape.record(name, loss.rows(), rows, d -> Ops.scale(tape.scope(), d, scale));
            return new Loss(rows, loss.total());
        }

        @Override
        public void check(float[] x) {
            likelihood.check(x);
        }

        @Override
        public double unit(double variance) {
            return units.applyAsDouble(variance);
        }

        @Override
        public float[] mean(float[] parameters, int dims) {
            return likelihood.mean(parameters, dims);
        }
    }
}
