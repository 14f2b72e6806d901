package org.jlatent;

import static org.jlatent.Checks.floats;
import static org.jlatent.Checks.require;

import org.jlatent.internal.ElementwiseKernels;
import org.jlatent.internal.ResampleKernels;
import org.jlatent.internal.ResampleKernels.UpsampleShape;

/**
 * Joins, cuts and repeats tensors, without any tape; everything is a copy.
 *
 * <p>Every method throws {@link ShapeException} when a shape does not fit or tensors live on
 * different devices, and {@link DeviceException} when the device fails. Negative axes count from
 * the end.
 */
public final class ShapeOps {
    private ShapeOps() {}

    /**
     * Tensors one after the other along an axis.
     *
     * @param tensors one or more, of the same shape but for the axis
     */
    public static Tensor concat(Scope scope, int axis, Tensor... tensors) {
        if (tensors.length == 0) {
            throw new ShapeException("concat needs at least one tensor");
        }
        floats("concat", scope, tensors);
        Axis first = Axis.of("concat", tensors[0].shape(), axis);
        long extent = 0;
        for (Tensor t : tensors) {
            Axis along = Axis.of("concat", t.shape(), axis);
            if (!along.withExtent(first.extent()).equals(first.shape())) {
                throw new ShapeException(
                        "concat along axis "
                                + axis
                                + ": "
                                + first.shape()
                                + " and "
                                + t.shape()
                                + " differ along another");
            }
            extent += along.extent();
        }
        Tensor out = scope.empty(first.withExtent(extent));
        long at = 0;
        for (Tensor t : tensors) {
            Axis along = Axis.of("concat", t.shape(), axis);
            copy(along, along.extent(), t, 0, extent, out, at);
            at += along.extent();
        }
        return out;
    }

    /** What lies in [from, to) along an axis of f32 or i32 values. */
    public static Tensor slice(Scope scope, Tensor x, int axis, long from, long to) {
        if (x.dtype() == DType.I32) {
            Checks.sameDevice("slice", scope, x);
        } else {
            floats("slice", scope, x);
        }
        Axis along = Axis.of("slice", x.shape(), axis);
        range(along, from, to);
        Tensor out = scope.empty(along.withExtent(to - from), x.dtype());
        copy(along, along.extent(), x, from, to - from, out, 0);
        return out;
    }

    /**
     * Gradient of {@link #slice} for its input: zeros with dy in [from, from + its extent).
     *
     * @param shape of the input
     */
    public static Tensor sliceBackward(Scope scope, Tensor dy, Shape shape, int axis, long from) {
        floats("slice backward", scope, dy);
        Axis along = Axis.of("slice backward", shape, axis);
        Axis cut = Axis.of("slice backward", dy.shape(), axis);
        require("slice backward", "dy", dy, along.withExtent(cut.extent()));
        range(along, from, from + cut.extent());
        Tensor dx = scope.zeros(shape);
        copy(cut, cut.extent(), dy, 0, along.extent(), dx, from);
        return dx;
    }

    private static void range(Axis along, long from, long to) {
        if (from < 0 || from > to || to > along.extent()) {
            throw new ShapeException(
                    "slice: ["
                            + from
                            + ", "
                            + to
                            + ") is not within axis "
                            + along.index()
                            + " of "
                            + along.shape());
        }
    }

    /**
     * Copies along an axis: what x, of the given extent there, holds from {@code from} on, to
     * {@code at} in out; as much as the shorter of the two has room for.
     */
    private static void copy(
            Axis along, long extent, Tensor x, long from, long outExtent, Tensor out, long at) {
        long inner = along.inner();
        ElementwiseKernels.copyBlocks(
                out.device().backend(),
                x.address() + from * inner * Float.BYTES,
                extent * inner,
                out.address() + at * inner * Float.BYTES,
                outExtent * inner,
                along.outer(),
                Math.min(extent - from, outExtent - at) * inner);
    }

    /**
     * The whole of x {@code count} times along a new axis: {@code [outer, inner]} to {@code [outer,
     * count, inner]}. {@link Ops#sum(Scope, Tensor, int)} is its gradient, and it is the sum's.
     *
     * @param axis where the new axis comes, from 0 to x's rank
     */
    public static Tensor repeat(Scope scope, Tensor x, int axis, long count) {
        floats("repeat", scope, x);
        long[] extents = new long[x.shape().rank() + 1];
        if (axis < 0 || axis >= extents.length || count < 0) {
            throw new ShapeException(
                    "repeat: cannot give " + x.shape() + " an axis " + axis + " of " + count);
        }
        long outer = 1;
        for (int i = 0; i < extents.length; i++) {
            extents[i] = i == axis ? count : x.shape().get(i < axis ? i : i - 1);
            outer *= i < axis ? extents[i] : 1;
        }
        Tensor y = scope.empty(Shape.of(extents));
        if (y.shape().elements() > 0) {
            ResampleKernels.upsampleForward(
                    scope.device().backend(),
                    new UpsampleShape(outer, 1, 1, x.shape().elements() / outer, count, 1),
                    x.address(),
                    y.address());
        }
        return y;
    }

    /**
     * Every pixel {@code factorY} times down and {@code factorX} times across (nearest neighbour).
     *
     * @param x {@code [images, height, width, channels]}
     * @return {@code [images, height factorY, width factorX, channels]}
     */
    public static Tensor upsample(Scope scope, Tensor x, int factorY, int factorX) {
        floats("upsample", scope, x);
        UpsampleShape s = upsampleShape(x.shape(), factorY, factorX);
        Tensor y = scope.empty(large(s));
        ResampleKernels.upsampleForward(scope.device().backend(), s, x.address(), y.address());
        return y;
    }

    /**
     * Gradient of {@link #upsample} for its input: the sums over the copies of each pixel.
     *
     * @param dy {@code [images, height factorY, width factorX, channels]}
     * @return {@code [images, height, width, channels]}
     */
    public static Tensor upsampleBackward(Scope scope, Tensor dy, int factorY, int factorX) {
        floats("upsample backward", scope, dy);
        Shape large = dy.shape();
        UpsampleShape whole = upsampleShape(large, factorY, factorX);
        Shape small =
                Shape.of(
                        whole.images(),
                        whole.height() / factorY,
                        whole.width() / factorX,
                        whole.channels());
        UpsampleShape s = upsampleShape(small, factorY, factorX);
        require("upsample backward", "dy", dy, large(s));
        Tensor dx = scope.empty(small);
        ResampleKernels.upsampleBackward(scope.device().backend(), s, dy.address(), dx.address());
        return dx;
    }

    private static UpsampleShape upsampleShape(Shape x, int factorY, int factorX) {
        if (x.rank() != 4) {
            throw new ShapeException(
                    "upsample takes images [images, height, width, channels], got " + x);
        }
        if (factorY < 1 || factorX < 1) {
            throw new ShapeException(
                    "upsample: factors must be at least 1, got " + factorY + " and " + factorX);
        }
        return new UpsampleShape(x.get(0), x.get(1), x.get(2), x.get(3), factorY, factorX);
    }

    private static Shape large(UpsampleShape s) {
        return Shape.of(
                s.images(),
                Shape.product(s.height(), s.factorY()),
                Shape.product(s.width(), s.factorX()),
                s.channels());
    }
}
