package org.jlatent.data;

import java.util.Objects;

/**
 * How a data set is seen. The default changes nothing.
 *
 * <p>Decided when the set is opened, in this order: centre crop, resize, channels, threshold.
 * Applied as images are read: what {@link #augmentation} returns for training; validation and test
 * images are never flipped or shifted, and their random values are drawn once.
 *
 * @param crop the centre that is kept, or null: all; an odd rest goes to the right and below
 * @param resize the size images are brought to, or null: they stay; see {@link #withResize(int,
 *     int)}
 * @param channels 1 (grey), 3 (red, green, blue) or 0: as they are
 * @param length samples that clips are cut or filled up with zeros to, or 0: as they are
 * @param binarize how values become zeros and ones
 * @param dequantize whether uniform noise is added to 8-bit values, see {@link Augmentation}
 * @param flip whether half of the training images are mirrored, see {@link Augmentation}
 * @param pad most pixels by which training images are shifted, see {@link Augmentation}
 */
public record DataOptions(
        Size crop,
        Size resize,
        int channels,
        int length,
        Binarize binarize,
        boolean dequantize,
        boolean flip,
        int pad) {

    /** Of an image, in pixels, each at least 1, together at most 2^28. */
    public record Size(int height, int width) {
        public Size {
            if (height < 1 || width < 1) {
                throw new IllegalArgumentException(
                        "a size must be at least 1x1, got " + height + "x" + width);
            }
            if ((long) height * width > PictureFiles.LARGEST) {
                throw new IllegalArgumentException(
                        "a size must be at most "
                                + PictureFiles.LARGEST
                                + " pixels, got "
                                + height
                                + "x"
                                + width);
            }
        }

        @Override
        public String toString() {
            return height + "x" + width;
        }
    }

    public DataOptions {
        Objects.requireNonNull(binarize, "binarize");
        if (channels != 0 && channels != 1 && channels != 3) {
            throw new IllegalArgumentException(
                    "channels must be 1 (grey), 3 (rgb) or 0 (as they are), got " + channels);
        }
        if (length < 0 || pad < 0) {
            throw new IllegalArgumentException(
                    "length and pad must not be negative, got " + length + " and " + pad);
        }
        if (dequantize && binarize != Binarize.NONE) {
            throw new IllegalArgumentException(
                    "images are either binarized or dequantized, not both");
        }
    }

    /** Images as they are. */
    public static DataOptions defaults() {
        return new DataOptions(null, null, 0, 0, Binarize.NONE, false, false, 0);
    }

    /** Keeps the centre. */
    public DataOptions withCrop(int height, int width) {
        return new DataOptions(
                new Size(height, width), resize, channels, length, binarize, dequantize, flip, pad);
    }

    /**
     * Brings images to one size; the aspect ratio is not kept. Along an axis that shrinks a new
     * pixel is the mean over the area it covers, along one that grows it is interpolated linearly
     * between the centres of the old ones.
     */
    public DataOptions withResize(int height, int width) {
        return new DataOptions(
                crop, new Size(height, width), channels, length, binarize, dequantize, flip, pad);
    }

    /**
     * Makes images grey (0.299 red + 0.587 green + 0.114 blue) or repeats grey three times.
     *
     * @param count 1, 3 or 0 for as they are
     */
    public DataOptions withChannels(int count) {
        return new DataOptions(crop, resize, count, length, binarize, dequantize, flip, pad);
    }

    /** Cuts clips after {@code samples}, or fills them up with zeros; 0: as they are. */
    public DataOptions withLength(int samples) {
        return new DataOptions(crop, resize, channels, samples, binarize, dequantize, flip, pad);
    }

    /** Makes zeros and ones of the values. */
    public DataOptions withBinarize(Binarize how) {
        return new DataOptions(crop, resize, channels, length, how, dequantize, flip, pad);
    }

    /** Adds uniform noise to 8-bit values. */
    public DataOptions withDequantize(boolean on) {
        return new DataOptions(crop, resize, channels, length, binarize, on, flip, pad);
    }

    /** Mirrors half of the training images. */
    public DataOptions withFlip(boolean on) {
        return new DataOptions(crop, resize, channels, length, binarize, dequantize, on, pad);
    }

    /** Shifts training images by up to {@code pixels}. */
    public DataOptions withPad(int pixels) {
        return new DataOptions(crop, resize, channels, length, binarize, dequantize, flip, pixels);
    }

    /** What differs from epoch to epoch in training. */
    public Augmentation augmentation() {
        return new Augmentation(flip, pad, dequantize, binarize == Binarize.DYNAMIC);
    }

    /** Whether images are changed when the set is opened. */
    boolean changesImages() {
        return crop != null || resize != null || channels != 0 || binarize == Binarize.THRESHOLD;
    }

    /** Training images: what is drawn once. */
    ImageSet forTraining(ImageSet images) {
        return binarize == Binarize.STATIC ? drawn(images) : images;
    }

    /**
     * A set as these options show it outside of training: nothing is mirrored or shifted, and what
     * is random is drawn once. Test and validation images of {@link Datasets#open} are so already.
     */
    public ImageSet forTesting(ImageSet images) {
        boolean random = dequantize || binarize == Binarize.STATIC || binarize == Binarize.DYNAMIC;
        return random ? drawn(images) : images;
    }

    private ImageSet drawn(ImageSet images) {
        return new Augmented(images, new Augmentation(false, 0, dequantize, !dequantize), 0, 0);
    }
}
