package org.jlatent.data;

import java.util.OptionalInt;

/** Another set's images with random changes that stay the same at every reading. */
record Augmented(ImageSet images, Augmentation augmentation, long seed, long epoch)
        implements ImageSet {

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
        augmentation.read(images, seed, epoch, index, destination, offset);
    }

    @Override
    public OptionalInt label(int index) {
        return images.label(index);
    }
}
