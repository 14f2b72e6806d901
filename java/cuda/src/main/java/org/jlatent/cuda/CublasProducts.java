package org.jlatent.cuda;

import static jcuda.cudaDataType.CUDA_R_16BF;
import static jcuda.cudaDataType.CUDA_R_32F;
import static jcuda.jcublas.cublasComputeType.CUBLAS_COMPUTE_32F;
import static jcuda.jcublas.cublasComputeType.CUBLAS_COMPUTE_32F_FAST_TF32;
import static jcuda.jcublas.cublasComputeType.CUBLAS_COMPUTE_32F_PEDANTIC;
import static jcuda.jcublas.cublasOperation.CUBLAS_OP_N;
import static jcuda.jcublas.cublasOperation.CUBLAS_OP_T;

import jcuda.Pointer;
import jcuda.jcublas.JCublas2;
import jcuda.jcublas.cublasGemmAlgo;
import jcuda.jcublas.cublasHandle;
import jcuda.runtime.cudaStream_t;
import org.jlatent.DeviceException;
import org.jlatent.spi.Dense.MatmulShape;

/** Matrix products on cuBLAS, summed in f32. Deterministic: one stream, a workspace of our own. */
final class CublasProducts implements AutoCloseable {
    private static final long WORKSPACE = 32L << 20; // what NVIDIA recommends for Hopper
    private static final Pointer ONE = Pointer.to(new float[] {1});
    private static final Pointer ZERO = Pointer.to(new float[] {0});

    private final cublasHandle handle = new cublasHandle();
    private final DeviceBuffer workspace;
    private final boolean tf32;
    private boolean created;

    CublasProducts(CudaBackend backend, boolean tf32) {
        this.tf32 = tf32;
        workspace = new DeviceBuffer(backend);
        try {
            CudaErrors.cublas("start cuBLAS", () -> JCublas2.cublasCreate(handle));
            created = true;
            CudaErrors.cublas(
                    "start cuBLAS",
                    () -> JCublas2.cublasSetStream(handle, new cudaStream_t(backend.cudaStream())));
            CudaErrors.cublas(
                    "start cuBLAS",
                    () ->
                            JCublas2.cublasSetWorkspace(
                                    handle,
                                    Address.pointer(workspace.atLeast(WORKSPACE)),
                                    WORKSPACE));
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    /**
     * {@code out = op(a) op(b)}. cuBLAS is column-major, where row-major arrays are their own
     * transposes: {@code out^T [n,m] = op(b)^T [n,k] op(a)^T [k,m]}, without a copy.
     */
    void run(MatmulShape s, long a, long b, long out, int outDtype) {
        int m = count(s, s.m());
        int n = count(s, s.n());
        int k = count(s, s.k());
        CudaErrors.cublas(
                "matmul",
                () ->
                        JCublas2.cublasGemmEx_new(
                                handle,
                                s.transposeB() ? CUBLAS_OP_T : CUBLAS_OP_N,
                                s.transposeA() ? CUBLAS_OP_T : CUBLAS_OP_N,
                                n,
                                m,
                                k,
                                ONE,
                                Address.pointer(b),
                                type(s.dtype()),
                                s.transposeB() ? k : n,
                                Address.pointer(a),
                                type(s.dtype()),
                                s.transposeA() ? m : k,
                                ZERO,
                                Address.pointer(out),
                                type(outDtype),
                                n,
                                compute(s.dtype()),
                                cublasGemmAlgo.CUBLAS_GEMM_DEFAULT));
    }

    private int compute(int dtype) {
        if (dtype == CudaDense.BF16) {
            return CUBLAS_COMPUTE_32F;
        }
        return tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F_PEDANTIC;
    }

    private static int type(int dtype) {
        return dtype == CudaDense.BF16 ? CUDA_R_16BF : CUDA_R_32F;
    }

    private static int count(MatmulShape s, long extent) {
        if (extent > Integer.MAX_VALUE) {
            throw new DeviceException(
                    "matmul on cuda: extents must be below 2^31, got m = "
                            + s.m()
                            + ", n = "
                            + s.n()
                            + ", k = "
                            + s.k());
        }
        return (int) extent;
    }

    @Override
    public void close() {
        if (created) {
            created = false;
            CudaErrors.succeeds(
                    () -> JCublas2.cublasDestroy(handle)); // nothing more can be done when not
        }
        workspace.close();
    }
}
