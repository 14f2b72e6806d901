package org.jlatent.cuda;

import static jcuda.driver.CUevent_flags.CU_EVENT_DISABLE_TIMING;

import jcuda.driver.CUevent;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.JCudaDriver;
import org.jlatent.spi.Graph;

/** A graph, ready to be launched. */
final class CudaGraph implements Graph {
    private final CudaBackend backend;
    private final int moves;
    private final Runnable release;
    private final CUgraphExec executable = new CUgraphExec();
    private final CUevent done = new CUevent();
    private boolean closed;

    /**
     * @param graph may be destroyed afterwards
     * @param moves of the scratch memory until it was recorded
     * @param release frees what the graph reads, in the end
     */
    CudaGraph(CudaBackend backend, CUgraph graph, int moves, Runnable release) {
        this.backend = backend;
        this.moves = moves;
        this.release = release;
        backend.driver("make a graph", () -> JCudaDriver.cuGraphInstantiate(executable, graph, 0));
        int status =
                CudaErrors.driverStatus(
                        () -> JCudaDriver.cuEventCreate(done, CU_EVENT_DISABLE_TIMING));
        if (status != 0) {
            CudaErrors.succeeds(() -> JCudaDriver.cuGraphExecDestroy(executable));
            backend.driver("make a graph", status);
        }
    }

    @Override
    public void replay() {
        backend.enter();
        backend.driver(
                "launch a graph",
                () -> JCudaDriver.cuGraphLaunch(executable, backend.cudaStream()));
        backend.driver(
                "launch a graph", () -> JCudaDriver.cuEventRecord(done, backend.cudaStream()));
        backend.queued("a recorded step, whose operations CUDA_LAUNCH_BLOCKING=1 takes one by one");
    }

    @Override
    public void await() {
        backend.enter();
        backend.driver("run a graph", () -> JCudaDriver.cuEventSynchronize(done));
    }

    @Override
    public boolean isCurrent() {
        return moves == backend.moves();
    }

    // What it reads goes with it, so it has to be done.
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            CudaErrors.succeeds(() -> JCudaDriver.cuEventSynchronize(done));
            CudaErrors.succeeds(() -> JCudaDriver.cuGraphExecDestroy(executable));
            CudaErrors.succeeds(() -> JCudaDriver.cuEventDestroy(done));
            release.run();
        }
    }
}
