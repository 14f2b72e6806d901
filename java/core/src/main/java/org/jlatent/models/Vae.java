package org.jlatent.models;

import org.jlatent.Scope;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageShape;
import org.jlatent.models.AutoregressiveModel.Draws;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Sequential;

/**
 * Variational autoencoder with a diagonal Gaussian posterior and a standard normal prior [Kingma,
 * Welling 2014]; with {@code beta} other than 1 a beta-VAE [Higgins et al. 2017]. Pixels are
 * independent given z.
 *
 * <p>Loss, a mean over the batch in nats: {@code -log p(x|z) + beta KL(q(z|x) || p(z))}, with free
 * bits if asked for. Parameters: {@code encoder.*}, whose last layer gives mu and logVar side by
 * side, and {@code decoder.*}.
 */
public final class Vae extends VariationalModel {
    private final VaeConfig config;
    private final Sequential decoder;

    /**
     * A model with fresh parameters.
     *
     * @param init owns the parameters
     * @param image what it is to model
     * @param seed of the noise
     * @throws IllegalArgumentException if the convolutions leave nothing of the image
     */
    public Vae(Init init, ImageShape image, VaeConfig config, long seed) {
        super(init, image, config, seed);
        this.config = config;
        Networks networks = networks(init, image, config);
        decoder = child("decoder", networks.decoder(config.latent(), config.likelihood()));
    }

    /** What the model was made from. */
    public VaeConfig config() {
        return config;
    }

    @Override
    public Tensor decode(Tape tape, Tensor z) {
        return decoder.forward(tape, z);
    }

    @Override
    public Likelihood.Loss reconstruction(Tape tape, Tensor z, Tensor x, Tensor weight) {
        return likelihood().loss(tape, decode(tape, z), x, weight);
    }

    /**
     * Means of p(x|z) for {@code count} draws of z from the prior, {@code count dims} values; the
     * same for the same seed.
     */
    public float[] sample(Scope scope, int count, long seed) {
        return images(scope, prior(scope, count, seed));
    }

    /**
     * {@inheritDoc}
     *
     * @throws IllegalArgumentException if it is given a condition, a temperature or top k: z is
     *     drawn as a whole
     */
    @Override
    public float[] sample(int count, Condition condition, Draws how) {
        requireNone(condition);
        Networks.require(
                how.temperature() == 1 && how.topK() == 0,
                "a vae does not draw value by value",
                how);
        try (Scope scope = new Scope(device())) {
            return sample(scope, count, how.seed());
        }
    }
}
