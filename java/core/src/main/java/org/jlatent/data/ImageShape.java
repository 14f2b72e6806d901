package org.jlatent.data;

/** Height, width and channels of an image, NHWC, each at least 1. A sequence has height 1. */
public record ImageShape(int height, int width, int channels) {
    public ImageShape {
        if (height < 1 || width < 1 || channels < 1) {
            throw new IllegalArgumentException(
                    String.format(
                            "an image needs at least one pixel and channel, got %dx%dx%d",
                            height, width, channels));
        }
        if ((long) height * width > Integer.MAX_VALUE / channels) {
            throw new IllegalArgumentException(
                    String.format(
                            "an image of %dx%dx%d has more values than a Java array can hold",
                            height, width, channels));
        }
    }

    /** Values an image: height x width x channels. */
    public int values() {
        return height * width * channels;
    }

    @Override
    public String toString() {
        return height + "x" + width + "x" + channels;
    }
}
