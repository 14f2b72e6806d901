package org.jlatent.data;

import java.util.OptionalInt;

/** Images of one size, read by index; NHWC, values in [0, 1], clips in [-1, 1]. Thread-safe. */
public interface ImageSet {

    /** For messages and run folders: {@code "mnist"}. */
    String name();

    /** How many images there are. */
    int size();

    /** Rows of pixels. */
    int height();

    /** Columns of pixels. */
    int width();

    /** Values a pixel. */
    int channels();

    /**
     * Writes image {@code index}, {@link #dimensions} values, from {@code destination[offset]} on.
     */
    void read(int index, float[] destination, int offset);

    /** The class of image {@code index}, where there is one. */
    default OptionalInt label(int index) {
        return OptionalInt.empty();
    }

    /** Height, width and channels together. */
    default ImageShape shape() {
        return new ImageShape(height(), width(), channels());
    }

    /** Values an image: height x width x channels. */
    default int dimensions() {
        return shape().values();
    }

    /**
     * Images [{@code from}, {@code to}) of this set.
     *
     * @throws IllegalArgumentException unless {@code 0 <= from <= to <= size}
     */
    default ImageSet range(int from, int to) {
        return new Range(this, from, to);
    }
}
