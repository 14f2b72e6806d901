package org.jlatent.data;

import java.util.OptionalInt;

/** Another set's images, but for what is overridden. */
public abstract class WrappedImageSet implements ImageSet {
    private final ImageSet images;

    protected WrappedImageSet(ImageSet images) {
        this.images = images;
    }

    @Override
    public String name() {
        return images.name();
    }

    @Override
    public int size() {
        return images.size();
    }

    @Override
    public ImageShape shape() {
        return images.shape();
    }

    @Override
    public void read(int index, float[] destination, int offset) {
        images.read(index, destination, offset);
    }

    @Override
    public OptionalInt label(int index) {
        return images.label(index);
    }
}
