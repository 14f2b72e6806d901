package org.jlatent.models;

import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;

/**
 * How well an {@link Autoencoder} gives images back. Means over images.
 *
 * @param squaredError summed over an image's values
 * @param absoluteError summed over an image's values
 * @param normalizedError squared error / variance of the data: 1 is as bad as the mean value
 *     everywhere
 */
public record AutoencoderEvaluation(
        double squaredError, double absoluteError, double normalizedError) {
    private static final int SITE = 2; // of the evaluation's hidden pixels

    /**
     * Goes over all images once; the same seed hides the same pixels, whatever the model.
     *
     * @param drop part of the pixels to hide from the encoder, in [0, 1); the whole image is what
     *     the result is held against
     * @throws IllegalArgumentException if there are no images, or not of the size the model takes
     */
    public static AutoencoderEvaluation of(
            Autoencoder model, ImageSet images, float drop, int batchSize, long seed) {
        model.requireMeasurable(images, batchSize);
        ReconstructionErrors errors = new ReconstructionErrors();
        try (Scope owned = new Scope(model.device());
                Scope scope = new Scope(model.device())) {
            Random random = new Random(owned, seed);
            for (int first = 0; first < images.size(); first += batchSize) {
                scope.clear();
                Tensor x =
                        LatentModel.batch(
                                scope, images, first, Math.min(batchSize, images.size() - first));
                Tensor seen = Autoencoder.masked(scope, x, random, SITE, drop);
                errors.add(x.toFloatArray(), model.reconstruct(scope, seen));
                random.advance();
            }
        }
        double n = images.size();
        return new AutoencoderEvaluation(
                errors.squared() / n, errors.absolute() / n, errors.normalized());
    }
}
