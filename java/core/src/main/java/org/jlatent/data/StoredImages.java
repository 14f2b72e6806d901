package org.jlatent.data;

import java.util.Arrays;
import java.util.OptionalInt;

/**
 * Images in memory, an array each: {@code byte[]} whose values stand for those in {@code values},
 * or {@code float[]}.
 *
 * @param labels the classes, -1 where an image has none; or null
 */
record StoredImages(String name, ImageShape shape, Object[] rows, int[] labels, float[] values)
        implements ImageSet {

    private static final float[] BYTES = table(255);
    private static final float[] BITS = table(1);

    private static float[] table(float unit) {
        float[] values = new float[256];
        for (int i = 0; i < values.length; i++) {
            values[i] = i / unit;
        }
        return values;
    }

    /** Bytes from 0 to 255 stand for values from 0 to 1. */
    StoredImages(String name, ImageShape shape, Object[] rows, int[] labels) {
        this(name, shape, rows, labels, BYTES);
    }

    /**
     * One after another in {@code pixels}. Where all are zeros and ones they are read as such, else
     * divided by 255.
     */
    static StoredImages ofBytes(
            String name, int size, ImageShape shape, byte[] pixels, int[] labels) {
        int dims = shape.values();
        boolean binary = true;
        for (int i = 0; binary && i < pixels.length; i++) {
            binary = pixels[i] == 0 || pixels[i] == 1;
        }
        Object[] rows = new Object[size];
        for (int i = 0; i < size; i++) {
            rows[i] = Arrays.copyOfRange(pixels, i * dims, (i + 1) * dims);
        }
        return new StoredImages(name, shape, rows, labels, binary ? BITS : BYTES);
    }

    /** Values in [0, 1] as bytes, to the nearest 255th. */
    static byte[] quantized(float[] values) {
        byte[] bytes = new byte[values.length];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) Math.round(255 * Math.max(0, Math.min(1, values[i])));
        }
        return bytes;
    }

    /** Whether they are kept as bytes. */
    boolean quantized() {
        return rows[0] instanceof byte[];
    }

    /** The images {@code order[from]} to {@code order[to - 1]}. */
    StoredImages pick(int[] order, int from, int to) {
        Object[] picked = new Object[to - from];
        int[] classes = labels == null ? null : new int[to - from];
        for (int i = 0; i < picked.length; i++) {
            picked[i] = rows[order[from + i]];
            if (classes != null) {
                classes[i] = labels[order[from + i]];
            }
        }
        return new StoredImages(name, shape, picked, classes, values);
    }

    /** Black for white; of images kept as bytes. */
    StoredImages inverted() {
        float[] opposite = new float[values.length];
        for (int i = 0; i < opposite.length; i++) {
            opposite[i] = 1 - values[i];
        }
        return new StoredImages(name, shape, rows, labels, opposite);
    }

    StoredImages withLabels(int[] classes) {
        return new StoredImages(name, shape, rows, classes, values);
    }

    @Override
    public int size() {
        return rows.length;
    }

    @Override
    public void read(int index, float[] destination, int offset) {
        if (rows[index] instanceof byte[] bytes) {
            for (int i = 0; i < bytes.length; i++) {
                destination[offset + i] = values[bytes[i] & 0xff];
            }
        } else {
            float[] floats = (float[]) rows[index];
            System.arraycopy(floats, 0, destination, offset, floats.length);
        }
    }

    @Override
    public OptionalInt label(int index) {
        return labels == null || labels[index] < 0
                ? OptionalInt.empty()
                : OptionalInt.of(labels[index]);
    }
}
