package org.jlatent.train;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jlatent.Tensor;
import org.jlatent.models.Model.Objective;

/** Running means of a model's metrics over images. */
final class Means {
    private final Map<String, Double> sums = new LinkedHashMap<>();
    private long images;

    /**
     * Takes in a batch; its loss is a mean, its metrics hold one value an image. Waits for the
     * device.
     */
    void add(Objective objective, long batch) {
        sums.merge("loss", (double) objective.loss().item() * batch, Double::sum);
        objective
                .metrics()
                .forEach((name, values) -> sums.merge(name, mean(values) * batch, Double::sum));
        images += batch;
    }

    private static double mean(Tensor values) {
        double sum = 0;
        float[] all = values.toFloatArray();
        for (float value : all) {
            sum += value;
        }
        return sum / all.length;
    }

    Map<String, Double> get() {
        Map<String, Double> means = new LinkedHashMap<>();
        sums.forEach((name, sum) -> means.put(name, sum / images));
        return means;
    }

    void clear() {
        sums.clear();
        images = 0;
    }
}
