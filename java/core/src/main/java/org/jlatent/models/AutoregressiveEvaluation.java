package org.jlatent.models;

import org.jlatent.Scope;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;

/**
 * How well an {@link AutoregressiveModel} explains a set of images: exactly, nothing is drawn.
 *
 * @param nll -log p(x) in nats an image, the mean over the images
 * @param bitsPerDim the same in bits a value
 */
public record AutoregressiveEvaluation(double nll, double bitsPerDim) {

    /**
     * Goes over all images once.
     *
     * @throws IllegalArgumentException if there are no images, or not such as the model takes
     */
    public static AutoregressiveEvaluation of(
            AutoregressiveModel model, ImageSet images, int batchSize) {
        model.requireMeasurable(images, batchSize);
        double nll = 0;
        try (Scope scope = new Scope(model.device())) {
            for (int first = 0; first < images.size(); first += batchSize) {
                scope.clear();
                int count = Math.min(batchSize, images.size() - first);
                Tensor x = ImageModel.batch(scope, images, first, count);
                int[] labels = new int[count];
                for (int i = 0; i < count; i++) {
                    labels[i] = images.label(first + i).orElse(-1);
                }
                model.check(x.toFloatArray());
                Tape tape = Tape.inference(scope);
                Tensor logits = model.logits(tape, x, model.condition(labels));
                for (float row :
                        model.likelihood().loss(tape, logits, x, null).rows().toFloatArray()) {
                    nll += row;
                }
            }
        }
        nll /= images.size();
        return new AutoregressiveEvaluation(nll, nll / images.dimensions() / Math.log(2));
    }
}
