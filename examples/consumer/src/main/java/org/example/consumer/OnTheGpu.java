package org.example.consumer;

import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;
import org.jlatent.DType;
import org.jlatent.Device;
import org.jlatent.Ops;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.jlatent.cuda.Cuda;
import org.jlatent.cuda.CudaOptions;

/** A program with a CUDA context, a stream and memory of its own, through JCuda. */
final class OnTheGpu {
    private OnTheGpu() {}

    static void run() {
        if (!Cuda.isAvailable()) { // before any class of JCuda's is used
            System.out.println("on the GPU: " + Cuda.unavailabilityCause().orElseThrow());
            return;
        }
        JCudaDriver.setExceptionsEnabled(true);
        JCudaDriver.cuInit(0);
        CUdevice gpu = new CUdevice();
        JCudaDriver.cuDeviceGet(gpu, 0);
        CUcontext context = new CUcontext();
        JCudaDriver.cuDevicePrimaryCtxRetain(context, gpu);
        JCudaDriver.cuCtxSetCurrent(context);
        CUstream stream = new CUstream();
        JCudaDriver.cuStreamCreate(stream, 0);
        CUdeviceptr memory = new CUdeviceptr();
        JCudaDriver.cuMemAlloc(memory, 3 * Float.BYTES);

        CudaOptions ours = CudaOptions.defaults().within(context, stream);
        try (Device device = Cuda.open(ours);
                Scope scope = new Scope(device)) {
            Tensor x = Cuda.wrap(device, memory, 3 * Float.BYTES, Shape.of(3), DType.F32);
            x.copyFrom(1, 2, 3);
            Main.check(Ops.add(scope, x, x).toFloatArray()[2] == 6, "3 + 3");
        }
        JCudaDriver.cuMemFree(memory); // all three are still ours
        JCudaDriver.cuStreamDestroy(stream);
        JCudaDriver.cuDevicePrimaryCtxRelease(gpu);
        System.out.println("on the GPU: a tensor on a pointer, work on a stream of one's own");
    }
}
