package org.jlatent.models;

import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.Batches;
import org.jlatent.data.ImageSet;
import org.jlatent.nn.Quantizer;

/** What a {@link QuantizedModel} takes from its training images before the first step. */
final class CodebookStart {
    private static final int VECTORS_A_CODE = 16;
    private static final int MOST_VECTORS = 1 << 18;
    private static final int BATCH = 32; // of the images that they come from

    private CodebookStart() {}

    /** Of all values of all images. */
    static double variance(ImageSet images) {
        float[] values = new float[images.dimensions()];
        double sum = 0;
        double squares = 0;
        for (int i = 0; i < images.size(); i++) {
            images.read(i, values, 0);
            for (float value : values) {
                sum += value;
                squares += (double) value * value;
            }
        }
        double n = (double) images.size() * values.length;
        double variance = squares / n - sum / n * (sum / n);
        if (!(variance > 0)) {
            throw new IllegalArgumentException(
                    "the values of " + images.name() + " have variance " + variance);
        }
        return variance;
    }

    /**
     * Vectors of a map, of images drawn from a set: enough to start a codebook.
     *
     * @param scope owns the result
     * @return {@code [vectors, dims]}
     */
    static Tensor vectors(QuantizedModel model, int map, Scope scope, ImageSet images, long seed) {
        Quantizer quantizer = model.quantizers().get(map);
        long perImage = model.vectors(map);
        long wanted = Math.min(VECTORS_A_CODE * quantizer.codes(), MOST_VECTORS);
        int count = (int) Math.min(images.size(), (wanted - 1) / perImage + 1);
        int length = Math.toIntExact(perImage * quantizer.dims());
        int[] drawn = new Batches(images.size(), count, seed).batch(0, 0);
        float[] all = new float[count * length];
        try (Scope scratch = new Scope(model.device())) {
            for (int first = 0; first < count; first += BATCH) {
                scratch.clear();
                int some = Math.min(BATCH, count - first);
                float[] pixels = new float[some * images.dimensions()];
                for (int i = 0; i < some; i++) {
                    images.read(drawn[first + i], pixels, i * images.dimensions());
                }
                Tensor x = scratch.of(Shape.of(some, images.dimensions()), pixels);
                float[] v = model.vectors(Tape.inference(scratch), x, map).toFloatArray();
                System.arraycopy(v, 0, all, first * length, v.length);
            }
        }
        return scope.of(Shape.of(count * perImage, quantizer.dims()), all);
    }
}
