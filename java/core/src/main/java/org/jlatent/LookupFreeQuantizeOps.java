package org.jlatent;

import static org.jlatent.Checks.address;
import static org.jlatent.Checks.floats;
import static org.jlatent.Checks.integers;
import static org.jlatent.Checks.require;
import static org.jlatent.Checks.requireOptional;

import org.jlatent.internal.LookupFreeQuantizeKernels;
import org.jlatent.internal.LookupFreeQuantizeKernels.LookupFreeQuantizeShape;

/**
 * Lookup-free quantization [Yu et al. 2023], as operations on tensors; formulas in
 * kernels/lookup_free_quantize/lookup_free_quantize.h. The last axis of x holds the bits of a code,
 * 1 to 30 of them, so that an NHWC image is quantized pixel by pixel.
 *
 * <p>Every method throws {@link ShapeException} when a shape or type does not fit or tensors live
 * on different devices, and {@link DeviceException} when the device fails.
 */
public final class LookupFreeQuantizeOps {
    private static final int MOST_DIMS = 30;

    private LookupFreeQuantizeOps() {}

    /**
     * What {@link #forward} makes of x.
     *
     * @param codes x's shape without its last axis, i32, in [0, 2^dims): the first value is the
     *     lowest bit
     * @param q x's shape: 1 where x is above 0, else -1
     * @param commitment {@code [1]}, beta times the mean of (x - q)^2
     * @param penalty {@code [1]}, the first of the entropies less gamma times the second
     * @param entropies {@code [2]}, in nats: the mean over the rows of the entropy of their soft
     *     codes; the sum over the bits of the entropy of their mean, an upper bound of the entropy
     *     of the mean soft code
     * @param bitLogOdds {@code [dims]}, what {@link #backward} needs: log(m / (1 - m)) of the mean
     *     probability m of a bit to be 1
     */
    public record Result(
            Tensor codes,
            Tensor q,
            Tensor commitment,
            Tensor penalty,
            Tensor entropies,
            Tensor bitLogOdds) {}

    /**
     * Gradients of the loss for the outputs of {@link #forward}; null: the loss does not depend on
     * it.
     *
     * @param dq x's shape
     * @param dCommitment {@code [1]}
     * @param dPenalty {@code [1]}
     */
    public record Gradients(Tensor dq, Tensor dCommitment, Tensor dPenalty) {}

    /**
     * The signs of x as codes, with the losses.
     *
     * <p>A row of x that is not finite: the CPU throws {@link DeviceException} and names it. A GPU
     * cannot know without waiting; there such a row has code -1, and its q and the commitment are
     * NaN.
     *
     * @param x {@code [..., dims]}
     * @param temperature of the soft codes softmax(-|x - c|^2 / temperature), positive; mostly 0.01
     *     to 1
     * @param beta {@code [1]}, or null for 1
     * @param gamma {@code [1]}, or null for 1
     */
    public static Result forward(
            Scope scope, Tensor x, float temperature, Tensor beta, Tensor gamma) {
        LookupFreeQuantizeShape shape =
                shape("lookup_free_quantize", scope, x, temperature, beta, gamma);
        Result result =
                new Result(
                        scope.empty(x.shape().withoutLast(), DType.I32),
                        scope.empty(x.shape()),
                        scope.empty(Shape.of(1)),
                        scope.empty(Shape.of(1)),
                        scope.empty(Shape.of(2)),
                        scope.empty(Shape.of(shape.dims())));
        LookupFreeQuantizeKernels.forward(
                scope.device().backend(),
                shape,
                x.address(),
                address(beta),
                address(gamma),
                result.codes.address(),
                result.q.address(),
                result.commitment.address(),
                result.penalty.address(),
                result.entropies.address(),
                result.bitLogOdds.address());
        return result;
    }

    /**
     * Gradient for x: dq straight through, and the losses' parts. Arguments as given to {@link
     * #forward}, and what it made of them.
     */
    public static Tensor backward(
            Scope scope,
            Tensor x,
            float temperature,
            Tensor beta,
            Tensor gamma,
            Result forward,
            Gradients d) {
        String operation = "lookup_free_quantize backward";
        LookupFreeQuantizeShape shape = shape(operation, scope, x, temperature, beta, gamma);
        require(operation, "bitLogOdds", forward.bitLogOdds, Shape.of(shape.dims()));
        requireOptional(operation, "dq", d.dq, x.shape());
        requireOptional(operation, "dCommitment", d.dCommitment, Shape.of(1));
        requireOptional(operation, "dPenalty", d.dPenalty, Shape.of(1));
        floats(operation, scope, forward.bitLogOdds, d.dq, d.dCommitment, d.dPenalty);
        Tensor dx = scope.empty(x.shape());
        LookupFreeQuantizeKernels.backward(
                scope.device().backend(),
                shape,
                x.address(),
                forward.bitLogOdds.address(),
                address(beta),
                address(gamma),
                address(d.dq),
                address(d.dCommitment),
                address(d.dPenalty),
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
     * @param dims bits a code, 1 to 30
     * @return the codes' shape and {@code dims}
     */
    public static Tensor decode(Scope scope, Tensor codes, int dims) {
        if (dims < 1 || dims > MOST_DIMS) {
            throw new IllegalArgumentException(
                    "lookup_free_quantize decode: dims must be 1 to 30, got " + dims);
        }
        integers("lookup_free_quantize decode", "codes", scope, codes);
        Tensor q = scope.empty(codes.shape().withLast(dims));
        LookupFreeQuantizeKernels.decode(
                scope.device().backend(),
                codes.shape().elements(),
                dims,
                codes.address(),
                q.address());
        return q;
    }

    private static LookupFreeQuantizeShape shape(
            String operation, Scope scope, Tensor x, float temperature, Tensor beta, Tensor gamma) {
        if (x.shape().rank() == 0 || x.shape().get(-1) < 1 || x.shape().get(-1) > MOST_DIMS) {
            throw new ShapeException(
                    operation + ": the last axis of x must have 1 to 30 bits, got " + x.shape());
        }
        if (!(temperature > 0
                && temperature <= Float.MAX_VALUE
                && 4 / temperature <= Float.MAX_VALUE)) {
            throw new IllegalArgumentException(
                    operation
                            + ": the temperature must be positive and finite, at least 1.2e-38, got "
                            + temperature);
        }
        requireOptional(operation, "beta", beta, Shape.of(1));
        requireOptional(operation, "gamma", gamma, Shape.of(1));
        floats(operation, scope, x, beta, gamma);
        return new LookupFreeQuantizeShape(
                x.shape().withoutLast().elements(), x.shape().get(-1), temperature);
    }
}
