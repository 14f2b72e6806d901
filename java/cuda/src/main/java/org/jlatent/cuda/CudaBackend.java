package org.jlatent.cuda;

import static jcuda.runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost;
import static jcuda.runtime.cudaMemcpyKind.cudaMemcpyHostToDevice;

import jcuda.CudaException;
import jcuda.NativePointerObject;
import jcuda.Pointer;
import jcuda.runtime.JCuda;
import jcuda.runtime.cudaStream_t;
import org.jlatent.DeviceException;
import org.jlatent.spi.Backend;
import org.jlatent.spi.Dense;

/**
 * Memory and one stream of the current CUDA device through JCuda; launches go to our own table on
 * that stream.
 */
final class CudaBackend implements Backend {
    private final long kernels;
    private final cudaStream_t stream = new cudaStream_t();
    private long workspace;
    private long workspaceBytes;

    CudaBackend(long kernels) {
        JCudaNatives.initialise();
        this.kernels = kernels;
        run("create a stream", () -> JCuda.cudaStreamCreate(stream));
    }

    /** A device address as JCuda's pointer, and back. */
    private static final class Address extends Pointer {
        Address(long address) {
            super(address);
        }

        Address(Pointer pointer) {
            super(pointer);
        }

        long value() {
            return getNativePointer() + getByteOffset();
        }
    }

    /** The raw handle of a stream. */
    private static final class Handle extends NativePointerObject {
        Handle(NativePointerObject object) {
            super(object);
        }

        long value() {
            return getNativePointer();
        }
    }

    private interface Call {
        int run();
    }

    private static void run(String what, Call call) {
        try {
            call.run();
        } catch (CudaException e) {
            throw new DeviceException("CUDA cannot " + what + ": " + e.getMessage());
        }
    }

    @Override
    public String description() {
        return "cuda";
    }

    @Override
    public long allocate(long bytes) {
        Pointer pointer = new Pointer();
        try {
            JCuda.cudaMalloc(pointer, Math.max(1, bytes));
        } catch (CudaException e) {
            long[] free = new long[1];
            long[] total = new long[1];
            JCuda.cudaMemGetInfo(free, total);
            throw new DeviceException(
                    "out of memory on cuda: "
                            + bytes
                            + " bytes asked for, "
                            + free[0]
                            + " of "
                            + total[0]
                            + " free ("
                            + e.getMessage()
                            + ")");
        }
        long address = new Address(pointer).value();
        zero(address, bytes);
        return address;
    }

    @Override
    public void free(long address) {
        run("free memory", () -> JCuda.cudaFree(new Address(address)));
    }

    @Override
    public void zero(long address, long bytes) {
        run("clear memory", () -> JCuda.cudaMemsetAsync(new Address(address), 0, bytes, stream));
    }

    @Override
    public void copyIn(float[] source, int offset, long address, int count) {
        copyIn(
                Pointer.to(source).withByteOffset((long) offset * Float.BYTES),
                address,
                (long) count * Float.BYTES);
    }

    @Override
    public void copyIn(byte[] source, long address) {
        copyIn(Pointer.to(source), address, source.length);
    }

    @Override
    public void copyIn(long source, long address, long bytes) {
        copyIn(new Address(source), address, bytes);
    }

    // Copies are synchronous: JCuda lets go of a Java array as soon as the call returns. They come
    // after everything on our stream, which is an ordinary (blocking) one.
    private static void copyIn(Pointer source, long address, long bytes) {
        run(
                "copy to the device",
                () ->
                        JCuda.cudaMemcpy(
                                new Address(address), source, bytes, cudaMemcpyHostToDevice));
    }

    @Override
    public void copyOut(long address, float[] destination, int offset, int count) {
        copyOut(
                address,
                Pointer.to(destination).withByteOffset((long) offset * Float.BYTES),
                (long) count * Float.BYTES);
    }

    @Override
    public void copyOut(long address, byte[] destination) {
        copyOut(address, Pointer.to(destination), destination.length);
    }

    @Override
    public void copyOut(long address, long destination, long bytes) {
        copyOut(address, new Address(destination), bytes);
    }

    private static void copyOut(long address, Pointer destination, long bytes) {
        run(
                "copy from the device",
                () ->
                        JCuda.cudaMemcpy(
                                destination, new Address(address), bytes, cudaMemcpyDeviceToHost));
    }

    private void synchronise() {
        run("finish its work", () -> JCuda.cudaStreamSynchronize(stream));
    }

    @Override
    public long kernels() {
        return kernels;
    }

    @Override
    public long stream() {
        return new Handle(stream).value();
    }

    @Override
    public long workspace(long bytes) {
        if (bytes > workspaceBytes) {
            long larger = allocate(bytes);
            if (workspace != 0) {
                synchronise();
                free(workspace);
            }
            workspace = larger;
            workspaceBytes = bytes;
        }
        return workspace;
    }

    @Override
    public Dense dense() {
        throw new DeviceException(
                "matrix products and convolutions do not run on CUDA in this version; use Device.cpu()");
    }

    @Override
    public void close() {
        if (workspace != 0) {
            free(workspace);
            workspace = 0;
            workspaceBytes = 0;
        }
        run("end a stream", () -> JCuda.cudaStreamDestroy(stream));
    }
}
