package org.jlatent.models;

import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.Likelihood;

/** A model that gives each image a code of a few numbers, and an image back for a code. */
public abstract class LatentModel extends ImageModel {
    private final int latent;

    /**
     * @param image what it takes
     * @param latent numbers in a code
     * @param likelihood what the decoder's output means
     * @param random the noise it draws
     */
    protected LatentModel(ImageShape image, int latent, Likelihood likelihood, Random random) {
        super(image, likelihood, random);
        this.latent = latent;
    }

    /** Numbers in a code. */
    public final int latent() {
        return latent;
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
     * What the decoder makes of codes: the parameters of p(x|z).
     *
     * @param z {@code [rows, latent]}
     * @return {@code [rows, parametersPerPixel pixels]}
     */
    public abstract Tensor decode(Tape tape, Tensor z);

    /**
     * Means of p(x|z); draws from it where pixels depend on each other.
     *
     * @param z {@code [rows, latent]}
     * @return {@code rows values} numbers
     */
    public float[] images(Scope scope, Tensor z) {
        Tensor parameters = decode(Tape.inference(scope), z);
        return likelihood().mean(parameters.toFloatArray(), image().values());
    }

    /** {@link #images} at the codes of x, {@code batch values} numbers. */
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
}
