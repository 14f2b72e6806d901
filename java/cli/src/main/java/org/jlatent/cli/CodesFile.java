package org.jlatent.cli;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.LongStream;
import org.jlatent.JlatentException;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.data.ImageShape;
import org.jlatent.io.Npy;
import org.jlatent.models.ImageModel;
import org.jlatent.models.VqVae;

/**
 * Codes of images as a .npy file: i4 (i8 is read, too), {@code [images, height, width, books]}, of
 * clips {@code [clips, length, books]}; one book has no axis.
 *
 * @param codes row-major
 * @param image what each image is of
 */
record CodesFile(int[] codes, ImageShape image) {
    private static final int PIXELS = 1 << 18; // of images at once

    /** Images to encode or decode at once: few, if they are large. */
    static int batch(ImageShape image) {
        return Math.max(1, Math.min(256, PIXELS / (image.height() * image.width())));
    }

    /** The extents of the file. */
    static int[] shape(VqVae model, int images, ImageShape image) {
        long[] codes = model.codesShape(image).toArray();
        int skipped = model.image().height() == 1 ? 1 : 0;
        return LongStream.concat(LongStream.of(images), Arrays.stream(codes).skip(skipped))
                .mapToInt(Math::toIntExact)
                .toArray();
    }

    void write(Path file, VqVae model) {
        int each = Math.toIntExact(model.codesShape(image).elements());
        Npy.write(file, codes, shape(model, codes.length / each, image));
    }

    /**
     * @throws JlatentException if there are no codes in it, or codes that the model can't have made
     */
    static CodesFile read(Path file, VqVae model) {
        Npy.Array array = Npy.read(file);
        if (array.type() != Npy.Type.I4 && array.type() != Npy.Type.I8) {
            throw new JlatentException(
                    file + " holds " + array.type() + " values; codes are integers of i4 or i8");
        }
        ImageShape image = image(file, array.shape(), model);
        int[] codes = new int[array.size()];
        for (int i = 0; i < codes.length; i++) {
            long code = array.integer(i);
            if (code < 0 || code >= model.quantizer().codes()) {
                throw new JlatentException(
                        file
                                + " holds code "
                                + code
                                + " at "
                                + Arrays.toString(place(i, array.shape()))
                                + ", the model has codes from 0 to "
                                + (model.quantizer().codes() - 1)
                                + ": they are another model's");
            }
            codes[i] = (int) code;
        }
        return new CodesFile(codes, image);
    }

    private static ImageShape image(Path file, int[] shape, VqVae model) {
        if (shape.length < 2 || shape[0] == 0) {
            throw new JlatentException(
                    file + " of shape " + Arrays.toString(shape) + " holds no codes of images");
        }
        LongStream each = Arrays.stream(shape).skip(1).asLongStream();
        boolean clips = model.image().height() == 1;
        try {
            return model.imageShape(
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
    static VqVae model(RunFolder run, ImageModel model) {
        if (model instanceof VqVae vqVae) {
            return vqVae;
        }
        throw new JlatentException(
                "only models with vector quantization have codes, and "
                        + run.path()
                        + " holds a model of kind "
                        + run.config().model()
                        + "; 'jlatent features' writes what it has");
    }
}
