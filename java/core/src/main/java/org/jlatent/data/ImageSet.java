package org.jlatent.data;

import java.util.OptionalInt;

/** Images of one size, read by index; NHWC, values in [0, 1], clips in [-1, 1]. Thread-safe. */
public interface ImageSet {

    /** For messages and run folders: {@code "mnist"}. */
    String name();

    /** How many images there are. */
    int size();

    /** Height, width and channels, the same for all. */
    ImageShape shape();

    /**
     * Writes image {@code index}, {@link #dimensions} values, from {@code destination[offset]} on.
     */
    void read(int index, float[] destination, int offset);

    /** The class of image {@code index}, where there is one. */
    default OptionalInt label(int index) {
        return OptionalInt.empty();
    }

    /** Rows of pixels. */
    default int height() {
        return shape().height();
    }

    /** Columns of pixels. */
    default int width() {
        return shape().width();
    }

    /** Values a pixel. */
    default int channels() {
        return shape().channels();
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
