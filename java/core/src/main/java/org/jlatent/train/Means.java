package org.jlatent.train;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;
import org.jlatent.models.Model;

/** Running means of a model's metrics over images. */
final class Means {
    private final Map<String, Double> sums = new LinkedHashMap<>();
    private long images;

    /**
     * Of a whole set, in inference.
     *
     * @param scratch is cleared for every batch
     */
    static Means of(Model model, ImageSet images, int batchSize, Scope scratch) {
        Means result = new Means();
        int dims = images.dimensions();
        for (int first = 0; first < images.size(); first += batchSize) {
            scratch.clear();
            int count = Math.min(batchSize, images.size() - first);
            float[] values = new float[count * dims];
            for (int i = 0; i < count; i++) {
                images.read(first + i, values, i * dims);
            }
            Tensor x = scratch.of(Shape.of(count, dims), values);
            result.add(EagerSteps.values(model.objective(Tape.inference(scratch), x)), count);
        }
        return result;
    }

    /** Takes in a batch: the loss, which is a mean, and metrics, of which every element is one. */
    void add(Map<String, float[]> values, long batch) {
        values.forEach((name, all) -> sums.merge(name, mean(all) * batch, Double::sum));
        images += batch;
    }

    private static double mean(float[] values) {
        double sum = 0;
        for (float value : values) {
            sum += value;
        }
        return sum / values.length;
    }

    Map<String, Double> get() {
        Map<String, Double> means = new LinkedHashMap<>();
        sums.forEach((name, sum) -> means.put(name, sum / images));
        return means;
    }

    /** What to give {@link #set} to go on later. */
    Map<String, Double> sums() {
        return new LinkedHashMap<>(sums);
    }

    long images() {
        return images;
    }

    void set(Map<String, Double> givenSums, long ofImages) {
        sums.clear();
        sums.putAll(givenSums);
        images = ofImages;
    }

    void clear() {
        sums.clear();
        images = 0;
    }
}
