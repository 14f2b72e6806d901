package org.jlatent.data;

import java.util.Objects;
import java.util.SplittableRandom;

/**
 * Shuffled batches of indices. The order of an epoch is a pure function of (seed, epoch), so a run
 * can take up anywhere. Not thread-safe.
 */
public final class Batches {
    private final int size;
    private final int batchSize;
    private final long seed;
    private long epoch = Long.MIN_VALUE;
    private int[] order;

    /**
     * @param size images in all, at least 1
     */
    public Batches(int size, int batchSize, long seed) {
        if (size < 1 || batchSize < 1) {
            throw new IllegalArgumentException(
                    "batches of " + batchSize + " cannot be made of " + size + " images");
        }
        this.size = size;
        this.batchSize = batchSize;
        this.seed = seed;
    }

    /** Batches an epoch; the last may be smaller. */
    public int count() {
        return (size - 1) / batchSize + 1;
    }

    /** Images of a whole batch. */
    int largest() {
        return Math.min(batchSize, size);
    }

    /**
     * The indices of one batch.
     *
     * @throws IndexOutOfBoundsException unless {@code 0 <= index < count()}
     */
    public int[] batch(long ofEpoch, int index) {
        Objects.checkIndex(index, count());
        if (order == null || epoch != ofEpoch) {
            order = shuffled(ofEpoch);
            epoch = ofEpoch;
        }
        int start = index * batchSize;
        int[] batch = new int[Math.min(batchSize, size - start)];
        System.arraycopy(order, start, batch, 0, batch.length);
        return batch;
    }

    private int[] shuffled(long ofEpoch) {
        return permutation(size, new SplittableRandom(seed * 0x9E3779B97F4A7C15L + ofEpoch));
    }

    /** 0 to size - 1 in random order. */
    static int[] permutation(int size, SplittableRandom random) {
        int[] indices = new int[size];
        for (int i = 0; i < size; i++) { // Fisher-Yates, inside out
            int j = random.nextInt(i + 1);
            indices[i] = indices[j];
            indices[j] = i;
        }
        return indices;
    }
}
