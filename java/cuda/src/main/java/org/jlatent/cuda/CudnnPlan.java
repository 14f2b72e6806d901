package org.jlatent.cuda;

import static jcuda.jcudnn.cudnnConvolutionMode.CUDNN_CROSS_CORRELATION;
import static jcuda.jcudnn.cudnnDataType.CUDNN_DATA_BFLOAT16;
import static jcuda.jcudnn.cudnnDataType.CUDNN_DATA_FLOAT;
import static jcuda.jcudnn.cudnnMathType.CUDNN_DEFAULT_MATH;
import static jcuda.jcudnn.cudnnMathType.CUDNN_FMA_MATH;
import static jcuda.jcudnn.cudnnMathType.CUDNN_TENSOR_OP_MATH;
import static jcuda.jcudnn.cudnnTensorFormat.CUDNN_TENSOR_NCHW;
import static jcuda.jcudnn.cudnnTensorFormat.CUDNN_TENSOR_NHWC;
import static org.jlatent.cuda.CudnnOperand.ONE;
import static org.jlatent.cuda.CudnnOperand.ZERO;
import static org.jlatent.cuda.CudnnOperand.extent;

import java.util.ArrayList;
import java.util.List;
import jcuda.Pointer;
import jcuda.jcudnn.JCudnn;
import jcuda.jcudnn.cudnnConvolutionDescriptor;
import jcuda.jcudnn.cudnnFilterDescriptor;
import jcuda.jcudnn.cudnnHandle;
import jcuda.jcudnn.cudnnTensorDescriptor;
import org.jlatent.DeviceException;
import org.jlatent.cuda.CudaErrors.Call;
import org.jlatent.cuda.CudnnAlgorithms.Candidate;
import org.jlatent.spi.Dense.ConvShape;

/**
 * One pass of one convolution on cuDNN: descriptors, and the deterministic algorithm that its
 * heuristic expects to be fastest; nothing is timed. Arrays stay NHWC where there is such an
 * algorithm; else they are transposed to NCHW and back.
 */
final class CudnnPlan implements AutoCloseable {

    /** What it writes, by its place among x, weight and y. */
    enum Pass {
        FORWARD(2),
        BACKWARD_DATA(0),
        BACKWARD_WEIGHT(1);

        private final int written;

        Pass(int written) {
            this.written = written;
        }
    }

    /**
     * @param shape with padding as cuDNN takes it, no activation
     * @param tf32 whether f32 factors may be rounded to TF32
     */
    record Key(Pass pass, ConvShape shape, boolean tf32) {}

    private final Key key;
    private final int format;
    private final List<CudnnOperand> operands = new ArrayList<>(); // x, weight, y
    private final cudnnFilterDescriptor weight = new cudnnFilterDescriptor();
    private final cudnnConvolutionDescriptor convolution = new cudnnConvolutionDescriptor();
    private final Candidate algorithm; // null: there is none

