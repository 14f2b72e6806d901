package org.jlatent.models;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jlatent.GaussianOps;
import org.jlatent.Ops;
import org.jlatent.Posterior;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.Functions;
import org.jlatent.nn.GaussianSample;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Sequential;

/**
 * A model with a diagonal Gaussian posterior and a standard normal prior [Kingma, Welling 2014];
 * what p(x|z) is, is its own affair.
 *
 * <p>Loss, a mean over the batch in nats: {@code -log p(x|z) + beta KL(q(z|x) || p(z))}, with free
 * bits if asked for. Parameters: {@code encoder.*}, whose last layer gives mu and logVar side by
 * side, and those of p(x|z).
 */
public abstract class VariationalModel extends LatentModel implements GenerativeModel {
    private static final int NOISE = 1; // the site of the posterior's noise
    private static final int PRIOR = 2; // the site of samples from the prior

    /** After it come the sites of random draws that subclasses make. */
    static final int LAST_SITE = PRIOR;

    private final VaeConfig objective;
    private final Sequential encoder;
    private final GaussianOps.Options posterior;

    /**
     * @param init owns the parameters
     * @param image what it is to model
     * @param config of the encoder, z and the objective
     * @param seed of the noise
     * @throws IllegalArgumentException if the convolutions leave nothing of the image
     */
    VariationalModel(Init init, ImageShape image, VaeConfig config, long seed) {
        super(image, config.latent(), config.likelihood(), new Random(init.scope(), seed));
        objective = config;
        encoder = child("encoder", networks(init, image, config).encoder(2 * config.latent()));
        posterior =
                GaussianOps.Options.plain()
                        .withSite(NOISE)
                        .withSamples(config.samples())
                        .withFreeBits(config.freeBits());
    }

    static Networks networks(Init init, ImageShape image, VaeConfig config) {
        return new Networks(init, image, config.channels(), config.hidden(), config.activation());
    }

    /**
     * q(z|x).
     *
     * @param x {@code [batch, dims]}
     */
    public final Posterior encode(Tape tape, Tensor x) {
        return Posterior.packed(encoder.forward(tape, x));
    }

    @Override
    public final Tensor code(Scope scope, Tensor x) {
        Posterior q = encode(Tape.inference(scope), x);
        return scope.of(Shape.of(q.rows(), q.dims()), q.meanToArray());
    }

    /**
     * -log p(x|z).
     *
     * @param z {@code [rows, latent]}
     * @param x {@code [rows / samples, dims]}: row r of z is held against row r / samples
     * @param weight one element that multiplies the total; or null
     */
    public abstract Likelihood.Loss reconstruction(Tape tape, Tensor z, Tensor x, Tensor weight);

    /** -log p(x|z) of every row of z, not recorded. */
    float[] nll(Scope scope, Tensor z, Tensor x) {
        return reconstruction(Tape.inference(scope), z, x, null).rows().toFloatArray();
    }

    /** {@code count} draws of z, the same for the same seed. */
    final Tensor prior(Scope scope, int count, long seed) {
        return Ops.randomNormal(scope, Shape.of(count, latent()), new Random(scope, seed), PRIOR);
    }

    /** {@inheritDoc} There are none. */
    @Override
    public final int classes() {
        return 0;
    }

    /** Throws unless there is nothing that images are to be conditioned on. */
    static void requireNone(Condition condition) {
        Networks.require(
                condition.labels() == null && condition.map() == null,
                "a variational autoencoder's images are not conditioned on anything",
                condition);
    }

    @Override
    public final boolean isRecordable() {
        return true;
    }

    @Override
    public final Objective objective(Tape tape, Tensor x) {
        Scope scope = tape.scope();
        long batch = x.shape().get(0);
        Tensor klWeight = scope.scalar(objective.beta() / batch);
        Tensor weight = scope.scalar(1.0f / (batch * objective.samples()));
        GaussianOps.Result q =
                new GaussianSample(random(), posterior).forward(tape, encode(tape, x), klWeight);
        Likelihood.Loss reconstruction = reconstruction(tape, q.z(), x, weight);
        Tensor loss = Functions.add(tape, reconstruction.total(), q.klTotal());
        Map<String, Tensor> metrics = new LinkedHashMap<>();
        metrics.put("reconstruction", reconstruction.rows());
        metrics.put("kl", q.klRows());
        return new Objective(loss, metrics);
    }
}
