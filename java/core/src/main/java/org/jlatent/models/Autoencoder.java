package org.jlatent.models;

import java.util.Map;
import org.jlatent.Ops;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Sequential;

/**
 * Autoencoder: an image is squeezed into a few numbers and made again from them. With {@link
 * AutoencoderConfig#drop} a denoising one: the encoder sees images of which a random part of the
 * pixels is black, and the decoder is to give the whole ones [Vincent et al. 2008].
 *
 * <p>Loss: the sum of errors over an image, a mean over the batch. Parameters: {@code encoder.*}
 * and {@code decoder.*}.
 */
public final class Autoencoder extends LatentModel {
    private static final int MASK = 1; // the site of the hidden pixels

    private final AutoencoderConfig config;
    private final Sequential encoder;
    private final Sequential decoder;

    /**
     * @param init owns the parameters
     * @param image what it is to take
     * @param seed of the hidden pixels
     * @throws IllegalArgumentException if the convolutions leave nothing of the image
     */
    public Autoencoder(Init init, ImageShape image, AutoencoderConfig config, long seed) {
        super(image, config.latent(), config.loss(), new Random(init.scope(), seed));
        this.config = config;
        Networks networks =
                new Networks(init, image, config.channels(), config.hidden(), config.activation());
        encoder = child("encoder", networks.encoder(config.latent()));
        decoder = child("decoder", networks.decoder(config.latent(), config.loss()));
    }

    /** What the model was made from. */
    public AutoencoderConfig config() {
        return config;
    }

    /**
     * The codes of images, recorded.
     *
     * @param x {@code [batch, values]}
     * @return {@code [batch, latent]}
     */
    public Tensor encode(Tape tape, Tensor x) {
        return encoder.forward(tape, x);
    }

    @Override
    public Tensor seen(Scope scope, Tensor x, long seed) {
        return masked(scope, x, new Random(scope, seed), MASK, config.drop());
    }

    /** x with each value set to 0 at probability {@code drop}. */
    static Tensor masked(Scope scope, Tensor x, Random random, int site, float drop) {
        return drop == 0 ? x : Ops.dropout(scope, x, random, site, drop, false);
    }

    /**
     * A denoising autoencoder's encoder knows images of which a part is hidden: {@link #seen} ones
     * fit it better than whole ones.
     */
    @Override
    public Tensor code(Scope scope, Tensor x) {
        return encode(Tape.inference(scope), x);
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
        Tensor seen = masked(scope, x, random(), MASK, config.drop());
        Likelihood.Loss loss =
                config.loss()
                        .loss(
                                tape,
                                decode(tape, encode(tape, seen)),
                                x,
                                scope.scalar(1.0f / x.shape().get(0)));
        return new Objective(loss.total(), Map.of("reconstruction", loss.rows()));
    }
}
