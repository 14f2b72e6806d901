package org.jlatent.cuda;

import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;
import org.jlatent.DeviceException;
import org.jlatent.DeviceOutOfMemoryException;
import org.jlatent.spi.Backend;
import org.jlatent.spi.Dense;
import org.jlatent.spi.Graphs;

/**
 * Memory and one stream of a CUDA context through JCuda's driver API. Launches go to our own table
 * on that stream, dense math to cuBLAS and cuDNN on the same. Everything runs in the stream's
 * order; only copies to the host wait.
 */
final class CudaBackend implements Backend {
    private static final Logger LOG = System.getLogger(CudaBackend.class.getName());

    private final long kernels;
    private final CUdevice device = new CUdevice(); // whose primary context is ours to release
    private final CUcontext context;
    private final boolean ownContext;
    private final CUstream stream;
    private final boolean ownStream;
    private final boolean pooled;
    private final String name;
    private final Map<Long, Long> bytesAt = new HashMap<>();
    private long held;
    private final DeviceBuffer workspace = new DeviceBuffer(this);
    private final boolean tf32;
    private final CudaGraphs graphs;
    private final CudaProgress progress;
    private CudaDense dense;
    private int moves;

    /**
     * @param kernels address of the table of launchers
     */
    CudaBackend(long kernels, CudaOptions options) {
        this.kernels = kernels;
        this.tf32 = options.tf32();
        ownContext = options.context() == null;
        ownStream = options.stream() == null;
        context = ownContext ? new CUcontext() : options.context();
        stream = ownStream ? new CUstream() : options.stream();
        CudaErrors.driver("cuInit", () -> JCudaDriver.cuInit(0));
        if (ownContext) {
            CudaErrors.driver("find a device", () -> JCudaDriver.cuDeviceGet(device, 0));
            CudaErrors.driver(
                    "open a context", () -> JCudaDriver.cuDevicePrimaryCtxRetain(context, device));
        }
        try {
            CudaErrors.driver(
                    "make the context current", () -> JCudaDriver.cuCtxSetCurrent(context));
            if (!ownContext) {
                CudaErrors.driver(
                        "find the context's device", () -> JCudaDriver.cuCtxGetDevice(device));
            }
            name = name();
            int[] supported = new int[1];
            CudaErrors.driver(
                    "ask the device",
                    () ->
                            JCudaDriver.cuDeviceGetAttribute(
                                    supported, CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, device));
            pooled = supported[0] != 0;
            if (ownStream) {
                // An ordinary, blocking one: work on the legacy default stream keeps its order.
                CudaErrors.driver("create a stream", () -> JCudaDriver.cuStreamCreate(stream, 0));
            }
        } catch (RuntimeException e) {
            release();
            throw e;
        }
        graphs = new CudaGraphs(this);
        progress = new CudaProgress(graphs, stream);
    }

    private String name() {
        byte[] text = new byte[256];
        CudaErrors.driver(
                "ask the device", () -> JCudaDriver.cuDeviceGetName(text, text.length, device));
        String all = new String(text, StandardCharsets.UTF_8);
        return "cuda (" + all.substring(0, all.indexOf('\0')) + ")";
    }

    /** A device may be handed from thread to thread, and a thread may have several. */
    void enter() {
        driver("make the context current", () -> JCudaDriver.cuCtxSetCurrent(context));
    }

    CUcontext context() {
        return context;
    }

    CUstream cudaStream() {
        return stream;
    }

    @Override
    public String description() {
        return name;
    }

    @Override
    public long allocate(long bytes) {
        graphs.requireNotRecording("ask for memory");
        enter();
        long size = Math.max(1, bytes);
        CUdeviceptr pointer = new CUdeviceptr();
        int status =
                CudaErrors.driverStatus(
                        () ->
                                pooled
                                        ? JCudaDriver.cuMemAllocAsync(pointer, size, stream)
                                        : JCudaDriver.cuMemAlloc(pointer, size));
        if (status == CudaErrors.OUT_OF_MEMORY) {
            throw outOfMemory(size);
        }
        driver("allocate " + size + " bytes", status);
        long address = Address.of(pointer);
        bytesAt.put(address, size);
        held += size;
        zero(address, size);
        return address;
    }

    private DeviceOutOfMemoryException outOfMemory(long bytes) {
        long[] free = new long[1];
        long[] total = new long[1];
        CudaErrors.succeeds(() -> JCudaDriver.cuMemGetInfo(free, total));
        return new DeviceOutOfMemoryException(
                "out of memory on "
                        + name
                        + ": "
                        + bytes
                        + " bytes asked for, "
                        + held
                        + " held already, "
                        + free[0]
                        + " of "
                        + total[0]
                        + " free; smaller batches take less");
    }

    /**
     * Never throws: after a fault scopes must still close, and it is the fault that is reported.
     */
    @Override
    public void free(long address) {
        if (address == 0) {
            return;
        }
        held -= bytesAt.remove(address);
        quietly("make the context current", () -> JCudaDriver.cuCtxSetCurrent(context));
        CUdeviceptr pointer = Address.device(address);
        quietly(
                "free memory",
                () ->
                        pooled
                                ? JCudaDriver.cuMemFreeAsync(pointer, stream)
                                : JCudaDriver.cuMemFree(pointer));
    }

    private static void quietly(String what, CudaErrors.Call call) {
        int status = CudaErrors.driverStatus(call);
        if (status != 0) {
            LOG.log(Level.DEBUG, "cannot {0}: CUDA error {1}", what, status);
        }
    }

