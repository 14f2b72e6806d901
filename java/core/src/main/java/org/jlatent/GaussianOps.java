package org.jlatent;

import static org.jlatent.Checks.address;
import static org.jlatent.Checks.floats;
import static org.jlatent.Checks.requireOptional;

import org.jlatent.internal.Kernels;

/**
 * Reparameterized Gaussian samples with their KL divergence, as operations on tensors; formulas in
 * kernels/gaussian/gaussian.h.
 *
 * <p>Every method throws {@link ShapeException} when a shape does not fit or tensors live on
 * different devices, and {@link DeviceException} when the device fails.
 */
public final class GaussianOps {
    private GaussianOps() {}

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
    public record Options(
            int samples,
            float logVarMin,
            float logVarMax,
            float freeBits,
            int site,
            boolean densities) {
        public Options {
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
        public static Options plain() {
            return new Options(1, Float.NEGATIVE_INFINITY, Float.POSITIVE_INFINITY, 0.0f, 0, false);
        }

        /** With another number of samples a row. */
        public Options withSamples(int samples) {
            return new Options(samples, logVarMin, logVarMax, freeBits, site, densities);
        }

        /** With another range that the log variance is clamped to. */
        public Options withLogVarRange(float min, float max) {
            return new Options(samples, min, max, freeBits, site, densities);
        }

        /** With another floor of the KL, in nats a dimension; 0: off. */
        public Options withFreeBits(float nats) {
            return new Options(samples, logVarMin, logVarMax, nats, site, densities);
        }

        /** As another random draw of the model. */
        public Options withSite(int site) {
            return new Options(samples, logVarMin, logVarMax, freeBits, site, densities);
        }

        /** With or without log q(z|x) and log p(z). */
        public Options withDensities(boolean wanted) {
            return new Options(samples, logVarMin, logVarMax, freeBits, site, wanted);
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
    public record Result(
            Tensor z, Tensor klRows, Tensor klTotal, Tensor logQ, Tensor logP, Tensor klLive) {}

    /**
     * Gradients of the loss for the outputs of {@link #forward}; null: the loss does not depend on
     * it.
     *
     * @param dz shape of z
     * @param dKlRows {@code [rows]}
     * @param dKlTotal {@code [1]}
     * @param dLogQ {@code [rows, samples]}
     * @param dLogP {@code [rows, samples]}
     */
    public record Gradients(
            Tensor dz, Tensor dKlRows, Tensor dKlTotal, Tensor dLogQ, Tensor dLogP) {}

    /**
     * Reparameterized samples and KL divergence in one pass [Kingma, Welling 2014].
     *
     * @param random the source of the noise; may be null when {@code noise} is given
     * @param noise {@code [rows samples, dims]}, or null
     * @param klWeight one element that multiplies {@code klTotal}, or null for 1
     */
    public static Result forward(
            Scope scope,
            Posterior q,
            Options options,
            Random random,
            Tensor noise,
            Tensor klWeight) {
        checkGaussian(scope, q, options, random, noise, klWeight);
        Tensor z = scope.empty(samplesShape(q, options));
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
        return new Result(z, klRows, klTotal, logQ, logP, klLive);
    }

    /**
     * Gradients for mean and log variance, laid out like {@code q}. Arguments as given to {@link
     * #forward}, with the random state still at the same step.
     */
    public static Posterior backward(
            Scope scope,
            Posterior q,
            Options options,
            Random random,
            Tensor noise,
            Tensor klWeight,
            Tensor klLive,
            Gradients d) {
        checkGaussian(scope, q, options, random, noise, klWeight);
        Shape perSample = Shape.of(q.rows(), options.samples());
        requireOptional("gaussian backward", "dz", d.dz, samplesShape(q, options));
        requireOptional("gaussian backward", "dKlRows", d.dKlRows, Shape.of(q.rows()));
        requireOptional("gaussian backward", "dKlTotal", d.dKlTotal, Shape.of(1));
        requireOptional("gaussian backward", "dLogQ", d.dLogQ, perSample);
        requireOptional("gaussian backward", "dLogP", d.dLogP, perSample);
        requireOptional("gaussian backward", "klLive", klLive, Shape.of(q.dims()));
        floats("gaussian backward", scope, d.dz, d.dKlRows, d.dKlTotal, d.dLogQ, d.dLogP, klLive);
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

    private static Shape samplesShape(Posterior q, Options options) {
        return Shape.of(Shape.product(q.rows(), options.samples()), q.dims());
    }

    private static void checkGaussian(
            Scope scope,
            Posterior q,
            Options options,
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
        requireOptional("gaussian", "noise", noise, samplesShape(q, options));
        requireOptional("gaussian", "klWeight", klWeight, Shape.of(1));
        floats("gaussian", scope, q.tensors().toArray(Tensor[]::new));
        floats("gaussian", scope, random == null ? null : random.state(), noise, klWeight);
    }
}
