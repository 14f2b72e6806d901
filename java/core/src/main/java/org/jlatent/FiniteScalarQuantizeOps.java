package org.jlatent;

import static org.jlatent.Checks.floats;
import static org.jlatent.Checks.integers;
import static org.jlatent.Checks.require;

import java.util.Arrays;
import org.jlatent.internal.FiniteScalarQuantizeKernels;

/**
 * Finite scalar quantization [Mentzer et al. 2023], as operations on tensors; formulas in
 * kernels/finite_scalar_quantize/finite_scalar_quantize.h. The last axis of x holds the values that
 * make up a code, one for each of the levels, so that an NHWC image is quantized pixel by pixel.
 *
 * <p>Levels are at least 2 each, at most 30 of them, and their product, the number of codes, is
 * below 2^31; else {@link IllegalArgumentException}. Every method throws {@link ShapeException}
 * when a shape or type does not fit or tensors live on different devices, and {@link
 * DeviceException} when the device fails.
 */
public final class FiniteScalarQuantizeOps {
    private static final int MOST_DIMS = 30;

    private FiniteScalarQuantizeOps() {}

    /**
     * What {@link #forward} makes of x.
     *
     * @param codes x's shape without its last axis, i32, in [0, {@link #codes}): the first value's
     *     level counts least
     * @param q x's shape, in [-1, 1]: each value rounded to one of its levels
     */
    public record Result(Tensor codes, Tensor q) {}

    /** How many codes these levels make: their product. */
    public static int codes(int... levels) {
        long codes = 1;
        for (int level : levels) {
            codes = level < 2 || codes >= 1L << 31 ? Long.MAX_VALUE : codes * level;
        }
        if (levels.length == 0 || levels.length > MOST_DIMS || codes >= 1L << 31) {
            throw new IllegalArgumentException(
                    "levels must be 1 to 30 numbers of at least 2 with a product below 2^31, got "
                            + Arrays.toString(levels));
        }
        return (int) codes;
    }

    /**
     * Every value bounded and rounded to one of its levels; the same on every device, bit for bit.
     *
     * <p>A row of x that is not finite: the CPU throws {@link DeviceException} and names it. A GPU
     * cannot know without waiting; there such a row has code -1 and q NaN.
     *
     * @param x {@code [..., levels]}
     */
    public static Result forward(Scope scope, Tensor x, int... levels) {
        checkInput("finite_scalar_quantize", scope, x, levels);
        Tensor codes = scope.empty(x.shape().withoutLast(), DType.I32);
        Tensor q = scope.empty(x.shape());
        FiniteScalarQuantizeKernels.forward(
                scope.device().backend(),
                codes.shape().elements(),
                levels,
                x.address(),
                codes.address(),
                q.address());
        return new Result(codes, q);
    }

    /**
     * Gradient for x: straight through the rounding, times the slope of the bound.
     *
     * @param x as given to {@link #forward}
     * @param dq x's shape
     */
    public static Tensor backward(Scope scope, Tensor x, Tensor dq, int... levels) {
        checkInput("finite_scalar_quantize backward", scope, x, levels);
        require("finite_scalar_quantize backward", "dq", dq, x.shape());
        floats("finite_scalar_quantize backward", scope, dq);
        Tensor dx = scope.empty(x.shape());
        FiniteScalarQuantizeKernels.backward(
                scope.device().backend(),
                x.shape().withoutLast().elements(),
                levels,
                x.address(),
                dq.address(),
                dx.address());
        return dx;
    }

    /**
     * The q that {@link #forward} gave with these codes.
     *
     * <p>A code out of range: the CPU throws {@link DeviceException} and names it; on a GPU its q
     * is NaN.
     *
     * @param codes i32, any shape
     * @return the codes' shape and a last axis of the levels
     */
    public static Tensor decode(Scope scope, Tensor codes, int... levels) {
        codes(levels);
        integers("finite_scalar_quantize decode", "codes", scope, codes);
        Tensor q = scope.empty(codes.shape().withLast(levels.length));
        FiniteScalarQuantizeKernels.decode(
                scope.device().backend(),
                codes.shape().elements(),
                levels,
                codes.address(),
                q.address());
        return q;
    }

    private static void checkInput(String operation, Scope scope, Tensor x, int... levels) {
        codes(levels);
        if (x.shape().rank() == 0 || x.shape().get(-1) != levels.length) {
            throw new ShapeException(
                    operation
                            + ": the last axis of x must be as long as the levels, got "
                            + x.shape()
                            + " and "
                            + Arrays.toString(levels));
        }
        floats(operation, scope, x);
    }
}