    private CudnnPlan(cudnnHandle handle, Key key, int format) {
        this.key = key;
        this.format = format;
        try {
            describe(key.shape());
            algorithm = choose(handle);
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    /**
     * @throws DeviceException if cuDNN has no deterministic algorithm for it
     */
    static CudnnPlan of(cudnnHandle handle, Key key) {
        for (int format : new int[] {CUDNN_TENSOR_NHWC, CUDNN_TENSOR_NCHW}) {
            CudnnPlan plan = new CudnnPlan(handle, key, format);
            if (plan.algorithm != null) {
                return plan;
            }
            plan.close();
        }
        throw new DeviceException(
                "cuDNN has no deterministic algorithm for " + key.pass() + " of " + key.shape());
    }

    private void describe(ConvShape s) {
        int dtype = s.dtype();
        int type = dtype == CudaDense.BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
        long height = ConvGeometry.outHeight(s);
        long width = ConvGeometry.outWidth(s);
        long depth = s.channels() / s.groups();
        operands.add(new CudnnOperand(dtype, type, s.batch(), s.channels(), s.height(), s.width()));
        operands.add(
                new CudnnOperand(
                        dtype, type, s.filters(), depth, s.kernelHeight(), s.kernelWidth()));
        operands.add(new CudnnOperand(dtype, type, s.batch(), s.filters(), height, width));
        check(() -> JCudnn.cudnnCreateFilterDescriptor(weight));
        check(
                () ->
                        JCudnn.cudnnSetFilter4dDescriptor(
                                weight,
                                type,
                                format,
                                extent(s.filters()),
                                extent(depth),
                                extent(s.kernelHeight()),
                                extent(s.kernelWidth())));
        check(() -> JCudnn.cudnnCreateConvolutionDescriptor(convolution));
        check(
                () ->
                        JCudnn.cudnnSetConvolution2dDescriptor(
                                convolution,
                                extent(s.padTop()),
                                extent(s.padLeft()),
                                extent(s.strideY()),
                                extent(s.strideX()),
                                extent(s.dilationY()),
                                extent(s.dilationX()),
                                CUDNN_CROSS_CORRELATION,
                                CUDNN_DATA_FLOAT));
        check(() -> JCudnn.cudnnSetConvolutionGroupCount(convolution, extent(s.groups())));
        check(() -> JCudnn.cudnnSetConvolutionMathType(convolution, math()));
    }

    // The default math permits TF32, from Ampere on. With which math an algorithm was listed JCudnn
    // does not say.
    private int math() {
        if (key.shape().dtype() == CudaDense.BF16) {
            return CUDNN_TENSOR_OP_MATH;
        }
        return key.tf32() ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH;
    }

    /** The first of cuDNN's list, fastest first, that runs and gives the same bits every time. */
    private Candidate choose(cudnnHandle handle) {
        CudnnAlgorithms algorithms =
                new CudnnAlgorithms(handle, key.pass(), x(), weight, convolution, y());
        for (Candidate c : algorithms.list()) {
            if (c.runs() && c.deterministic()) {
                long bytes = algorithms.workspaceBytes(c.number());
                if (bytes >= 0) {
                    return c.withWorkspace(bytes);
                }
            }
        }
        return null;
    }

    private cudnnTensorDescriptor x() {
        return operands.get(0).in(format);
    }

    private cudnnTensorDescriptor y() {
        return operands.get(2).in(format);
    }

    boolean isNhwc() {
        return format == CUDNN_TENSOR_NHWC;
    }

    long workspaceBytes() {
        return algorithm.workspaceBytes();
    }

    /** Of x, weight and y, by number. */
    long operandBytes(int operand) {
        return operands.get(operand).bytes();
    }

    /**
     * @param at x, weight and y in the plan's layout
     */
    void run(cudnnHandle handle, long[] at, long workspace) {
        Pointer images = Address.pointer(at[0]);
        Pointer weights = Address.pointer(at[1]);
        Pointer results = Address.pointer(at[2]);
        Pointer scratch = Address.pointer(workspace);
        int number = algorithm.number();
        long bytes = algorithm.workspaceBytes();
        CudaErrors.cudnn(
                "convolution, " + key.pass(),
                () ->
                        switch (key.pass()) {
                            case FORWARD ->
                                    JCudnn.cudnnConvolutionForward(
                                            handle,
                                            ONE,
                                            x(),
                                            images,
                                            weight,
                                            weights,
                                            convolution,
                                            number,
                                            scratch,
                                            bytes,
                                            ZERO,
                                            y(),
                                            results);
                            case BACKWARD_DATA ->
                                    JCudnn.cudnnConvolutionBackwardData(
                                            handle,
                                            ONE,
                                            weight,
                                            weights,
                                            y(),
                                            results,
                                            convolution,
                                            number,
                                            scratch,
                                            bytes,
                                            ZERO,
                                            x(),
                                            images);
                            case BACKWARD_WEIGHT ->
                                    JCudnn.cudnnConvolutionBackwardFilter(
                                            handle,
                                            ONE,
                                            x(),
                                            images,
                                            y(),
                                            results,
                                            convolution,
                                            number,
                                            scratch,
                                            bytes,
                                            ZERO,
                                            weight,
                                            weights);
                        });
    }

    /**
     * @param at x, weight and y in NHWC
     * @param inner room for each in NCHW
     */
    void runTransposed(cudnnHandle handle, long[] at, long[] inner, long workspace) {
        int written = key.pass().written;
        for (int i = 0; i < at.length; i++) {
            if (i != written) {
                operands.get(i).toNchw(handle, at[i], inner[i]);
            }
        }
        run(handle, inner, workspace);
        operands.get(written).toNhwc(handle, inner[written], at[written]);
    }

    private static void check(Call call) {
        CudaErrors.cudnn("describe a convolution", call);
    }

    @Override
    public void close() {
        operands.forEach(CudnnOperand::close);
        if (Address.ofHandle(weight) != 0) {
            CudaErrors.succeeds(() -> JCudnn.cudnnDestroyFilterDescriptor(weight));
        }
        if (Address.ofHandle(convolution) != 0) {
            CudaErrors.succeeds(() -> JCudnn.cudnnDestroyConvolutionDescriptor(convolution));
        }
    }
}
