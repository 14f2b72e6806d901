package org.jlatent.cuda;

import static jcuda.driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.IdentityHashMap;
import java.util.Map;
import jcuda.Pointer;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUgraph;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;
import org.jlatent.DeviceException;
import org.jlatent.spi.Graph;
import org.jlatent.spi.Graphs;

/** CUDA graphs of what is queued on a backend's stream. */
final class CudaGraphs implements Graphs, AutoCloseable {
    private static final int CONSTANTS =
            1 << 20; // bytes; a few scalars and Adam's table, as a rule

    private final CudaBackend backend;
    private final CUstream stream;
    private final IdentityHashMap<ByteBuffer, Pointer> hostMemory = new IdentityHashMap<>();
    private HostArena constants; // of the graph that is being recorded; null: none is

    CudaGraphs(CudaBackend backend) {
        this.backend = backend;
        this.stream = backend.cudaStream();
    }

    /** Page-locked memory that is handed out front to back. */
    private static final class HostArena {
        private final ByteBuffer all;
        private int used;

        HostArena(ByteBuffer all) {
            this.all = all;
        }

        ByteBuffer take(long bytes) {
            if (bytes > all.capacity() - used) {
                throw notRecordable("copy more than " + CONSTANTS + " bytes of constants");
            }
            ByteBuffer taken = all.slice(used, (int) bytes).order(ByteOrder.nativeOrder());
            used += ((int) bytes + 15) / 16 * 16;
            return taken;
        }
    }

    static DeviceException notRecordable(String what) {
        return new DeviceException("work that is recorded for a graph cannot " + what);
    }

    boolean isRecording() {
        return constants != null;
    }

    /** Throws while a graph is recorded. */
    void requireNotRecording(String what) {
        if (isRecording()) {
            throw notRecordable(what);
        }
    }

    /**
     * Throws unless what is recorded may copy to or from there: it is copied at every replay, so it
     * has to stay where it is.
     */
    void requirePageLocked(long address, long bytes) {
        for (Map.Entry<ByteBuffer, Pointer> memory : hostMemory.entrySet()) {
            long start = Address.of(memory.getValue());
            if (address >= start && address + bytes <= start + memory.getKey().capacity()) {
                return;
            }
        }
        throw notRecordable("copy from or to pageable memory");
    }

    /** Memory for a constant of the graph that is recorded. */
    ByteBuffer constant(long bytes) {
        return constants.take(bytes);
    }

    @Override
    public Graph record(Runnable work) {
        requireNotRecording("record another");
        ByteBuffer memory = hostMemory(CONSTANTS);
        try {
            int moves = backend.moves();
            CUgraph graph = capture(work, new HostArena(memory));
            try {
                return new CudaGraph(backend, graph, moves, () -> free(memory));
            } finally {
                CudaErrors.succeeds(() -> JCudaDriver.cuGraphDestroy(graph));
            }
        } catch (RuntimeException e) {
            free(memory);
            throw e;
        }
    }

    private CUgraph capture(Runnable work, HostArena arena) {
        backend.driver(
                "record a graph",
                () ->
                        JCudaDriver.cuStreamBeginCapture(
                                stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
        constants = arena;
        try {
            work.run();
        } catch (RuntimeException e) {
            endCapture();
            throw e;
        }
        CUgraph graph = new CUgraph();
        backend.driver("record a graph", endCapture(graph));
        return graph;
    }

    private void endCapture() {
        CUgraph graph = new CUgraph();
        if (endCapture(graph) == 0) {
            CudaErrors.succeeds(() -> JCudaDriver.cuGraphDestroy(graph));
        }
    }

    private int endCapture(CUgraph graph) {
        constants = null;
        return CudaErrors.driverStatus(() -> JCudaDriver.cuStreamEndCapture(stream, graph));
    }

    @Override
    public ByteBuffer hostMemory(int bytes) {
        requireNotRecording("ask for memory");
        backend.enter();
        Pointer pointer = new Pointer();
        backend.driver(
                "allocate page-locked memory",
                () -> JCudaDriver.cuMemHostAlloc(pointer, Math.max(1, bytes), 0));
        ByteBuffer buffer = pointer.getByteBuffer(0, bytes).order(ByteOrder.nativeOrder());
        hostMemory.put(buffer, pointer);
        return buffer;
    }

    @Override
    public void free(ByteBuffer memory) {
        release(hostMemory.remove(memory));
    }

    /** The device's address of such memory. */
    CUdeviceptr onDevice(ByteBuffer memory) {
        return Address.device(Address.of(hostMemory.get(memory)));
    }

    private static void release(Pointer pointer) {
        if (pointer != null) {
            CudaErrors.succeeds(() -> JCudaDriver.cuMemFreeHost(pointer));
        }
    }

    /** Whoever still has such memory must not use it any more. */
    @Override
    public void close() {
        hostMemory.values().forEach(CudaGraphs::release);
        hostMemory.clear();
    }
}
