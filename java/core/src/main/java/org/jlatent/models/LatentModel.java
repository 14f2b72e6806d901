package org.jlatent.models;

import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.Likelihood;

/** A model that gives each image a code of a few numbers, and an image back for a code. */
public abstract class LatentModel extends Model {
    private final ImageShape image;
    private final int latent;
    private final Likelihood likelihood;
    private final Random random;

    /**
     * @param image what it takes
     * @param latent numbers in a code
     * @param likelihood what the decoder's output means
     * @param random the noise it draws
     */
    protected LatentModel(ImageShape image, int latent, Likelihood likelihood, Random random) {
        this.image = image;
        this.latent = latent;
        this.likelihood = likelihood;
        this.random = random;
    }

    /** The images that the model takes. */
    public final ImageShape image() {
        return image;
    }

    /** Numbers in a code. */
    public final int latent() {
        return latent;
    }

    /** What the decoder's output means. */
    public final Likelihood likelihood() {
        return likelihood;
    }

    @Override
    public final Random random() {
        return random;
    }

    /**
     * What training shows the encoder of images: the images, but for a denoising model.
     *
     * @param x {@code [batch, values]}
     * @param seed of what is hidden
     * @return {@code [batch, values]}
     */
    public Tensor seen(Scope scope, Tensor x, long seed) {
        return x;
    }

    /**
     * The codes of images: where a posterior is a distribution, its mean. Not recorded.
     *
     * @param x {@code [batch, values]}
     * @return {@code [batch, latent]}
     */
    public abstract Tensor code(Scope scope, Tensor x);

    /**
     * The parameters of p(x|z).
     *
     * @param z {@code [rows, latent]}
     * @return {@code [rows, parametersPerPixel pixels]}
     */
    public abstract Tensor decode(Tape tape, Tensor z);

    /** Means of p(x|z), {@code rows values} numbers. */
    public final float[] images(Scope scope, Tensor z) {
        Tensor parameters = decode(Tape.inference(scope), z);
        return likelihood().mean(parameters.toFloatArray(), image().values());
    }

    /** Means of p(x|z) at the code of x, {@code batch values} numbers. */
    public final float[] reconstruct(Scope scope, Tensor x) {
        return images(scope, code(scope, x));
    }

    /**
     * The codes of a whole set, {@code size latent} numbers, in its order.
     *
     * @throws IllegalArgumentException unless the images are of the size the model takes
     */
    public final float[] features(ImageSet images, int batchSize) {
        requireFitting(images, batchSize);
        float[] codes = new float[Math.multiplyExact(images.size(), latent())];
        try (Scope scope = new Scope(device())) {
            for (int first = 0; first < images.size(); first += batchSize) {
                scope.clear();
                int count = Math.min(batchSize, images.size() - first);
                float[] batch = code(scope, batch(scope, images, first, count)).toFloatArray();
                System.arraycopy(batch, 0, codes, first * latent(), batch.length);
            }
        }
        return codes;
    }

    /**
     * What every pass over a set asks for.
     *
     * @throws IllegalArgumentException unless the images are of the size the model takes, and a
     *     batch holds at least one
     */
    final void requireFitting(ImageSet images, int batchSize) {
        check(images);
        Networks.require(batchSize >= 1, "batchSize must be at least 1", batchSize);
    }

    /** As {@link #requireFitting}, for figures: there has to be an image, too. */
    final void requireMeasurable(ImageSet images, int batchSize) {
        requireFitting(images, batchSize);
        if (images.size() == 0) {
            throw new IllegalArgumentException(
                    "there are no images to evaluate on in " + images.name());
        }
    }

    @Override
    public final void check(ImageSet images) {
        if (!images.shape().equals(image())) {
            throw new IllegalArgumentException(
                    "the model takes images of "
                            + image()
                            + ", "
                            + images.name()
                            + " has "
                            + images.shape());
        }
    }

    @Override
    public final void check(float[] images) {
        likelihood().check(images);
    }

    static Tensor batch(Scope scope, ImageSet images, int first, int count) {
        int dims = images.dimensions();
        float[] pixels = new float[Math.multiplyExact(count, dims)];
        for (int i = 0; i < count; i++) {
            images.read(first + i, pixels, i * dims);
        }
        return scope.of(Shape.of(count, dims), pixels);
    }
}
