package org.jlatent.cuda;

import jcuda.driver.JCudaDriver;
import jcuda.jcublas.JCublas2;
import jcuda.jcudnn.JCudnn;
import org.jlatent.DeviceException;

/**
 * What the three libraries return, as exceptions: every call of theirs goes through here, and the
 * first that fails ends the operation. JCuda's own exceptions stay switched off, as they know cuDNN
 * 8's numbers only.
 */
final class CudaErrors {
    static final int OUT_OF_MEMORY = 2;

    private CudaErrors() {}

    /** Throws unless {@code status}, the driver's, is success. */
    static void driver(String what, int status) {
        if (status != 0) {
            String[] name = {"error " + status};
            String[] text = {"unknown"};
            JCudaDriver.cuGetErrorName(status, name);
            JCudaDriver.cuGetErrorString(status, text);
            throw failure(
                    what,
                    text[0]
                            + " ("
                            + name[0]
                            + ")"
                            + (isFault(status)
                                    ? "; work queued before has failed, and nothing more will run on"
                                            + " this device: CUDA_LAUNCH_BLOCKING=1 in the"
                                            + " environment shows which operation it was"
                                    : ""));
        }
    }

    /** Throws unless {@code status}, cuBLAS', is success. */
    static void cublas(String what, int status) {
        if (status != 0) {
            throw failure(
                    what,
                    JCublas2.cublasGetStatusString(status)
                            + " ("
                            + JCublas2.cublasGetStatusName(status)
                            + ")");
        }
    }

    /** Throws unless {@code status}, cuDNN's, is success. */
    static void cudnn(String what, int status) {
        if (status != 0) {
            throw failure(what, JCudnn.cudnnGetErrorString(status) + " (" + status + ")");
        }
    }

    private static DeviceException failure(String what, String why) {
        return new DeviceException(what + " on cuda: " + why);
    }

    /** Errors that a kernel leaves behind, after which a context is of no more use. */
    private static boolean isFault(int status) {
        return status == 700 || status == 702 || status == 710 || status >= 714 && status <= 719;
    }
}
