package org.jlatent.nn;

import java.util.List;
import java.util.function.DoubleUnaryOperator;
import org.jlatent.JlatentException;
import org.jlatent.LikelihoodLevelsOps;
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
     * Pixels of {@code levels} values {@code k / (levels - 1)} in [0, 1]: 256 of 8-bit images, or
     * codes. The decoder gives each value the logits of all levels, one after another.
     *
     * <p>As x it takes images, or i32 levels {@code 0 .. levels - 1} as they are.
     *
     * @throws IllegalArgumentException unless levels are from 2 to 2^24
     */
    public static Likelihood categorical(int levels) {
        return new LevelLikelihood("categorical", LikelihoodLevelsOps.Options.categorical(levels));
    }

    /**
     * The same pixels by a mixture of logistic distributions, of which each level has a bin
     * [Salimans et al. 2017, eq. 1-3]; a pixel's channels share the component, and later ones
     * depend on those before.
     *
     * @param components 5 to 10 mostly
     * @param channels of the images
     * @throws IllegalArgumentException if there is no such mixture
     */
    public static Likelihood discretizedLogisticMixture(int components, int levels, int channels) {
        return new LevelLikelihood(
                "logistic-mixture",
                LikelihoodLevelsOps.Options.logisticMixture(channels, levels, components));
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

    /** A kernel's loss with gradient. */
    interface Nll {
        LikelihoodOps.Result of(Tensor rowWeight, Tensor weight, boolean gradient);
    }

    /** Its loss on the tape. */
    static Likelihood.Loss recorded(
            Tape tape, String name, Tensor parameters, Tensor weight, Nll nll) {
        LikelihoodOps.Result r = nll.of(null, weight, tape.tracks(parameters));
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
                        tape.accumulate(parameters, nll.of(dRows, null, true).dParameters());
                    }
                });
        return new Likelihood.Loss(r.nllRows(), r.nllTotal());
    }

    private record Fused(String name, LikelihoodOps.Options options) implements Likelihood {

        @Override
        public int parametersPerPixel(int channels) {
            return channels * planes();
        }

        @Override
        public int planes() {
            return options.parametersPerValue();
        }

        @Override
        public Loss loss(Tape tape, Tensor parameters, Tensor x, Tensor weight) {
            return recorded(
                    tape,
                    name,
                    parameters,
                    weight,
                    (rows, all, gradient) ->
                            LikelihoodOps.nll(
                                    tape.scope(), options, parameters, x, rows, all, gradient));
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
            int stride = dims * planes();
            float[] mean = new float[parameters.length / planes()];
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
        public int parametersPerPixel(int channels) {
            return likelihood.parametersPerPixel(channels);
        }

        @Override
        public int planes() {
            return likelihood.planes();
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
