package org.jlatent.models;

import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.Likelihood;

/** A model of images of one size. */
public abstract class ImageModel extends Model {
    private final ImageShape image;
    private final Likelihood likelihood;
    private final Random random;

    /**
     * @param image what it takes
     * @param likelihood what its output means
     * @param random the noise it draws
     */
    protected ImageModel(ImageShape image, Likelihood likelihood, Random random) {
        this.image = image;
        this.likelihood = likelihood;
        this.random = random;
    }

    /** The images that the model takes. */
    public final ImageShape image() {
        return image;
    }

    /** What the model's output means. */
    public final Likelihood likelihood() {
        return likelihood;
    }

    @Override
    public final Random random() {
        return random;
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
    public void check(ImageSet images) {
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
    public void check(float[] images) {
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
