package org.jlatent.data;

import java.util.OptionalInt;

/** Neighbouring images of another set. */
record Range(ImageSet images, int from, int to) implements ImageSet {
    Range {
        if (from < 0 || from > to || to > images.size()) {
            throw new IllegalArgumentException(
                    "images "
                            + from
                            + " to "
                            + to
                            + " of a set of "
                            + images.size()
                            + " do not exist");
        }
    }

    @Override
    public String name() {
        return images.name();
    }

    @Override
    public int size() {
        return to - from;
    }

    @Override
    public ImageShape shape() {
        return images.shape();
    }

    @Override
    public void read(int index, float[] destination, int offset) {
        images.read(from + index, destination, offset);
    }

    @Override
    public OptionalInt label(int index) {
        return images.label(from + index);
    }
}
