package org.jlatent;

import static org.jlatent.Checks.address;
import static org.jlatent.Checks.floats;
import static org.jlatent.Checks.require;
import static org.jlatent.Checks.requireOptional;

import org.jlatent.internal.DropoutKernels;
import org.jlatent.internal.ElementwiseKernels;
import org.jlatent.internal.Kernels;
import org.jlatent.internal.SoftmaxKernels;
import org.jlatent.spi.Dense.MatmulShape;

/**
 * Products, elementwise operations, sums, softmax and noise on tensors, without any tape: shapes
 * and devices are checked, results are allocated in the given scope, the work is queued. Operations
 * with more to them have a class each, such as {@link GaussianOps}; {@link ShapeOps} moves elements
 * about. Formulas stand in {@code kernels/<operation>/<operation>.h}.
 *
 * <p>Every method throws {@link ShapeException} when a shape does not fit or tensors live on
 * different devices, and {@link DeviceException} when the device fails.
 */
public final class Ops {
    private Ops() {}

    // ---- dense ----

    /**
     * {@code activation(a b + bias)}. Operands may be bf16, both or none; the sums are f32.
     *
     * @param a {@code [m, k]}; {@code [k, m]} when transposed
     * @param b {@code [k, n]}; {@code [n, k]} when transposed
     * @param bias {@code [n]}, f32, or null
     * @param out what the result is stored as, f32 or bf16
     * @return {@code [m, n]}
     */
    public static Tensor matmul(
            Scope scope,
            Tensor a,
            boolean transposeA,
            Tensor b,
            boolean transposeB,
            Tensor bias,
            Activation activation,
            DType out) {
        if (a.shape().rank() != 2 || b.shape().rank() != 2) {
            throw new ShapeException(
                    "matmul takes matrices, got " + a.shape() + " and " + b.shape());
        }
        long m = a.shape().get(transposeA ? 1 : 0);
        long k = a.shape().get(transposeA ? 0 : 1);
        long n = b.shape().get(transposeB ? 0 : 1);
        if (b.shape().get(transposeB ? 1 : 0) != k) {
            throw new ShapeException(
                    "matmul: inner extents differ: a is "
                            + a.shape()
                            + (transposeA ? " transposed" : "")
                            + ", b is "
                            + b.shape()
                            + (transposeB ? " transposed" : ""));
        }
        int dtype = Checks.storage("matmul", scope, a, b);
        requireOptional("matmul", "bias", bias, Shape.of(n));
        floats("matmul", scope, bias);
        Tensor result = scope.empty(Shape.of(m, n), out);
        scope.device()
                .backend()
                .dense()
                .matmul(
                        new MatmulShape(
                                m,
                                n,
                                k,
                                transposeA,
                                transposeB,
                                activation.code(),
                                dtype,
                                Checks.storage("matmul", scope, result)),
                        a.address(),
                        b.address(),
                        address(bias),
                        result.address());
        return result;
    }

    /** {@code activation(a b + bias)}, stored as the operands are. */
    public static Tensor matmul(
            Scope scope,
            Tensor a,
            boolean transposeA,
            Tensor b,
            boolean transposeB,
            Tensor bias,
            Activation activation) {
        return matmul(scope, a, transposeA, b, transposeB, bias, activation, a.dtype());
    }

    // ---- elementwise ----

    /** {@code f(x)}, any shape. */
    public static Tensor activationForward(Scope scope, Activation activation, Tensor x) {
        floats("activation", scope, x);
        Tensor y = scope.empty(x.shape());
        Kernels.activationForward(
                scope.device().backend(),
                activation.code(),
                x.address(),
                y.address(),
                x.shape().elements());
        return y;
    }

    /**
     * {@code dy f'}.
     *
     * @param saved the output where {@link Activation#differentiatesFromOutput}, else the input
     */
    public static Tensor activationBackward(
            Scope scope, Activation activation, Tensor saved, Tensor dy) {
        require("activation backward", "dy", dy, saved.shape());
        floats("activation backward", scope, saved, dy);
        Tensor dx = scope.empty(dy.shape());
        Kernels.activationBackward(
                scope.device().backend(),
                activation.code(),
                saved.address(),
                dy.address(),
                dx.address(),
                dy.shape().elements());
        return dx;
    }

