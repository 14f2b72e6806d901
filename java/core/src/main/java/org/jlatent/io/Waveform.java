package org.jlatent.io;

import java.util.Arrays;
import org.jlatent.data.ImageShape;

/** Pictures of sequences: time from left to right, values from -1 at the bottom to 1 at the top. */
final class Waveform {
    static final ImageShape PICTURE = new ImageShape(96, 256, 1);

    private static final float AXIS = 0.25f; // grey of the line at 0

    private Waveform() {}

    /**
     * Each column shows the range of the values that fall into it, over all channels; clipped at -1
     * and 1, NaN left out.
     *
     * @param values {@code [n, length, channels]}
     * @param sequence of height 1
     * @return {@code [n]} pictures of shape {@link #PICTURE}
     */
    static float[] draw(float[] values, ImageShape sequence) {
        int count = values.length / sequence.values();
        int width = PICTURE.width();
        float[] pictures = new float[Math.multiplyExact(count, PICTURE.values())];
        for (int i = 0; i < count; i++) {
            int picture = i * PICTURE.values();
            int axis = picture + row(0) * width;
            Arrays.fill(pictures, axis, axis + width, AXIS);
            for (int x = 0; x < width; x++) {
                // At least one value a column: where there are fewer than columns, each is
                // repeated.
                int from = (int) ((long) x * sequence.width() / width);
                int to = Math.max(from + 1, (int) ((x + 1L) * sequence.width() / width));
                float low = Float.POSITIVE_INFINITY;
                float high = Float.NEGATIVE_INFINITY;
                for (int at = from * sequence.channels(); at < to * sequence.channels(); at++) {
                    float value = values[i * sequence.values() + at];
                    low = value < low ? value : low;
                    high = value > high ? value : high;
                }
                for (int y = row(high); low <= high && y <= row(low); y++) {
                    pictures[picture + y * width + x] = 1;
                }
            }
        }
        return pictures;
    }

    private static int row(float value) {
        float clipped = Math.max(-1, Math.min(1, value));
        return Math.round((1 - clipped) / 2 * (PICTURE.height() - 1));
    }
}