    @Override
    public void zero(long address, long bytes) {
        if (bytes > 0) {
            enter();
            driver(
                    "clear memory",
                    () ->
                            JCudaDriver.cuMemsetD8Async(
                                    Address.device(address), (byte) 0, bytes, stream));
        }
    }

    // The driver has read pageable memory, such as a Java array's, by the time it returns.
    @Override
    public void copyIn(float[] source, int offset, long address, int count) {
        long bytes = (long) count * Float.BYTES;
        if (graphs.isRecording()) {
            ByteBuffer constant = graphs.constant(bytes);
            constant.asFloatBuffer().put(source, offset, count);
            copyIn(Pointer.to(constant), address, bytes);
        } else {
            copyIn(Pointer.to(source).withByteOffset((long) offset * Float.BYTES), address, bytes);
        }
    }

    @Override
    public void copyIn(byte[] source, long address) {
        if (graphs.isRecording()) {
            copyIn(
                    Pointer.to(graphs.constant(source.length).put(source).flip()),
                    address,
                    source.length);
        } else {
            copyIn(Pointer.to(source), address, source.length);
        }
    }

    @Override
    public void copyIn(long source, long address, long bytes) {
        if (graphs.isRecording()) {
            graphs.requirePageLocked(source, bytes);
            copyIn(Address.pointer(source), address, bytes);
        } else {
            copyIn(Address.pointer(source), address, bytes);
            synchronise("copy to the device"); // page-locked memory is being read still
        }
    }

    private void copyIn(Pointer source, long address, long bytes) {
        if (bytes > 0) {
            enter();
            driver(
                    "copy to the device",
                    () ->
                            JCudaDriver.cuMemcpyHtoDAsync(
                                    Address.device(address), source, bytes, stream));
        }
    }

    @Override
    public void copyOut(long address, float[] destination, int offset, int count) {
        Pointer to = Pointer.to(destination).withByteOffset((long) offset * Float.BYTES);
        copyToArray(address, to, (long) count * Float.BYTES);
    }

    @Override
    public void copyOut(long address, byte[] destination) {
        copyToArray(address, Pointer.to(destination), destination.length);
    }

    // Waits first: JCuda keeps the garbage collector away while it copies to an array.
    private void copyToArray(long address, Pointer destination, long bytes) {
        graphs.requireNotRecording("read from the device to the Java heap");
        synchronise("copy from the device");
        copyOut(address, destination, bytes);
        synchronise("copy from the device");
    }

    @Override
    public void copyOut(long address, long destination, long bytes) {
        if (graphs.isRecording()) {
            graphs.requirePageLocked(destination, bytes);
            copyOut(address, Address.pointer(destination), bytes);
        } else {
            copyOut(address, Address.pointer(destination), bytes);
            synchronise("copy from the device");
        }
    }

    private void copyOut(long address, Pointer destination, long bytes) {
        if (bytes > 0) {
            enter();
            driver(
                    "copy from the device",
                    () ->
                            JCudaDriver.cuMemcpyDtoHAsync(
                                    destination, Address.device(address), bytes, stream));
        }
    }

    private void synchronise(String what) {
        enter();
        driver(what, () -> JCudaDriver.cuStreamSynchronize(stream));
    }

    /** Throws unless a call of the driver succeeds, and says which operation is to blame. */
    void driver(String what, CudaErrors.Call call) {
        driver(what, CudaErrors.driverStatus(call));
    }

    /** The same of a call's status. */
    void driver(String what, int status) {
        try {
            CudaErrors.driver(what, status);
        } catch (DeviceException e) {
            throw explain(e);
        }
    }

    // A stream of the caller's gets nothing but the work itself.
    @Override
    public void queued(String operation) {
        if (ownStream && !graphs.isRecording()) {
            progress.queued(operation);
        }
    }

    @Override
    public DeviceException explain(DeviceException failure) {
        if (graphs.isRecording()) {
            return failure; // a stream that is recorded can't be asked
        }
        int status = CudaErrors.driverStatus(() -> JCudaDriver.cuStreamQuery(stream));
        if (!CudaErrors.isFault(status)) {
            return failure;
        }
        return new DeviceException(
                failure.getMessage()
                        + "; work queued before has failed with "
                        + CudaErrors.name(status)
                        + ", and nothing more will run on this device: "
                        + progress.failed());
    }

    @Override
    public Optional<Graphs> graphs() {
        return CudaProgress.isBlocking() ? Optional.empty() : Optional.of(graphs);
    }

    /** Scratch memory is about to move. */
    void moving() {
        graphs.requireNotRecording("ask for memory");
        moves++;
    }

    /** How often scratch memory has moved. */
    int moves() {
        return moves;
    }

    @Override
    public long kernels() {
        return kernels;
    }

    @Override
    public long stream() {
        enter(); // a launch follows
        return Address.ofHandle(stream);
    }

    @Override
    public long workspace(long bytes) {
        return workspace.atLeast(bytes);
    }

    @Override
    public Dense dense() {
        enter();
        if (dense == null) {
            dense = new CudaDense(this, tf32);
        }
        return dense;
    }

    @Override
    public void close() {
        quietly("make the context current", () -> JCudaDriver.cuCtxSetCurrent(context));
        if (dense != null) {
            dense.close();
            dense = null;
        }
        workspace.close();
        graphs.close();
        release();
    }

    private void release() {
        if (ownStream && Address.ofHandle(stream) != 0) {
            quietly("end a stream", () -> JCudaDriver.cuStreamDestroy(stream));
        }
        if (ownContext) {
            quietly("leave the context", () -> JCudaDriver.cuDevicePrimaryCtxRelease(device));
        }
    }
}
