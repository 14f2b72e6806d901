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
import org.jlatent.models.AutoregressiveModel.Draws;
import org.jlatent.nn.Functions;
import org.jlatent.nn.GaussianSample;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Sequential;

/**
 * Variational autoencoder with a diagonal Gaussian posterior and a standard normal prior [Kingma,
 * Welling 2014]; with {@code beta} other than 1 a beta-VAE [Higgins et al. 2017].
 *
 * <p>Loss, a mean over the batch in nats: {@code -log p(x|z) + beta KL(q(z|x) || p(z))}, with free
 * bits if asked for. Parameters: {@code encoder.*}, whose last layer gives mu and logVar side by
 * side, and {@code decoder.*}.
 */
public final class Vae extends LatentModel implements GenerativeModel {
    private static final int NOISE = 1; // the site of the posterior's noise
    private static final int PRIOR = 2; // the site of samples from the prior

    private final VaeConfig config;
    private final Sequential encoder;
    private final Sequential decoder;
    private final GaussianOps.Options posterior;

    /**
     * A model with fresh parameters.
     *
     * @param init owns the parameters
     * @param image what it is to model
     * @param seed of the noise
     * @throws IllegalArgumentException if the convolutions leave nothing of the image
     */
    public Vae(Init init, ImageShape image, VaeConfig config, long seed) {
        super(image, config.latent(), config.likelihood(), new Random(init.scope(), seed));
        this.config = config;
        Networks networks =
                new Networks(init, image, config.channels(), config.hidden(), config.activation());
        encoder = child("encoder", networks.encoder(2 * config.latent()));
        decoder = child("decoder", networks.decoder(config.latent(), config.likelihood()));
        posterior =
                GaussianOps.Options.plain()
                        .withSite(NOISE)
                        .withSamples(config.samples())
                        .withFreeBits(config.freeBits());
    }

    /** What the model was made from. */
    public VaeConfig config() {
        return config;
    }

    /**
     * q(z|x).
     *
     * @param x {@code [batch, dims]}
     */
    public Posterior encode(Tape tape, Tensor x) {
        return Posterior.packed(encoder.forward(tape, x));
    }

    @Override
    public Tensor code(Scope scope, Tensor x) {
        Posterior q = encode(Tape.inference(scope), x);
        return scope.of(Shape.of(q.rows(), q.dims()), q.meanToArray());
    }

    @Override
    public Tensor decode(Tape tape, Tensor z) {
        return decoder.forward(tape, z);
    }

    @Override
    public boolean isRecordable() {
        return true;
    }

    @Override
    public Objective objective(Tape tape, Tensor x) {
        Scope scope = tape.scope();
        long batch = x.shape().get(0);
        Tensor klWeight = scope.scalar(config.beta() / batch);
        Tensor weight = scope.scalar(1.0f / (batch * config.samples()));
        GaussianOps.Result q =
                new GaussianSample(random(), posterior).forward(tape, encode(tape, x), klWeight);
        Likelihood.Loss reconstruction =
                config.likelihood().loss(tape, decode(tape, q.z()), x, weight);
        Tensor loss = Functions.add(tape, reconstruction.total(), q.klTotal());
        Map<String, Tensor> metrics = new LinkedHashMap<>();
        metrics.put("reconstruction", reconstruction.rows());
        metrics.put("kl", q.klRows());
        return new Objective(loss, metrics);
    }

    /**
     * Means of p(x|z) for {@code count} draws of z from the prior, {@code count dims} values; the
     * same for the same seed.
     */
    public float[] sample(Scope scope, int count, long seed) {
        Random prior = new Random(scope, seed);
        Tensor z = Ops.randomNormal(scope, Shape.of(count, config.latent()), prior, PRIOR);
        return images(scope, z);
    }

    /** 0: a vae knows none. */
    @Override
    public int classes() {
        return 0;
    }

    /**
     * {@inheritDoc}
     *
     * @throws IllegalArgumentException if it is given a condition, a temperature or top k: z is
     *     drawn as a whole
     */
    @Override
    public float[] sample(int count, Condition condition, Draws how) {
        Networks.require(
                condition.labels() == null && condition.map() == null,
                "a vae is not conditioned on anything",
                condition);
        Networks.require(
                how.temperature() == 1 && how.topK() == 0,
                "a vae does not draw value by value",
                how);
        try (Scope scope = new Scope(device())) {
            return sample(scope, count, how.seed());
        }
    }
}
