package org.jlatent;

import java.util.Arrays;
import java.util.Objects;
import org.jlatent.internal.Kernels;

/**
 * The operations on tensors, without any tape: shapes and devices are checked, results are
 * allocated in the given scope, the work is queued. Formulas stand in {@code
 * kernels/<operation>/<operation>.h}.
 *
 * <p>Every method throws {@link ShapeException} when a shape does not fit or tensors live on
 * different devices, and {@link DeviceException} when the device fails.
 */
public final class Ops {
    private Ops() {}

    // ---- dense ----

    /**
     * {@code activation(a b + bias)}.
     *
     * @param a {@code [m, k]}; {@code [k, m]} when transposed
     * @param b {@code [k, n]}; {@code [n, k]} when transposed
     * @param bias {@code [n]}, or null
     * @return {@code [m, n]}
     */
    public static Tensor matmul(
            Scope scope,
            Tensor a,
            boolean transposeA,
            Tensor b,
            boolean transposeB,
            Tensor bias,
            Activation activation) {
        if (a.shape().rank() != 2 || b.shape().rank() != 2) {
            throw new ShapeException(
                    "matmul takes matrices, got " + a.shape() + " and " + b.shape());
        }
        long m = a.shape().get(transposeA ? 1 : 0);
        long k = a.shape().get(transposeA ? 0 : 1);
        long n = b.shape().get(transposeB ? 0 : 1);
        if (b.shape().get(transposeB ? 1 : 0) != k) {
            throw new ShapeException(
                    "matmul: inner extents differ: a is "
                            + a.shape()
                            + (transposeA ? " transposed" : "")
                            + ", b is "
                            + b.shape()
                            + (transposeB ? " transposed" : ""));
        }
        if (bias != null) {
            require("matmul", "bias", bias, Shape.of(n));
        }
        sameDevice("matmul", scope, a, b, bias);
        Tensor out = scope.empty(Shape.of(m, n));
        scope.device()
                .backend()
                .matmul(
                        m,
                        n,
                        k,
                        transposeA,
                        transposeB,
                        activation.code(),
                        a.address(),
                        b.address(),
                        address(bias),
                        out.address());
        return out;
    }

    // ---- elementwise ----

    /** {@code f(x)}, any shape. */
    public static Tensor activationForward(Scope scope, Activation activation, Tensor x) {
        sameDevice("activation", scope, x);
        Tensor y = scope.empty(x.shape());
        Kernels.activationForward(
                scope.device().backend(),
                activation.code(),
                x.address(),
                y.address(),
                x.shape().elements());
        return y;
    }

    /**
     * {@code dy f'}.
     *
     * @param saved the output where {@link Activation#differentiatesFromOutput}, else the input
     */
    public static Tensor activationBackward(
            Scope scope, Activation activation, Tensor saved, Tensor dy) {
        require("activation backward", "dy", dy, saved.shape());
        sameDevice("activation backward", scope, saved, dy);
        Tensor dx = scope.empty(dy.shape());
        Kernels.activationBackward(
                scope.device().backend(),
                activation.code(),
                saved.address(),
                dy.address(),
                dx.address(),
                dy.shape().elements());
        return dx;
    }

    /** {@code a + b}, shapes alike. */
    public static Tensor add(Scope scope, Tensor a, Tensor b) {
        require("add", "b", b, a.shape());
        sameDevice("add", scope, a, b);
        Tensor out = scope.empty(a.shape());
        Kernels.add(
                scope.device().backend(),
                a.address(),
                b.address(),
                out.address(),
                a.shape().elements());
        return out;
    }

    /** {@code factor x}, the factor a tensor of one element. */
    public static Tensor scale(Scope scope, Tensor x, Tensor factor) {
        require("scale", "factor", factor, Shape.of(1));
        sameDevice("scale", scope, x, factor);
        Tensor out = scope.empty(x.shape());
        Kernels.scale(
                scope.device().backend(),
                x.address(),
                factor.address(),
                out.address(),
                x.shape().elements());
        return out;
    }

    public static void fill(Tensor out, float value) {
        Kernels.fill(out.device().backend(), out.address(), value, out.shape().elements());
    }

    /** Sum over all axes but the last: {@code [..., n]} to {@code [n]}. */
    public static Tensor sumRows(Scope scope, Tensor x) {
        sameDevice("sumRows", scope, x);
        long columns = x.shape().get(-1);
        Tensor out = scope.empty(Shape.of(columns));
        Kernels.sumRows(
                scope.device().backend(), x.address(), out.address(), x.shape().rows(), columns);
        return out;
    }

    // ---- random ----

    /** Standard normals; the same for the same state, site and shape. */
    public static Tensor randomNormal(Scope scope, Shape shape, Random random, int site) {
        sameDevice("randomNormal", scope, random.state());
        Tensor out = scope.empty(shape);
        Kernels.randomNormal(
                scope.device().backend(),
                out.address(),
                shape.elements(),
                random.state().address(),
                site);
        return out;
    }

    // ---- gaussian ----

