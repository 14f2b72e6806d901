package org.jlatent.models;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jlatent.DType;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;

/** Codes of any number of images, and what fits together of them. */
final class CodeBatches {
    private CodeBatches() {}

    /** {@code [batch, height, width]} and the axes of a quantizer's books. */
    static Shape withBooks(Shape places, Shape books) {
        Shape all = places;
        for (long extent : books.toArray()) {
            all = all.withLast(extent);
        }
        return all;
    }

    /** {@link QuantizedModel#encodeMaps(ImageSet, int)}. */
    static int[][] encode(QuantizedModel model, ImageSet images, int batchSize) {
        Networks.require(batchSize >= 1, "batchSize must be at least 1", batchSize);
        int[][] codes = new int[model.maps().size()][];
        for (int map = 0; map < codes.length; map++) {
            codes[map] =
                    new int[Math.multiplyExact(images.size(), length(model, map, images.shape()))];
        }
        try (Scope scope = new Scope(model.device())) {
            for (int first = 0; first < images.size(); first += batchSize) {
                scope.clear();
                int count = Math.min(batchSize, images.size() - first);
                Tensor x = ImageModel.batch(scope, images, first, count);
                List<Tensor> maps = model.encodeMaps(scope, x, images.shape());
                for (int map = 0; map < codes.length; map++) {
                    int[] some = maps.get(map).toIntArray();
                    int at = first * length(model, map, images.shape());
                    System.arraycopy(some, 0, codes[map], at, some.length);
                }
            }
        }
        return codes;
    }

    /** {@link QuantizedModel#decodeMaps(int[][], ImageShape, int)}. */
    static float[] decode(QuantizedModel model, int[][] codes, ImageShape of, int batchSize) {
        Networks.require(batchSize >= 1, "batchSize must be at least 1", batchSize);
        Networks.require(
                codes.length == model.maps().size(),
                "the model has " + model.maps().size() + " maps of codes",
                codes.length);
        int count = codes[0].length / length(model, 0, of);
        for (int map = 0; map < codes.length; map++) {
            Networks.require(
                    codes[map].length == count * length(model, map, of),
                    "images of " + of + " have " + length(model, map, of) + " codes each",
                    codes[map].length);
        }
        float[] images = new float[Math.multiplyExact(count, of.values())];
        try (Scope scope = new Scope(model.device())) {
            for (int first = 0; first < count; first += batchSize) {
                scope.clear();
                int last = Math.min(first + batchSize, count);
                List<Tensor> some = new ArrayList<>();
                for (int map = 0; map < codes.length; map++) {
                    int length = length(model, map, of);
                    int[] part = Arrays.copyOfRange(codes[map], first * length, last * length);
                    Shape s = model.codesShape(map, of);
                    long books = length / s.get(0) / s.get(1);
                    Shape batch = Shape.of(last - first, s.get(0), s.get(1), books);
                    some.add(scope.ofInts(batch, part));
                }
                float[] decoded = model.decodeMaps(scope, some);
                System.arraycopy(decoded, 0, images, first * of.values(), decoded.length);
            }
        }
        return images;
    }

    /** Codes of an image. */
    private static int length(QuantizedModel model, int map, ImageShape of) {
        return Math.toIntExact(model.codesShape(map, of).elements());
    }

    /**
     * The images that codes are of.
     *
     * @throws ShapeException if there are none
     */
    static ImageShape image(QuantizedModel model, List<Tensor> codes) {
        if (codes.size() != model.maps().size()) {
            throw new ShapeException(
                    "the model has " + model.maps().size() + " maps of codes, got " + codes.size());
        }
        long batch = 0;
        ImageShape image = null;
        for (int map = 0; map < codes.size(); map++) {
            Shape shape = codes.get(map).shape();
            long[] extents = shape.toArray();
            if (extents.length == 0 || codes.get(map).dtype() != DType.I32) {
                throw new ShapeException(
                        "codes must be I32, [batch, height, width, books], got "
                                + shape
                                + " of "
                                + codes.get(map).dtype());
            }
            Shape each = Shape.of(Arrays.copyOfRange(extents, 1, extents.length));
            Shape books = Shape.of(model.quantizers().get(map).books().elements());
            ImageShape of = model.grid(map).image(each, books);
            if (map > 0 && (extents[0] != batch || !of.equals(image))) {
                throw new ShapeException(
                        String.format(
                                "the codes of the %s map are of %d images of %s, those of the %s"
                                        + " map of %d of %s",
                                model.maps().get(map),
                                extents[0],
                                of,
                                model.maps().get(0),
                                batch,
                                image));
            }
            batch = extents[0];
            image = of;
        }
        return image;
    }
}
