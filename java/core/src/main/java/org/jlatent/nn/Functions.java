package org.jlatent.nn;

import java.util.List;
import java.util.function.Supplier;
import org.jlatent.CausalAttentionOps;
import org.jlatent.NormOps;
import org.jlatent.Ops;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.ShapeOps;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * Operations without parameters, recorded on a tape: each returns a tensor of the tape's scope
 * through which gradients flow to whatever of its inputs is tracked. Shapes, and what is thrown
 * when they do not fit, as in {@link Ops}, {@link NormOps}, {@link ShapeOps} and {@link
 * CausalAttentionOps}.
 */
public final class Functions {
    private Functions() {}

    /** {@code a + b}, shapes alike. */
    public static Tensor add(Tape tape, Tensor a, Tensor b) {
        Tensor out = Ops.add(tape.scope(), a, b);
        tape.record(
                "add",
                List.of(a, b),
                List.of(out),
                () -> {
                    tape.accumulate(a, tape.gradient(out));
                    tape.accumulate(b, tape.gradient(out));
                });
        return out;
    }

    /** {@code a b} element by element, shapes alike. */
    public static Tensor multiply(Tape tape, Tensor a, Tensor b) {
        Scope scope = tape.scope();
        Tensor out = Ops.multiply(scope, a, b);
        tape.record(
                "multiply",
                List.of(a, b),
                List.of(out),
                () -> {
                    Tensor d = tape.gradient(out);
                    accumulate(tape, a, () -> Ops.multiply(scope, d, b));
                    accumulate(tape, b, () -> Ops.multiply(scope, d, a));
                });
        return out;
    }

    /** Sum of all elements, {@code [1]}. */
    public static Tensor sum(Tape tape, Tensor x) {
        return sum(tape, reshape(tape, x, Shape.of(x.shape().elements())), 0);
    }

    /** Sum along an axis, which goes; {@code [1]} for a vector. */
    public static Tensor sum(Tape tape, Tensor x, int axis) {
        Scope scope = tape.scope();
        return tape.record("sum", x, Ops.sum(scope, x, axis), d -> spread(scope, d, x, axis));
    }

    /** Mean of all elements, {@code [1]}. */
    public static Tensor mean(Tape tape, Tensor x) {
        return mean(tape, reshape(tape, x, Shape.of(x.shape().elements())), 0);
    }

    /** Mean along an axis, which goes; {@code [1]} for a vector. */
    public static Tensor mean(Tape tape, Tensor x, int axis) {
        Scope scope = tape.scope();
        return tape.record(
                "mean",
                x,
                Ops.mean(scope, x, axis),
                d -> {
                    Tensor share = scope.filled(Shape.of(1), 1.0f / x.shape().get(axis));
                    return spread(scope, Ops.scale(scope, d, share), x, axis);
                });
    }

    /** The gradient of a sum: each element's is that of the sum it went into. */
    private static Tensor spread(Scope scope, Tensor d, Tensor x, int axis) {
        Shape shape = x.shape();
        int index = axis < 0 ? shape.rank() + axis : axis;
        return ShapeOps.repeat(scope, d, index, shape.get(index)).reshape(shape);
    }

    /** Tensors one after the other along an axis. */
    public static Tensor concat(Tape tape, int axis, Tensor... tensors) {
        List<Tensor> parts = List.of(tensors);
        Tensor out = ShapeOps.concat(tape.scope(), axis, tensors);
        tape.record(
                "concat",
                parts,
                List.of(out),
                () -> {
                    Tensor d = tape.gradient(out);
                    long from = 0;
                    for (Tensor part : parts) {
                        long start = from;
                        long end = start + part.shape().get(axis);
                        accumulate(
                                tape,
                                part,
                                () -> ShapeOps.slice(tape.scope(), d, axis, start, end));
                        from = end;
                    }
                });
        return out;
    }

