package org.jlatent.cuda;

/** Memory for one purpose that grows to the largest size asked for; its content does not last. */
final class DeviceBuffer implements AutoCloseable {
    private final CudaBackend backend;
    private long address;
    private long bytes;

    DeviceBuffer(CudaBackend backend) {
        this.backend = backend;
    }

    /** Address of at least so many bytes; zeros when they are new. */
    long atLeast(long wanted) {
        if (wanted > bytes) {
            backend.moving();
            close(); // after the work queued before it: the memory is freed in the stream's order
            address = backend.allocate(wanted);
            bytes = wanted;
        }
        return address;
    }

    @Override
    public void close() {
        backend.free(address);
        address = 0;
        bytes = 0;
    }
}
