package org.jlatent.cuda;

import java.util.HashMap;
import java.util.Map;
import jcuda.jcudnn.JCudnn;
import jcuda.jcudnn.cudnnHandle;
import jcuda.runtime.cudaStream_t;
import org.jlatent.cuda.CudnnPlan.Pass;
import org.jlatent.spi.Dense.ConvShape;

/** Convolutions on cuDNN, each planned when its shape first comes. */
final class CudnnConvolutions implements AutoCloseable {
    private static final int MOST_PLANS = 1024; // more than any model has

    private final cudnnHandle handle = new cudnnHandle();
    private final Map<CudnnPlan.Key, CudnnPlan> plans = new HashMap<>();
    private final DeviceBuffer workspace;
    private final DeviceBuffer[] transposed; // x, weight and y where cuDNN does not take NHWC
    private boolean created;

    CudnnConvolutions(CudaBackend backend) {
        workspace = new DeviceBuffer(backend);
        transposed =
                new DeviceBuffer[] {
                    new DeviceBuffer(backend), new DeviceBuffer(backend), new DeviceBuffer(backend)
                };
        try {
            CudaErrors.cudnn("start cuDNN", () -> JCudnn.cudnnCreate(handle));
            created = true;
            CudaErrors.cudnn(
                    "start cuDNN",
                    () -> JCudnn.cudnnSetStream(handle, new cudaStream_t(backend.cudaStream())));
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    /**
     * One of x, weight and y is written, as the pass says.
     *
     * @param shape with padding as cuDNN takes it
     * @param tf32 whether f32 factors may be rounded to TF32
     */
    void run(Pass pass, ConvShape shape, boolean tf32, long x, long weight, long y) {
        CudnnPlan.Key key = new CudnnPlan.Key(pass, shape, tf32);
        CudnnPlan plan = plans.get(key);
        if (plan == null) {
            if (plans.size() >= MOST_PLANS) {
                forgetPlans();
            }
            plan = CudnnPlan.of(handle, key);
            plans.put(key, plan);
        }
        long[] at = {x, weight, y};
        long scratch = workspace.atLeast(plan.workspaceBytes());
        if (plan.isNhwc()) {
            plan.run(handle, at, scratch);
        } else {
            long[] inner = new long[at.length];
            for (int i = 0; i < at.length; i++) {
                inner[i] = transposed[i].atLeast(plan.operandBytes(i));
            }
            plan.runTransposed(handle, at, inner, scratch);
        }
    }

    private void forgetPlans() {
        plans.values().forEach(CudnnPlan::close);
        plans.clear();
    }

    @Override
    public void close() {
        forgetPlans();
        if (created) {
            created = false;
            CudaErrors.succeeds(
                    () -> JCudnn.cudnnDestroy(handle)); // nothing more can be done when not
        }
        workspace.close();
        for (DeviceBuffer buffer : transposed) {
            buffer.close();
        }
    }
}