    /**
     * How to sample a posterior.
     *
     * @param samples samples a row, at least 1
     * @param logVarMin the log variance is clamped to at least this; no gradient flows where it was
     * @param logVarMax and to at most this
     * @param freeBits nats a dimension that the KL is not pushed below [Kingma et al. 2016]; 0: off
     * @param site which random draw of the model this is
     * @param densities whether log q(z|x) and log p(z) are wanted
     */
    public record GaussianOptions(
            int samples,
            float logVarMin,
            float logVarMax,
            float freeBits,
            int site,
            boolean densities) {
        public GaussianOptions {
            if (samples < 1) {
                throw new IllegalArgumentException("samples must be at least 1, got " + samples);
            }
            if (!(logVarMin <= logVarMax)) {
                throw new IllegalArgumentException(
                        "logVarMin " + logVarMin + " is above logVarMax " + logVarMax);
            }
            if (!(freeBits >= 0)) {
                throw new IllegalArgumentException("freeBits must be at least 0, got " + freeBits);
            }
        }

        /** One sample, no clamp, no free bits. */
        public static GaussianOptions plain() {
            return new GaussianOptions(
                    1, Float.NEGATIVE_INFINITY, Float.POSITIVE_INFINITY, 0.0f, 0, false);
        }

        public GaussianOptions withSamples(int samples) {
            return new GaussianOptions(samples, logVarMin, logVarMax, freeBits, site, densities);
        }

        public GaussianOptions withLogVarRange(float min, float max) {
            return new GaussianOptions(samples, min, max, freeBits, site, densities);
        }

        public GaussianOptions withFreeBits(float nats) {
            return new GaussianOptions(samples, logVarMin, logVarMax, nats, site, densities);
        }

        public GaussianOptions withSite(int site) {
            return new GaussianOptions(samples, logVarMin, logVarMax, freeBits, site, densities);
        }

        public GaussianOptions withDensities(boolean wanted) {
            return new GaussianOptions(samples, logVarMin, logVarMax, freeBits, site, wanted);
        }

        private Kernels.GaussianShape shape(Posterior p) {
            return new Kernels.GaussianShape(
                    p.rows(),
                    p.dims(),
                    samples,
                    p.rowStride(),
                    logVarMin,
                    logVarMax,
                    freeBits,
                    site);
        }
    }

    /**
     * Samples and divergences. {@code logQ} and {@code logP} are null unless asked for, {@code
     * klLive} without free bits.
     *
     * @param z {@code [rows samples, dims]}: the samples of a row follow each other
     * @param klRows {@code [rows]}, KL(q(z|x) || N(0, I)) in nats
     * @param klTotal {@code [1]}, weighted, with free bits applied
     * @param logQ {@code [rows, samples]}, log q(z|x) in nats
     * @param logP {@code [rows, samples]}, log p(z) in nats
     * @param klLive {@code [dims]}, 1 where the KL is above its floor
     */
    public record GaussianResult(
            Tensor z, Tensor klRows, Tensor klTotal, Tensor logQ, Tensor logP, Tensor klLive) {}

    /**
     * Gradients of the loss for the outputs of {@link #gaussianForward}; null: the loss does not
     * depend on it.
     */
    public record GaussianGradients(
            Tensor dz, Tensor dKlRows, Tensor dKlTotal, Tensor dLogQ, Tensor dLogP) {}

    /**
     * Reparameterized samples and KL divergence in one pass [Kingma, Welling 2014].
     *
     * @param random the source of the noise; may be null when {@code noise} is given
     * @param noise {@code [rows samples, dims]}, or null
     * @param klWeight one element that multiplies {@code klTotal}, or null for 1
     */
    public static GaussianResult gaussianForward(
            Scope scope,
            Posterior q,
            GaussianOptions options,
            Random random,
            Tensor noise,
            Tensor klWeight) {
        checkGaussian(scope, q, options, random, noise, klWeight);
        Tensor z = scope.empty(Shape.of(Math.multiplyExact(q.rows(), options.samples()), q.dims()));
        Tensor klRows = scope.empty(Shape.of(q.rows()));
        Tensor klTotal = scope.empty(Shape.of(1));
        Shape perSample = Shape.of(q.rows(), options.samples());
        Tensor logQ = options.densities() ? scope.empty(perSample) : null;
        Tensor logP = options.densities() ? scope.empty(perSample) : null;
        Tensor klLive = options.freeBits() > 0 ? scope.empty(Shape.of(q.dims())) : null;
        Kernels.gaussianForward(
                scope.device().backend(),
                options.shape(q),
                q.muAddress(),
                q.logVarAddress(),
                address(noise),
                address(random),
                address(klWeight),
                z.address(),
                klRows.address(),
                klTotal.address(),
                address(logQ),
                address(logP),
                address(klLive));
        return new GaussianResult(z, klRows, klTotal, logQ, logP, klLive);
    }