    /**
     * {@code elu(x), elu(-x)} side by side [Salimans et al. 2017, PixelCNN++].
     *
     * @param x {@code [.., channels]}
     * @return {@code [.., 2 channels]}
     */
    public static Tensor concatElu(Scope scope, Tensor x) {
        Shape rows = x.shape().withoutLast();
        floats("concat elu", scope, x);
        long channels = x.shape().get(-1);
        Tensor y = scope.empty(rows.withLast(Math.multiplyExact(2, channels)));
        ElementwiseKernels.concatEluForward(
                scope.device().backend(), x.address(), y.address(), rows.elements(), channels);
        return y;
    }

    /** {@link #concatElu}'s gradient for x. */
    public static Tensor concatEluBackward(Scope scope, Tensor x, Tensor dy) {
        Shape rows = x.shape().withoutLast();
        long channels = x.shape().get(-1);
        require("concat elu backward", "dy", dy, rows.withLast(Math.multiplyExact(2, channels)));
        floats("concat elu backward", scope, x, dy);
        Tensor dx = scope.empty(x.shape());
        ElementwiseKernels.concatEluBackward(
                scope.device().backend(),
                x.address(),
                dy.address(),
                dx.address(),
                rows.elements(),
                channels);
        return dx;
    }

    /** {@code a + b}, shapes alike. */
    public static Tensor add(Scope scope, Tensor a, Tensor b) {
        require("add", "b", b, a.shape());
        floats("add", scope, a, b);
        Tensor out = scope.empty(a.shape());
        Kernels.add(
                scope.device().backend(),
                a.address(),
                b.address(),
                out.address(),
                a.shape().elements());
        return out;
    }

    /** {@code a b} element by element, shapes alike. */
    public static Tensor multiply(Scope scope, Tensor a, Tensor b) {
        require("multiply", "b", b, a.shape());
        floats("multiply", scope, a, b);
        Tensor out = scope.empty(a.shape());
        ElementwiseKernels.multiply(
                scope.device().backend(),
                a.address(),
                b.address(),
                out.address(),
                a.shape().elements());
        return out;
    }

    /** {@code factor x}, the factor a tensor of one element. */
    public static Tensor scale(Scope scope, Tensor x, Tensor factor) {
        require("scale", "factor", factor, Shape.of(1));
        floats("scale", scope, x, factor);
        Tensor out = scope.empty(x.shape());
        Kernels.scale(
                scope.device().backend(),
                x.address(),
                factor.address(),
                out.address(),
                x.shape().elements());
        return out;
    }

    /** Sets every element of an f32 tensor to {@code value}. */
    public static void fill(Tensor out, float value) {
        if (out.dtype() != DType.F32) {
            throw new ShapeException("fill takes F32 tensors, got " + out.dtype());
        }
        out.use(a -> Kernels.fill(out.device().backend(), a, value, out.shape().elements()));
    }

    /**
     * The same values stored as {@code dtype}, f32 or bf16, rounded to the nearest.
     *
     * @return x itself when it is of that type already
     */
    public static Tensor cast(Scope scope, Tensor x, DType dtype) {
        if (x.dtype() == dtype) {
            return x;
        }
        if (x.dtype() == DType.I32 || dtype == DType.I32) {
            throw new ShapeException(
                    "cast goes between F32 and BF16, not from " + x.dtype() + " to " + dtype);
        }
        Checks.sameDevice("cast", scope, x);
        Tensor out = scope.empty(x.shape(), dtype);
        long count = x.shape().elements();
        if (dtype == DType.BF16) {
            ElementwiseKernels.toBf16(scope.device().backend(), x.address(), out.address(), count);
        } else {
            ElementwiseKernels.fromBf16(
                    scope.device().backend(), x.address(), out.address(), count);
        }
        return out;
    }

    // ---- sums ----

    /** Sum of all elements, {@code [1]}. */
    public static Tensor sum(Scope scope, Tensor x) {
        return sum(scope, x.reshape(Shape.of(x.shape().elements())), 0);
    }

    /**
     * Sum along an axis, in a fixed order.
     *
     * @param axis negative axes count from the end
     * @return the shape of x without the axis; {@code [1]} for a vector
     */
    public static Tensor sum(Scope scope, Tensor x, int axis) {
        Axis along = Axis.of("sum", x.shape(), axis);
        return sum("sum", scope, x, along.without(), along.outer(), along.extent(), along.inner());
    }

    /**
     * Mean of all elements, {@code [1]}.
     *
     * @throws ShapeException if there are none
     */
    public static Tensor mean(Scope scope, Tensor x) {
        return mean(scope, x.reshape(Shape.of(x.shape().elements())), 0);
    }

