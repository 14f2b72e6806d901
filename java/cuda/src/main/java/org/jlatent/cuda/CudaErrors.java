package org.jlatent.cuda;

import java.util.stream.IntStream;
import jcuda.CudaException;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;
import jcuda.jcublas.JCublas2;
import jcuda.jcudnn.JCudnn;
import org.jlatent.DeviceException;

/**
 * What the three libraries return, as exceptions: every call of theirs goes through here, and the
 * first that fails ends the operation. The program may have switched JCuda's own exceptions on or
 * not; those of cuDNN know version 8's numbers only.
 */
final class CudaErrors {
    static final int OUT_OF_MEMORY = 2;
    private static final int UNKNOWN = 999;

    private CudaErrors() {}

    /** A call of JCuda's. */
    interface Call {
        int run();
    }

    /** What a call of the driver returns. */
    static int driverStatus(Call call) {
        try {
            return call.run();
        } catch (CudaException e) { // its message is the error's name
            return IntStream.range(1, UNKNOWN)
                    .filter(status -> CUresult.stringFor(status).equals(e.getMessage()))
                    .findFirst()
                    .orElse(UNKNOWN);
        }
    }

    /** Whether a call succeeds. */
    static boolean succeeds(Call call) {
        try {
            return call.run() == 0;
        } catch (CudaException e) {
            return false;
        }
    }

    /** Throws unless a call of the driver succeeds. */
    static void driver(String what, Call call) {
        driver(what, driverStatus(call));
    }

    /** Throws unless {@code status}, the driver's, is success. */
    static void driver(String what, int status) {
        if (status != 0) {
            String[] text = {"unknown"};
            succeeds(() -> JCudaDriver.cuGetErrorString(status, text));
            throw failure(what, text[0] + " (" + name(status) + ")");
        }
    }

    /** Of an error of the driver's: CUDA_ERROR_ILLEGAL_ADDRESS. */
    static String name(int status) {
        String[] name = {"error " + status};
        succeeds(() -> JCudaDriver.cuGetErrorName(status, name));
        return name[0];
    }

    /** Throws unless a call of cuBLAS succeeds. */
    static void cublas(String what, Call call) {
        int status = statusOf(what, call);
        if (status != 0) {
            throw failure(
                    what,
                    JCublas2.cublasGetStatusString(status)
                            + " ("
                            + JCublas2.cublasGetStatusName(status)
                            + ")");
        }
    }

    /** Throws unless a call of cuDNN succeeds. */
    static void cudnn(String what, Call call) {
        int status = statusOf(what, call);
        if (status != 0) {
            throw failure(what, JCudnn.cudnnGetErrorString(status) + " (" + status + ")");
        }
    }

    private static int statusOf(String what, Call call) {
        try {
            return call.run();
        } catch (CudaException e) {
            throw failure(what, e.getMessage());
        }
    }

    private static DeviceException failure(String what, String why) {
        return new DeviceException(what + " on cuda: " + why);
    }

    /** Errors that a kernel leaves behind, after which a context is of no more use. */
    static boolean isFault(int status) {
        return status == 700 || status == 702 || status == 710 || (status >= 714 && status <= 719);
    }
}
