package org.jlatent.cuda;

import static jcuda.jcudnn.cudnnTensorFormat.CUDNN_TENSOR_NCHW;
import static jcuda.jcudnn.cudnnTensorFormat.CUDNN_TENSOR_NHWC;

import jcuda.Pointer;
import jcuda.jcudnn.JCudnn;
import jcuda.jcudnn.cudnnHandle;
import jcuda.jcudnn.cudnnTensorDescriptor;
import org.jlatent.DeviceException;

/** An array of four dimensions, as cuDNN describes it in both layouts. */
final class CudnnOperand implements AutoCloseable {
    static final Pointer ONE = Pointer.to(new float[] {1});
    static final Pointer ZERO = Pointer.to(new float[] {0});

    private final cudnnTensorDescriptor nhwc = new cudnnTensorDescriptor();
    private final cudnnTensorDescriptor nchw = new cudnnTensorDescriptor();
    private final long bytes;

    /**
     * @param dtype 0 f32, 1 bf16
     * @param type the same in cuDNN's numbers
     */
    CudnnOperand(int dtype, int type, long n, long c, long h, long w) {
        bytes = n * c * h * w * ConvGeometry.bytes(dtype);
        try {
            describe(nhwc, CUDNN_TENSOR_NHWC, type, n, c, h, w);
            describe(nchw, CUDNN_TENSOR_NCHW, type, n, c, h, w);
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private static void describe(
            cudnnTensorDescriptor tensor, int format, int type, long n, long c, long h, long w) {
        CudaErrors.cudnn(
                "describe a convolution", () -> JCudnn.cudnnCreateTensorDescriptor(tensor));
        CudaErrors.cudnn(
                "describe a convolution",
                () ->
                        JCudnn.cudnnSetTensor4dDescriptor(
                                tensor, format, type, extent(n), extent(c), extent(h), extent(w)));
    }

    /** As cuDNN counts. */
    static int extent(long value) {
        if (value > Integer.MAX_VALUE) {
            throw new DeviceException(
                    "conv on cuda: extents must be below 2^31, got one of " + value);
        }
        return (int) value;
    }

    cudnnTensorDescriptor in(int format) {
        return format == CUDNN_TENSOR_NHWC ? nhwc : nchw;
    }

    long bytes() {
        return bytes;
    }

    void toNchw(cudnnHandle handle, long from, long to) {
        transpose(handle, nhwc, from, nchw, to);
    }

    void toNhwc(cudnnHandle handle, long from, long to) {
        transpose(handle, nchw, from, nhwc, to);
    }

    private static void transpose(
            cudnnHandle handle,
            cudnnTensorDescriptor as,
            long from,
            cudnnTensorDescriptor wanted,
            long to) {
        CudaErrors.cudnn(
                "transpose for a convolution",
                () ->
                        JCudnn.cudnnTransformTensor(
                                handle,
                                ONE,
                                as,
                                Address.pointer(from),
                                ZERO,
                                wanted,
                                Address.pointer(to)));
    }

    @Override
    public void close() {
        for (cudnnTensorDescriptor tensor : new cudnnTensorDescriptor[] {nhwc, nchw}) {
            if (Address.ofHandle(tensor) != 0) {
                CudaErrors.succeeds(() -> JCudnn.cudnnDestroyTensorDescriptor(tensor));
            }
        }
    }
}
