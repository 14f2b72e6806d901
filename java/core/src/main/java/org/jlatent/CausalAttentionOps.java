package org.jlatent;

import static org.jlatent.Checks.address;
import static org.jlatent.Checks.floats;
import static org.jlatent.Checks.require;

import org.jlatent.internal.CausalAttentionKernels;
import org.jlatent.internal.CausalAttentionKernels.AttentionShape;

/**
 * Attention of every position to itself and to those before it, as operations on tensors; formulas
 * in kernels/causal_attention/causal_attention.h. Memory grows with the number of positions, not
 * with its square.
 *
 * <p>Every method throws {@link ShapeException} when a shape or type does not fit or tensors live
 * on different devices, and {@link DeviceException} when the device fails.
 */
public final class CausalAttentionOps {
    /** The most numbers that a head's query, key and value may have each. */
    public static final int MOST_DIMS = 128;

    private CausalAttentionOps() {}

    /**
     * @param y shape of qkv with a third of its channels
     * @param logSums for {@link #backward}: of every row of probabilities, {@code [batch, heads,
     *     positions]}; null where no gradient was asked for
     */
    public record Result(Tensor y, Tensor logSums) {}

    /**
     * For each head {@code y_i = sum over j <= i of softmax(q_i k_j / sqrt(dims)) v_j}.
     *
     * @param qkv {@code [batch, .., channels]}: queries, keys and values of all heads, {@code [3,
     *     heads, dims]}, of every position; images' pixels are positions in raster order
     * @param heads divides a third of the channels, at most {@link #MOST_DIMS} each
     * @param gradient whether {@link #backward} will be called
     */
    public static Result forward(Scope scope, Tensor qkv, int heads, boolean gradient) {
        AttentionShape shape = shape("causal attention", qkv.shape(), heads);
        floats("causal attention", scope, qkv);
        Tensor y = scope.empty(output(qkv.shape()));
        Tensor logSums = gradient ? scope.empty(logSums(shape)) : null;
        CausalAttentionKernels.forward(
                scope.device().backend(), shape, qkv.address(), y.address(), address(logSums));
        return new Result(y, logSums);
    }

    /**
     * Gradient of {@link #forward} for qkv.
     *
     * @param qkv as given to forward, and heads
     * @param forward what it returned
     * @param dy gradient of its y
     * @return shape of qkv
     */
    public static Tensor backward(Scope scope, Tensor qkv, int heads, Result forward, Tensor dy) {
        String operation = "causal attention gradient";
        AttentionShape shape = shape(operation, qkv.shape(), heads);
        if (forward.logSums == null) {
            throw new IllegalArgumentException(
                    operation + ": forward was not asked for one, so it kept no logSums");
        }
        require(operation, "y", forward.y, output(qkv.shape()));
        require(operation, "logSums", forward.logSums, logSums(shape));
        require(operation, "dy", dy, output(qkv.shape()));
        floats(operation, scope, qkv, forward.y, forward.logSums, dy);
        Tensor dQkv = scope.empty(qkv.shape());
        CausalAttentionKernels.backward(
                scope.device().backend(),
                shape,
                qkv.address(),
                forward.y.address(),
                forward.logSums.address(),
                dy.address(),
                dQkv.address());
        return dQkv;
    }

    private static Shape output(Shape qkv) {
        return qkv.withoutLast().withLast(qkv.get(-1) / 3);
    }

    private static Shape logSums(AttentionShape s) {
        return Shape.of(s.batch(), s.heads(), s.positions());
    }

    private static AttentionShape shape(String operation, Shape qkv, int heads) {
        if (qkv.rank() < 2) {
            throw new ShapeException(operation + " takes [batch, .., channels], got " + qkv);
        }
        long positions = 1;
        for (int axis = 1; axis < qkv.rank() - 1; axis++) {
            positions *= qkv.get(axis);
        }
        return new AttentionShape(
                qkv.get(0), positions, heads, dims(operation, qkv.get(-1), heads));
    }

    /** Of each head's query, key and value, of which there are so many numbers in all. */
    static long dims(String operation, long channels, int heads) {
        long dims = heads < 1 || channels % (3L * heads) != 0 ? 0 : channels / (3L * heads);
        if (dims < 1 || dims > MOST_DIMS) {
            throw new ShapeException(
                    operation
                            + ": channels must be 3 for each of up to "
                            + MOST_DIMS
                            + " dims of each head, got "
                            + channels
                            + " channels and "
                            + heads
                            + " heads");
        }
        return dims;
    }
}
