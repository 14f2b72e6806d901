package org.jlatent.spi;

import java.util.Optional;
import org.jlatent.DeviceException;

/**
 * Where tensors live and operations run: memory, dense math, and a table of launchers with the
 * stream they use. Addresses are the backend's own; callers have validated shapes. One thread at a
 * time.
 */
public interface Backend extends AutoCloseable {

    /** For messages: {@code "cpu (cpu-avx512)"}. */
    String description();

    /**
     * Zeroed memory, 256-byte aligned.
     *
     * @throws DeviceException when there is not enough
     */
    long allocate(long bytes);

    /** Returns what {@link #allocate} gave; 0 is nothing. */
    void free(long address);

    /** Sets {@code bytes} bytes at {@code address} to 0. */
    void zero(long address, long bytes);

    /** Copies {@code count} values from {@code source[offset]} on to {@code address}. */
    void copyIn(float[] source, int offset, long address, int count);

    /** Copies all of {@code source} to {@code address}. */
    void copyIn(byte[] source, long address);

    /** Copies {@code bytes} bytes of host memory at {@code source} to {@code address}. */
    void copyIn(long source, long address, long bytes);

    /**
     * Copies {@code count} values at {@code address} to {@code destination[offset]} and on. Waits
     * for the work queued before it.
     */
    void copyOut(long address, float[] destination, int offset, int count);

    /** Fills {@code destination} from {@code address}. Waits for the work queued before it. */
    void copyOut(long address, byte[] destination);

    /**
     * Copies {@code bytes} bytes at {@code address} to host memory at {@code destination}. Waits
     * for the work queued before it.
     */
    void copyOut(long address, long destination, long bytes);

    /** Address of the table of launchers, {@code jl_kernels}. */
    long kernels();

    /** The stream every launch goes to; 0 where there is none. */
    long stream();

    /**
     * Scratch memory of at least {@code bytes} for one launch, by the rules of {@code
     * jl_workspace}.
     */
    long workspace(long bytes);

    /** Products, convolutions and pooling. */
    Dense dense();

    /** An operation has been given to {@link #stream}: a fault of it may show much later. */
    default void queued(String operation) {}

    /** The same failure, with what is really behind it where that is work queued before. */
    default DeviceException explain(DeviceException failure) {
        return failure;
    }

    /** Records work to replay it; empty where there is no such thing, as on the CPU. */
    default Optional<Graphs> graphs() {
        return Optional.empty();
    }

    /** Frees what is the backend's own. The memory it gave is returned by then. */
    @Override
    void close();
}
