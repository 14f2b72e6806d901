package org.jlatent.data;

import java.util.Objects;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;

/**
 * Reads batches ahead of their use, on a thread of its own, into a ring of buffers that are used
 * again: epoch after epoch, in the order of {@link Batches}, until closed. What it gives is a pure
 * function of its arguments, wherever it starts. {@link #next} and {@link #close} are for one
 * thread.
 *
 * <pre>{@code
 * try (Loader loader = new Loader(images, batches, Augmentation.NONE, seed, 1, 0)) {
 *     Loader.Batch batch = loader.next();
 * }
 * }</pre>
 */
public final class Loader implements AutoCloseable {
    private static final int RING = 4; // one in use, one being filled, two for uneven steps

    /**
     * A batch; its arrays are valid until the next call of {@link #next}, and not to be changed.
     *
     * @param index its place in the epoch
     * @param values [images, dimensions]
     * @param indices which images of the set
     * @param labels their classes, -1 where there is none
     */
    public record Batch(long epoch, int index, float[] values, int[] indices, int[] labels) {}

    /** What passes from the reader to the consumer. */
    private record Filled(Batch batch, Throwable failure) {}

    private final ImageSet images;
    private final Batches batches;
    private final Augmentation augmentation;
    private final long seed;
    private final BlockingQueue<float[]> free = new ArrayBlockingQueue<>(RING);
    private final BlockingQueue<Filled> filled = new ArrayBlockingQueue<>(RING);
    private final Thread reader;
    private Batch current;
    private Throwable failure;
    private boolean closed;

    /**
     * Starts reading.
     *
     * @param batches their order, from here on the loader's own
     * @param seed of the augmentation
     * @param epoch of the first batch
     * @param index of the first batch within its epoch
     */
    public Loader(
            ImageSet images,
            Batches batches,
            Augmentation augmentation,
            long seed,
            long epoch,
            int index) {
        Objects.checkIndex(index, batches.count());
        this.images = images;
        this.batches = batches;
        this.augmentation = augmentation;
        this.seed = seed;
        int length = Math.multiplyExact(batches.largest(), images.dimensions());
        for (int i = 0; i < RING; i++) {
            free.add(new float[length]);
        }
        this.reader = new Thread(() -> read(epoch, index), "jlatent-loader");
        reader.setDaemon(true);
        reader.start();
    }

    private void read(long firstEpoch, int firstIndex) {
        try {
            try {
                int index = firstIndex;
                for (long epoch = firstEpoch; ; epoch++) {
                    for (; index < batches.count(); index++) {
                        filled.put(new Filled(fill(epoch, index, free.take()), null));
                    }
                    index = 0;
                }
            } catch (RuntimeException | Error e) { // for the consumer, whatever it is
                filled.put(new Filled(null, e));
            }
        } catch (InterruptedException e) {
            // closed: nobody waits for more
        }
    }

    private Batch fill(long epoch, int index, float[] buffer) {
        int[] indices = batches.batch(epoch, index);
        int dims = images.dimensions();
        int length = indices.length * dims;
        float[] values = length == buffer.length ? buffer : new float[length];
        int[] labels = new int[indices.length];
        for (int i = 0; i < indices.length; i++) {
            augmentation.read(images, seed, epoch, indices[i], values, i * dims);
            labels[i] = images.label(indices[i]).orElse(-1);
        }
        if (values != buffer) {
            free.add(buffer); // an epoch's last batch is smaller
        }
        return new Batch(epoch, index, values, indices, labels);
    }

    /**
     * The next batch; waits for it where it is not there yet.
     *
     * @throws RuntimeException what reading it threw
     * @throws IllegalStateException if this is closed, or the thread is interrupted
     */
    public Batch next() {
        if (closed) {
            throw new IllegalStateException("the loader is closed");
        }
        rethrow();
        if (current != null && current.values.length == full()) {
            free.add(current.values);
        }
        current = null;
        try {
            Filled next = filled.take();
            failure = next.failure;
            rethrow();
            current = next.batch;
            return current;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while waiting for images", e);
        }
    }

    private int full() {
        return batches.largest() * images.dimensions();
    }

    private void rethrow() {
        if (failure instanceof Error error) {
            throw error;
        }
        if (failure != null) {
            throw (RuntimeException) failure;
        }
    }

    /** Stops reading. */
    @Override
    public void close() {
        closed = true;
        reader.interrupt();
        try {
            reader.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
