package org.jlatent.models;

import java.util.Arrays;
import java.util.stream.Collectors;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.data.ImageShape;

/**
 * Which sizes of images have which sizes of codes: sides are halved {@code levels} times, of
 * sequences, images of height 1, their length.
 *
 * @param model the images that the model was made for: sequences, or not
 */
record CodeGrid(ImageShape model, int levels) {

    /**
     * @throws IllegalArgumentException unless 2^levels divides the sides of the model's images
     */
    CodeGrid {
        check(model, model, levels);
    }

    /** Of an image of the model. */
    long vectors() {
        return codes(model, Shape.of()).elements();
    }

    /**
     * {@code [height, width, books]}, of sequences {@code [1, length, books]}.
     *
     * @throws IllegalArgumentException if such images have no codes
     */
    Shape codes(ImageShape of, Shape books) {
        check(of, model, levels);
        return joined(isSequence() ? 1 : of.height() >> levels, of.width() >> levels, books);
    }

    /**
     * The image that codes stand for.
     *
     * @throws ShapeException if there is none
     */
    ImageShape image(Shape codes, Shape books) {
        boolean fits =
                codes.rank() == 2 + books.rank()
                        && codes.equals(joined(codes.get(0), codes.get(1), books))
                        && codes.elements() > 0
                        && (!isSequence() || codes.get(0) == 1);
        if (!fits) {
            throw new ShapeException(
                    "an image's codes are ["
                            + (isSequence() ? "1, length" : "height, width")
                            + Arrays.stream(books.toArray())
                                    .mapToObj(extent -> ", " + extent)
                                    .collect(Collectors.joining())
                            + "] here, got "
                            + codes);
        }
        return new ImageShape(
                isSequence() ? 1 : Math.toIntExact(codes.get(0) << levels),
                Math.toIntExact(codes.get(1) << levels),
                model.channels());
    }

    private boolean isSequence() {
        return model.height() == 1;
    }

    private static Shape joined(long height, long width, Shape books) {
        long[] all = new long[2 + books.rank()];
        all[0] = height;
        all[1] = width;
        System.arraycopy(books.toArray(), 0, all, 2, books.rank());
        return Shape.of(all);
    }

    private static void check(ImageShape of, ImageShape model, int levels) {
        if (of.channels() != model.channels()) {
            throw new IllegalArgumentException(
                    "the model takes images of "
                            + model.channels()
                            + (model.channels() == 1 ? " channel" : " channels")
                            + ", got "
                            + of);
        }
        boolean sequence = model.height() == 1;
        if (sequence && of.height() != 1) {
            throw new IllegalArgumentException(
                    "the model takes sequences, images of height 1, got " + of);
        }
        int factor = 1 << levels;
        if (of.width() % factor != 0 || (!sequence && of.height() % factor != 0)) {
            throw new IllegalArgumentException(
                    (sequence ? "lengths are" : "height and width are")
                            + " halved "
                            + levels
                            + " times and must be multiples of "
                            + factor
                            + ", got "
                            + of
                            + "; "
                            + fitting(of, factor, sequence));
        }
    }

    /** Sizes around one that does not fit: {@code "28x28 or 32x32 would fit"}. */
    private static String fitting(ImageShape of, int factor, boolean sequence) {
        String smaller = size(of, factor, 0, sequence);
        String larger = size(of, factor, factor - 1, sequence);
        boolean some = of.width() >= factor && (sequence || of.height() >= factor);
        return (some ? smaller + " or " : "") + larger + " would fit";
    }

    private static String size(ImageShape of, int factor, int more, boolean sequence) {
        long height = ((long) of.height() + more) / factor * factor;
        long width = ((long) of.width() + more) / factor * factor;
        return sequence ? "a length of " + width : height + "x" + width;
    }
}
