package org.jlatent.spi;

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
     * @throws org.jlatent.DeviceException when there is not enough
     */
    long allocate(long bytes);

    void free(long address);

    void zero(long address, long bytes);

    void copyIn(float[] source, int offset, long address, int count);

    void copyIn(byte[] source, long address);

    /** Waits for the work queued before it. */
    void copyOut(long address, float[] destination, int offset, int count);

    /** Waits for the work queued before it. */
    void copyOut(long address, byte[] destination);

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

    @Override
    void close();
}
