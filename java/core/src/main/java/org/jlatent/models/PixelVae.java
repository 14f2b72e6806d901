package org.jlatent.models;

import org.jlatent.Ops;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeOps;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageShape;
import org.jlatent.models.AutoregressiveModel.Draws;
import org.jlatent.nn.Functions;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Sequential;

/**
 * Variational autoencoder whose pixels depend on each other given z [Gulrajani et al. 2017]: {@code
 * p(x|z) = product of p(x_i | x_1 .. x_(i-1), z)}. The decoder makes a map of z, on which a {@link
 * GatedPixelCnn} is conditioned, pixel by pixel and in every layer. It sees a few pixels far:
 * textures and edges are its own, and what is farther apart goes through z.
 *
 * <p>Loss, a mean over the batch in nats: {@code -log p(x|z) + beta KL(q(z|x) || p(z))}, with free
 * bits if asked for. Parameters: {@code encoder.*}, {@code decoder.*}, {@code pixels.network.*}.
 */
public final class PixelVae extends VariationalModel {
    private static final int ROWS = 128; // of z at once, where nothing is recorded
    private static final long SEED = 0; // of images of given codes

    private final PixelVaeConfig config;
    private final Sequential decoder;
    private final GatedPixelCnn pixels;

    /**
     * A model with fresh parameters.
     *
     * @param init owns the parameters
     * @param image what it is to model
     * @param seed of the noise
     * @throws IllegalArgumentException unless the likelihood is one of levels, the image's channels
     *     divide the features, and the convolutions leave something of the image
     */
    public PixelVae(Init init, ImageShape image, PixelVaeConfig config, long seed) {
        super(init, image, config.vae(), seed);
        this.config = config;
        Networks networks = networks(init, image, config.vae());
        decoder = child("decoder", networks.map(latent(), config.pixels().conditionChannels()));
        pixels =
                child(
                        "pixels",
                        new GatedPixelCnn(init, image, config.pixels(), random(), LAST_SITE));
    }

    /** What the model was made from. */
    public PixelVaeConfig config() {
        return config;
    }

    /** p(x|z): the model of pixels given the map that {@link #decode} makes of z. */
    public GatedPixelCnn pixels() {
        return pixels;
    }

    /**
     * What pixels are conditioned on.
     *
     * @param z {@code [rows, latent]}
     * @return {@code [rows, height, width, conditionChannels]}
     */
    @Override
    public Tensor decode(Tape tape, Tensor z) {
        return decoder.forward(tape, z);
    }

    @Override
    public void check(float[] images) {
        pixels.check(images);
    }

    // ---- likelihood ----

    @Override
    public Likelihood.Loss reconstruction(Tape tape, Tensor z, Tensor x, Tensor weight) {
        Tensor images = repeated(tape, x, z.shape().get(0));
        Tensor logits = pixels.logits(tape, images, Condition.ofMap(decode(tape, z)));
        return likelihood().loss(tape, logits, images, weight);
    }

    /** Each image as often as there are draws of z for it: its pixels are seen once for each. */
    private static Tensor repeated(Tape tape, Tensor x, long rows) {
        long samples = rows / x.shape().get(0);
        if (samples == 1) {
            return x;
        }
        Tensor repeated = ShapeOps.repeat(tape.scope(), x, 1, samples);
        tape.record("repeat", x, repeated, d -> Ops.sum(tape.scope(), d, 1));
        return Functions.reshape(tape, repeated, Shape.of(rows, x.shape().get(1)));
    }

    /** {@inheritDoc} A few at a time: the feature maps of many draws take gigabytes. */
    @Override
    float[] nll(Scope scope, Tensor z, Tensor x) {
        float[] rows = new float[(int) z.shape().get(0)];
        Tensor images = repeated(Tape.inference(scope), x, rows.length);
        try (Scope part = new Scope(scope.device())) {
            for (int first = 0; first < rows.length; first += ROWS) {
                part.clear();
                int last = Math.min(first + ROWS, rows.length);
                float[] some =
                        super.nll(
                                part,
                                ShapeOps.slice(part, z, 0, first, last),
                                ShapeOps.slice(part, images, 0, first, last));
                System.arraycopy(some, 0, rows, first, some.length);
            }
        }
        return rows;
    }

    // ---- sampling ----

    /**
     * Draws images from p(x|z), pixel by pixel.
     *
     * @param z {@code [rows, latent]}
     * @return {@code rows dims} values
     */
    public float[] draw(Scope scope, Tensor z, Draws how) {
        Tensor map = decode(Tape.inference(scope), z);
        return pixels.sample((int) z.shape().get(0), Condition.ofMap(map), how);
    }

    /** {@inheritDoc} Drawn, with a seed that is always the same. */
    @Override
    public float[] images(Scope scope, Tensor z) {
        return draw(scope, z, Draws.of(SEED));
    }

    /**
     * Draws z from the prior, and images from p(x|z); the same for the same seed, the first ones
     * for any count.
     *
     * @return {@code count dims} values
     * @throws IllegalArgumentException if it is given a condition
     */
    @Override
    public float[] sample(int count, Condition condition, Draws how) {
        requireNone(condition);
        try (Scope scope = new Scope(device())) {
            return draw(scope, prior(scope, count, how.seed()), how);
        }
    }
}
