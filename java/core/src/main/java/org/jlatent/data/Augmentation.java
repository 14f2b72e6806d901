package org.jlatent.data;

import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * Random changes to images, in the order of the components; what happens to an image is a pure
 * function of (seed, epoch, index), so that a resumed run sees the same values.
 *
 * @param flip mirrors an image left to right with probability one half
 * @param pad shifts an image by -pad to pad pixels in each direction, zeros moving in: the random
 *     crop of an image padded by as many pixels
 * @param dequantize x becomes (255 x + u) / 256 with u uniform in [0, 1): for 8-bit images, whose
 *     values then fill [0, 1) evenly
 * @param binarize x becomes 1 with probability x, else 0
 */
public record Augmentation(boolean flip, int pad, boolean dequantize, boolean binarize) {
    /** Changes nothing. */
    public static final Augmentation NONE = new Augmentation(false, 0, false, false);

    private static final float UNIT = 0x1p-24f; // of 24 random bits

    public Augmentation {
        if (pad < 0) {
            throw new IllegalArgumentException("pad must not be negative, got " + pad);
        }
        if (dequantize && binarize) {
            throw new IllegalArgumentException(
                    "images are either binarized or dequantized, not both");
        }
    }

    /**
     * Reads image {@code index} of {@code images} and changes it.
     *
     * @param destination takes {@link ImageSet#dimensions} values from {@code offset} on
     * @throws DataException if values outside [0, 1] are to be dequantized or binarized
     */
    public void read(
            ImageSet images, long seed, long epoch, int index, float[] destination, int offset) {
        images.read(index, destination, offset);
        if (equals(NONE)) {
            return;
        }
        SplittableRandom random = random(seed, epoch, index);
        if (flip && random.nextInt() < 0) {
            mirror(images, destination, offset);
        }
        if (pad > 0) {
            int down = random.nextInt(2 * pad + 1) - pad;
            int right = random.nextInt(2 * pad + 1) - pad;
            shift(images, destination, offset, down, right);
        }
        if (dequantize || binarize) {
            draw(images, index, destination, offset, random);
        }
    }

    private void draw(ImageSet images, int index, float[] x, int offset, SplittableRandom random) {
        int end = offset + images.dimensions();
        boolean within = true;
        for (int i = offset; i < end; i++) {
            float uniform = (random.nextInt() >>> 8) * UNIT;
            within &= x[i] >= 0 && x[i] <= 1;
            x[i] = binarize ? (uniform < x[i] ? 1 : 0) : (255 * x[i] + uniform) / 256;
        }
        if (!within) {
            throw new DataException(
                    "image "
                            + index
                            + " of "
                            + images.name()
                            + " has values outside [0, 1], which cannot be "
                            + (binarize ? "binarized" : "dequantized"));
        }
    }

    private static void mirror(ImageSet images, float[] x, int offset) {
        int channels = images.channels();
        int stride = images.width() * channels;
        for (int row = 0; row < images.height(); row++) {
            int left = offset + row * stride;
            int right = left + stride - channels;
            for (; left < right; left += channels, right -= channels) {
                for (int c = 0; c < channels; c++) {
                    float value = x[left + c];
                    x[left + c] = x[right + c];
                    x[right + c] = value;
                }
            }
        }
    }

    private static void shift(ImageSet images, float[] x, int offset, int down, int right) {
        int stride = images.width() * images.channels();
        int height = images.height();
        int by = Math.max(-stride, Math.min(stride, right * images.channels()));
        float[] from = Arrays.copyOfRange(x, offset, offset + height * stride);
        Arrays.fill(x, offset, offset + height * stride, 0);
        for (int row = Math.max(0, down); row < Math.min(height, height + down); row++) {
            System.arraycopy(
                    from,
                    (row - down) * stride + Math.max(0, -by),
                    x,
                    offset + row * stride + Math.max(0, by),
                    stride - Math.abs(by));
        }
    }

    private static SplittableRandom random(long seed, long epoch, int index) {
        return new SplittableRandom(mix(mix(mix(seed) + epoch) + index));
    }

    /** SplitMix64's step and finalizer [Steele et al. 2014]. */
    private static long mix(long value) {
        long z = value + 0x9E3779B97F4A7C15L;
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }
}
