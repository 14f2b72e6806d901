package org.jlatent.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.LongStream;
import org.jlatent.JlatentException;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.data.ImageShape;
import org.jlatent.io.Npy;
import org.jlatent.models.ImageModel;
import org.jlatent.models.QuantizedModel;

/**
 * Codes of images as .npy files: i4 (i8 is read, too), {@code [images, height, width, books]}, of
 * clips {@code [clips, length, books]}; one book has no axis. A model with several maps of codes
 * has a file for each, {@code codes-top.npy} beside {@code codes-bottom.npy}.
 *
 * @param codes of each map, row-major
 * @param image what each image is of
 */
record CodesFile(int[][] codes, ImageShape image) {
    private static final int PIXELS = 1 << 18; // of images at once
    private static final String END = ".npy";

    /** Images to encode or decode at once: few, if they are large. */
    static int batch(ImageShape image) {
        return Math.max(1, Math.min(256, PIXELS / (image.height() * image.width())));
    }

    /** The file of each map. */
    static List<Path> files(Path given, QuantizedModel model) {
        if (model.maps().size() == 1) {
            return List.of(given);
        }
        String name = given.getFileName().toString();
        String stem = name.endsWith(END) ? name.substring(0, name.length() - END.length()) : name;
        return model.maps().stream()
                .map(map -> given.resolveSibling(stem + "-" + map + END))
                .toList();
    }

    /** The extents of each file. */
    static List<int[]> shapes(QuantizedModel model, int images, ImageShape image) {
        int skipped = model.image().height() == 1 ? 1 : 0;
        List<int[]> shapes = new ArrayList<>();
        for (int map = 0; map < model.maps().size(); map++) {
            LongStream each = Arrays.stream(model.codesShape(map, image).toArray()).skip(skipped);
            shapes.add(
                    LongStream.concat(LongStream.of(images), each)
                            .mapToInt(Math::toIntExact)
                            .toArray());
        }
        return shapes;
    }

    void write(Path given, QuantizedModel model, int images) {
        List<Path> files = files(given, model);
        List<int[]> shapes = shapes(model, images, image);
        for (int map = 0; map < codes.length; map++) {
            Npy.write(files.get(map), codes[map], shapes.get(map));
        }
    }

    /**
     * @throws JlatentException if there are no codes in it, or codes that the model can't have made
     */
    static CodesFile read(Path given, QuantizedModel model) {
        List<Path> files = files(given, model);
        int[][] codes = new int[files.size()][];
        int[] first = null;
        ImageShape image = null;
        for (int map = 0; map < codes.length; map++) {
            Path file = files.get(map);
            Npy.Array array = Npy.read(file);
            codes[map] = codes(file, array, model.quantizers().get(map).codes());
            ImageShape of = image(file, array.shape(), model, map);
            if (map > 0 && (array.shape()[0] != first[0] || !of.equals(image))) {
                throw new JlatentException(
                        file
                                + " is of "
                                + array.shape()[0]
                                + " images of "
                                + of
                                + ", "
                                + files.get(0)
                                + " of "
                                + first[0]
                                + " of "
                                + image);
            }
            first = array.shape();
            image = of;
        }
        return new CodesFile(codes, image);
    }

    private static int[] codes(Path file, Npy.Array array, long most) {
        if (array.type() != Npy.Type.I4 && array.type() != Npy.Type.I8) {
            throw new JlatentException(
                    file + " holds " + array.type() + " values; codes are integers of i4 or i8");
        }
        int[] codes = new int[array.size()];
        for (int i = 0; i < codes.length; i++) {
            long code = array.integer(i);
            if (code < 0 || code >= most) {
                throw new JlatentException(
                        file
                                + " holds code "
                                + code
                                + " at "
                                + Arrays.toString(place(i, array.shape()))
                                + ", the model has codes from 0 to "
                                + (most - 1)
                                + ": they are another model's");
            }
            codes[i] = (int) code;
        }
        return codes;
    }

    private static ImageShape image(Path file, int[] shape, QuantizedModel model, int map) {
        if (shape.length < 2 || shape[0] == 0) {
            throw new JlatentException(
                    file + " of shape " + Arrays.toString(shape) + " holds no codes of images");
        }
        LongStream each = Arrays.stream(shape).skip(1).asLongStream();
        boolean clips = model.image().height() == 1;
        try {
            return model.imageShape(
                    map,
                    Shape.of((clips ? LongStream.concat(LongStream.of(1), each) : each).toArray()));
        } catch (ShapeException e) {
            throw new JlatentException(
                    file
                            + " of shape "
                            + Arrays.toString(shape)
                            + " does not fit the model: "
                            + e.getMessage(),
                    e);
        }
    }

    private static int[] place(int index, int[] shape) {
        int[] place = new int[shape.length];
        int rest = index;
        for (int axis = shape.length - 1; axis >= 0; axis--) {
            place[axis] = rest % shape[axis];
            rest /= shape[axis];
        }
        return place;
    }

    /**
     * @throws JlatentException unless the model has codes
     */
    static QuantizedModel model(RunFolder run, ImageModel model) {
        if (model instanceof QuantizedModel quantized) {
            return quantized;
        }
        throw new JlatentException(
                "only models with vector quantization have codes, and "
                        + run.path()
                        + " holds a model of kind "
                        + run.config().model()
                        + "; 'jlatent features' writes what it has");
    }
}
