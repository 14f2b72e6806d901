package org.jlatent;

import static org.jlatent.Checks.address;
import static org.jlatent.Checks.floats;
import static org.jlatent.Checks.require;

import org.jlatent.internal.Kernels;

/**
 * Products, elementwise operations, sums and noise on tensors, without any tape: shapes and devices
 * are checked, results are allocated in the given scope, the work is queued. Operations with more
 * to them have a class each, such as {@link GaussianOps}. Formulas stand in {@code
 * kernels/<operation>/<operation>.h}.
 *
 * <p>Every method throws {@link ShapeException} when a shape does not fit or tensors live on
 * different devices, and {@link DeviceException} when the device fails.
 */
public final class Ops {
    private Ops() {}

    // ---- dense ----

    /**
     * {@code activation(a b + bias)}.
     *
     * @param a {@code [m, k]}; {@code [k, m]} when transposed
     * @param b {@code [k, n]}; {@code [n, k]} when transposed
     * @param bias {@code [n]}, or null
     * @return {@code [m, n]}
     */
    public static Tensor matmul(
            Scope scope,
            Tensor a,
            boolean transposeA,
            Tensor b,
            boolean transposeB,
            Tensor bias,
            Activation activation) {
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
        if (bias != null) {
            require("matmul", "bias", bias, Shape.of(n));
        }
        floats("matmul", scope, a, b, bias);
        Tensor out = scope.empty(Shape.of(m, n));
        scope.device()
                .backend()
                .matmul(
                        m,
                        n,
                        k,
                        transposeA,
                        transposeB,
                        activation.code(),
                        a.address(),
                        b.address(),
                        address(bias),
                        out.address());
        return out;
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

    /** Sum over all axes but the last: {@code [..., n]} to {@code [n]}, in a fixed order. */
    public static Tensor sumRows(Scope scope, Tensor x) {
        floats("sumRows", scope, x);
        long columns = x.shape().get(-1);
        Tensor out = scope.empty(Shape.of(columns));
        Kernels.sumRows(
                scope.device().backend(), x.address(), out.address(), x.shape().rows(), columns);
        return out;
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
}