    /**
     * Gradients for mean and log variance, laid out like {@code q}. Arguments as given to {@link
     * #gaussianForward}, with the random state still at the same step.
     */
    public static Posterior gaussianBackward(
            Scope scope,
            Posterior q,
            GaussianOptions options,
            Random random,
            Tensor noise,
            Tensor klWeight,
            Tensor klLive,
            GaussianGradients d) {
        checkGaussian(scope, q, options, random, noise, klWeight);
        Shape perSample = Shape.of(q.rows(), options.samples());
        requireOptional(
                "gaussian backward", "dz", d.dz, Shape.of(q.rows() * options.samples(), q.dims()));
        requireOptional("gaussian backward", "dKlRows", d.dKlRows, Shape.of(q.rows()));
        requireOptional("gaussian backward", "dKlTotal", d.dKlTotal, Shape.of(1));
        requireOptional("gaussian backward", "dLogQ", d.dLogQ, perSample);
        requireOptional("gaussian backward", "dLogP", d.dLogP, perSample);
        requireOptional("gaussian backward", "klLive", klLive, Shape.of(q.dims()));
        Posterior gradient = q.emptyLike(scope);
        Kernels.gaussianBackward(
                scope.device().backend(),
                options.shape(q),
                q.muAddress(),
                q.logVarAddress(),
                address(noise),
                address(random),
                address(klWeight),
                address(klLive),
                address(d.dz),
                address(d.dKlRows),
                address(d.dKlTotal),
                address(d.dLogQ),
                address(d.dLogP),
                gradient.muAddress(),
                gradient.logVarAddress());
        return gradient;
    }

    private static void checkGaussian(
            Scope scope,
            Posterior q,
            GaussianOptions options,
            Random random,
            Tensor noise,
            Tensor klWeight) {
        if (q.dims() < 1) {
            throw new ShapeException(
                    "gaussian needs at least one latent dimension, got [" + q.rows() + ", 0]");
        }
        if (random == null && noise == null) {
            throw new IllegalArgumentException("gaussian needs a random state or explicit noise");
        }
        requireOptional(
                "gaussian", "noise", noise, Shape.of(q.rows() * options.samples(), q.dims()));
        requireOptional("gaussian", "klWeight", klWeight, Shape.of(1));
        if (q.device() != scope.device()) {
            throw new ShapeException(
                    "gaussian: the posterior is on "
                            + q.device()
                            + ", the scope on "
                            + scope.device());
        }
        sameDevice("gaussian", scope, random == null ? null : random.state(), noise, klWeight);
    }

    // ---- likelihood ----

    /**
     * Distributions of a pixel given the decoder's output; formulas in
     * kernels/likelihood/likelihood.h.
     *
     * @param distribution which one
     * @param learnedScale whether the parameters hold a log scale for every value, after the
     *     locations
     * @param logScale otherwise this for all: log variance (Gaussian) or log b (Laplace)
     */
    public record LikelihoodOptions(
            Distribution distribution, boolean learnedScale, float logScale) {
        /** Parameters a value: 2 with a learned scale, else 1. */
        public int parametersPerValue() {
            return learnedScale ? 2 : 1;
        }
    }

    /** What a pixel's distribution can be. */
    public enum Distribution {
        BERNOULLI(0),
        GAUSSIAN(1),
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
    public record LikelihoodResult(Tensor nllRows, Tensor nllTotal, Tensor dParameters) {}

    /**
     * Loss and gradient in one pass.
     *
     * @param parameters {@code [rows, parametersPerValue dims]}
     * @param x {@code [rows / samples, dims]}: row r is held against row r / samples of x
     * @param rowWeight {@code [rows]}, or null for 1
     * @param weight one element, or null for 1
     * @param gradient whether {@code dParameters} is wanted
     */
    public static LikelihoodResult likelihood(
            Scope scope,
            LikelihoodOptions options,
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
        sameDevice("likelihood", scope, parameters, x, rowWeight, weight);
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
        return new LikelihoodResult(nllRows, nllTotal, dParameters);
    }

    // ---- checks ----

    private static long address(Tensor tensor) {
        return tensor == null ? 0 : tensor.address();
    }

    private static long address(Random random) {
        return random == null ? 0 : random.state().address();
    }

    private static void require(String operation, String name, Tensor tensor, Shape expected) {
        if (!tensor.shape().equals(expected)) {
            throw new ShapeException(
                    operation + ": " + name + " must be " + expected + ", got " + tensor.shape());
        }
    }

    private static void requireOptional(
            String operation, String name, Tensor tensor, Shape expected) {
        if (tensor != null) {
            require(operation, name, tensor, expected);
        }
    }

    private static void sameDevice(String operation, Scope scope, Tensor... tensors) {
        Arrays.stream(tensors)
                .filter(Objects::nonNull)
                .filter(t -> t.device() != scope.device())
                .findFirst()
                .ifPresent(
                        t -> {
                            throw new ShapeException(
                                    operation
                                            + ": tensor "
                                            + t.shape()
                                            + " is on another device ("
                                            + t.device()
                                            + ") than the scope ("
                                            + scope.device()
                                            + ")");
                        });
    }
}
