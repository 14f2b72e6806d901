package org.jlatent.internal;

import java.nio.file.Path;
import org.jlatent.DeviceOutOfMemoryException;
import org.jlatent.spi.Backend;
import org.jlatent.spi.Dense;

/**
 * The CPU: host memory, oneDNN for dense math, and a table of launchers. {@code
 * -Djlatent.kernels=PATH} puts another table there, such as the emulated CUDA one, so that the same
 * program exercises the {@code .cu} files.
 */
public final class CpuBackend implements Backend {
    private final long kernels;
    private final OneDnn dense;
    private final String description;
    private long workspace;
    private long workspaceBytes;

    public CpuBackend() {
        Path folder = NativeLibraries.folder();
        String given = System.getProperty("jlatent.kernels");
        kernels =
                Native.openKernels(
                        given != null ? Path.of(given) : folder.resolve("libjlatent_cpu.so"));
        description = "cpu (" + Kernels.name(kernels) + ")";
        dense = new OneDnn(folder.resolve("libjlatent_onednn.so"), description);
    }

    /** Threads for the work that this thread starts from now on. */
    public void setThreads(int threads) {
        dense.setThreads(threads);
    }

    @Override
    public String description() {
        return description;
    }

    @Override
    public long allocate(long bytes) {
        long address = Native.allocate0(bytes);
        if (address == 0) {
            throw new DeviceOutOfMemoryException(
                    "out of memory: " + bytes + " bytes asked for on " + description);
        }
        return address;
    }

    @Override
    public void free(long address) {
        Native.free0(address);
    }

    @Override
    public void zero(long address, long bytes) {
        Native.zero0(address, bytes);
    }

    @Override
    public void copyIn(float[] source, int offset, long address, int count) {
        Native.copyFloatsIn0(source, offset, address, count);
    }

    @Override
    public void copyIn(byte[] source, long address) {
        Native.copyBytesIn0(source, 0, address, source.length);
    }

    @Override
    public void copyIn(long source, long address, long bytes) {
        Native.copy0(source, address, bytes);
    }

    @Override
    public void copyOut(long address, float[] destination, int offset, int count) {
        Native.copyFloatsOut0(address, destination, offset, count);
    }

    @Override
    public void copyOut(long address, byte[] destination) {
        Native.copyBytesOut0(address, destination, 0, destination.length);
    }

    @Override
    public void copyOut(long address, long destination, long bytes) {
        Native.copy0(address, destination, bytes);
    }

    @Override
    public long kernels() {
        return kernels;
    }

    @Override
    public long stream() {
        return 0;
    }

    @Override
    public long workspace(long bytes) {
        if (bytes > workspaceBytes) {
            long larger = allocate(bytes);
            free(workspace);
            workspace = larger;
            workspaceBytes = bytes;
        }
        return workspace;
    }

    @Override
    public Dense dense() {
        return dense;
    }

    @Override
    public void close() {
        free(workspace);
        workspace = 0;
        workspaceBytes = 0;
    }
}
