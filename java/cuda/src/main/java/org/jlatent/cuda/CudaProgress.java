package org.jlatent.cuda;

import java.nio.ByteBuffer;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;

/**
 * Knows how far a stream has got, so that a fault has a name: after every operation the device
 * writes the operation's number into page-locked memory, which outlives the ruin of a context. A
 * graph is one operation here.
 */
final class CudaProgress {
    private static final int REMEMBERED = 4096; // names, a power of two; drivers queue about 1,000
    private static final String BLOCKING = "CUDA_LAUNCH_BLOCKING";

    private final CudaGraphs graphs;
    private final CUstream stream;
    private final String[] names = new String[REMEMBERED]; // of operation n at n % REMEMBERED
    private int queued; // operations; overflows
    private ByteBuffer done; // how many of them the device has done
    private CUdeviceptr doneOnDevice;
    private boolean supported = true;

    CudaProgress(CudaGraphs graphs, CUstream stream) {
        this.graphs = graphs;
        this.stream = stream;
    }

    /** Whether every operation is to end before the next begins. */
    static boolean isBlocking() {
        return "1".equals(System.getenv(BLOCKING));
    }

    /** One more operation is on the stream. */
    void queued(String operation) {
        if (!supported) {
            return;
        }
        if (done == null) {
            done = graphs.hostMemory(Integer.BYTES);
            done.putInt(0, 0);
            doneOnDevice = graphs.onDevice(done);
        }
        names[queued & (REMEMBERED - 1)] = operation;
        queued++;
        supported =
                CudaErrors.succeeds(
                        () -> JCudaDriver.cuStreamWriteValue32(stream, doneOnDevice, queued, 0));
    }

    /** Which operation has failed, as the end of a message. */
    String failed() {
        int ahead = supported && done != null ? queued - done.getInt(0) : 0;
        if (ahead <= 0 || ahead > REMEMBERED) {
            return BLOCKING + "=1 in the environment shows which operation it was";
        }
        return "it was " + names[queued - ahead & (REMEMBERED - 1)];
    }
}