    /**
     * Mean along an axis.
     *
     * @param axis negative axes count from the end
     * @return the shape of x without the axis; {@code [1]} for a vector
     * @throws ShapeException if the axis has no elements
     */
    public static Tensor mean(Scope scope, Tensor x, int axis) {
        long extent = Axis.of("mean", x.shape(), axis).extent();
        if (extent == 0) {
            throw new ShapeException(
                    "mean: axis " + axis + " of " + x.shape() + " has no elements");
        }
        return scale(scope, sum(scope, x, axis), scope.filled(Shape.of(1), 1.0f / extent));
    }

    /** Sum over all axes but the last: {@code [..., n]} to {@code [n]}, in a fixed order. */
    public static Tensor sumRows(Scope scope, Tensor x) {
        Axis last = Axis.of("sumRows", x.shape(), -1);
        long columns = last.extent();
        return sum("sumRows", scope, x, Shape.of(columns), 1, last.outer(), columns);
    }

    private static Tensor sum(
            String operation, Scope scope, Tensor x, Shape shape, long outer, long n, long inner) {
        floats(operation, scope, x);
        Tensor out = scope.empty(shape);
        ElementwiseKernels.sumAxis(
                scope.device().backend(), x.address(), out.address(), outer, n, inner);
        return out;
    }

    // ---- softmax ----

    /**
     * Probabilities along the last axis; formulas and what infinities do in
     * kernels/softmax/softmax.h.
     *
     * @param x {@code [..., n]}, logits
     */
    public static Tensor softmax(Scope scope, Tensor x) {
        return softmax("softmax", scope, false, x);
    }

    /** The logarithm of {@link #softmax}, without its underflow. */
    public static Tensor logSoftmax(Scope scope, Tensor x) {
        return softmax("logSoftmax", scope, true, x);
    }

    private static Tensor softmax(String operation, Scope scope, boolean log, Tensor x) {
        floats(operation, scope, x);
        Axis last = Axis.of(operation, x.shape(), -1);
        Tensor y = scope.empty(x.shape());
        SoftmaxKernels.forward(
                scope.device().backend(),
                log,
                x.address(),
                y.address(),
                last.outer(),
                last.extent());
        return y;
    }

    /**
     * Gradient of {@link #softmax} for its input.
     *
     * @param y what it returned
     */
    public static Tensor softmaxBackward(Scope scope, Tensor y, Tensor dy) {
        return softmaxBackward("softmax backward", scope, false, y, dy);
    }

    /**
     * Gradient of {@link #logSoftmax} for its input.
     *
     * @param y what it returned
     */
    public static Tensor logSoftmaxBackward(Scope scope, Tensor y, Tensor dy) {
        return softmaxBackward("logSoftmax backward", scope, true, y, dy);
    }

    private static Tensor softmaxBackward(
            String operation, Scope scope, boolean log, Tensor y, Tensor dy) {
        require(operation, "dy", dy, y.shape());
        floats(operation, scope, y, dy);
        Axis last = Axis.of(operation, y.shape(), -1);
        Tensor dx = scope.empty(y.shape());
        SoftmaxKernels.backward(
                scope.device().backend(),
                log,
                y.address(),
                dy.address(),
                dx.address(),
                last.outer(),
                last.extent());
        return dx;
    }

    // ---- random ----

    /**
     * Standard normals; the same for the same state, site and shape.
     *
     * @param site which random draw of the model this is
     */
    public static Tensor randomNormal(Scope scope, Shape shape, Random random, int site) {
        floats("randomNormal", scope, random.state());
        Tensor out = scope.empty(shape);
        Kernels.randomNormal(
                scope.device().backend(),
                out.address(),
                shape.elements(),
                random.state().address(),
                site);
        return out;
    }

    /**
     * Sets elements to 0 at random, the same ones for the same state and site, whatever they are;
     * its own gradient: {@code dx = dropout(dy)} [Srivastava et al. 2014].
     *
     * @param drop probability of being set to 0, in [0, 1)
     * @param inverted whether what stays is scaled by {@code 1 / (1 - drop)}, which keeps the mean;
     *     otherwise x is masked only, as a denoising autoencoder's input
     */
    public static Tensor dropout(
            Scope scope, Tensor x, Random random, int site, float drop, boolean inverted) {
        if (!(drop >= 0 && drop < 1)) {
            throw new IllegalArgumentException("dropout: drop must be in [0, 1), got " + drop);
        }
        floats("dropout", scope, x, random.state());
        Tensor y = scope.empty(x.shape());
        DropoutKernels.dropout(
                scope.device().backend(),
                x.address(),
                y.address(),
                x.shape().elements(),
                random.state().address(),
                site,
                drop,
                inverted ? 1 / (1 - drop) : 1);
        return y;
    }
}