    /** What lies in [from, to) along an axis. */
    public static Tensor slice(Tape tape, Tensor x, int axis, long from, long to) {
        Scope scope = tape.scope();
        return tape.record(
                "slice",
                x,
                ShapeOps.slice(scope, x, axis, from, to),
                d -> ShapeOps.sliceBackward(scope, d, x.shape(), axis, from));
    }

    /** The same memory under another shape of as many elements. */
    public static Tensor reshape(Tape tape, Tensor x, Shape shape) {
        return tape.record("reshape", x, x.reshape(shape), d -> d.reshape(x.shape()));
    }

    /** Probabilities along the last axis. */
    public static Tensor softmax(Tape tape, Tensor x) {
        Tensor y = Ops.softmax(tape.scope(), x);
        return tape.record("softmax", x, y, d -> Ops.softmaxBackward(tape.scope(), y, d));
    }

    /** Their logarithms. */
    public static Tensor logSoftmax(Tape tape, Tensor x) {
        Tensor y = Ops.logSoftmax(tape.scope(), x);
        return tape.record("log softmax", x, y, d -> Ops.logSoftmaxBackward(tape.scope(), y, d));
    }

    /** Rows of length 1 along the last axis, for what is compared by its cosine. */
    public static Tensor l2Normalize(Tape tape, Tensor x) {
        Scope scope = tape.scope();
        return tape.record(
                "l2 normalize",
                x,
                NormOps.l2Normalize(scope, x),
                d -> NormOps.l2NormalizeBackward(scope, x, d));
    }

    /** {@code elu(x), elu(-x)} side by side along the last axis, for x {@code [.., channels]}. */
    public static Tensor concatElu(Tape tape, Tensor x) {
        Scope scope = tape.scope();
        return tape.record(
                "concat elu", x, Ops.concatElu(scope, x), d -> Ops.concatEluBackward(scope, x, d));
    }

    /**
     * Every second pixel of both sides of NHWC images, from the first on.
     *
     * @throws ShapeException unless height and width are even
     */
    public static Tensor subsample(Tape tape, Tensor x) {
        Shape s = x.shape();
        if (s.rank() != 4 || s.get(1) % 2 != 0 || s.get(2) % 2 != 0) {
            throw new ShapeException(
                    "subsample takes images [images, height, width, channels] of even height and"
                            + " width, got "
                            + s);
        }
        long width = s.get(2) / 2;
        long rows = s.get(0) * (s.get(1) / 2);
        long row = s.get(2) * s.get(3);
        Tensor pairs = reshape(tape, x, Shape.of(rows, 2 * row));
        Tensor above = slice(tape, pairs, 1, 0, row);
        Tensor columns = reshape(tape, above, Shape.of(rows * width, 2 * s.get(3)));
        Tensor left = slice(tape, columns, 1, 0, s.get(3));
        return reshape(tape, left, Shape.of(s.get(0), s.get(1) / 2, width, s.get(3)));
    }

    /** Every pixel of NHWC images repeated by whole factors. */
    public static Tensor upsample(Tape tape, Tensor x, int factorY, int factorX) {
        Scope scope = tape.scope();
        return tape.record(
                "upsample",
                x,
                ShapeOps.upsample(scope, x, factorY, factorX),
                d -> ShapeOps.upsampleBackward(scope, d, factorY, factorX));
    }

    /**
     * Attention of every position to itself and to those before it; of images, pixels in raster
     * order.
     *
     * @param qkv {@code [batch, .., 3 heads dims]}
     * @return {@code [batch, .., heads dims]}
     */
    public static Tensor causalAttention(Tape tape, Tensor qkv, int heads) {
        Scope scope = tape.scope();
        CausalAttentionOps.Result result =
                CausalAttentionOps.forward(scope, qkv, heads, tape.recording());
        return tape.record(
                "causal attention",
                qkv,
                result.y(),
                d -> CausalAttentionOps.backward(scope, qkv, heads, result, d));
    }

    private static void accumulate(Tape tape, Tensor tensor, Supplier<Tensor> gradient) {
        if (tape.tracks(tensor)) {
            tape.accumulate(tensor, gradient.get());
        }
    }
}
