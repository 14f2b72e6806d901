package org.jlatent.nn;

import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * Vectors to codes, integers that a finite set of vectors is numbered by, and back.
 *
 * <p>Vectors lie on the last axis: an NHWC image is quantized pixel by pixel. A vector has one
 * code, or several where a quantizer has several {@link #books}: all books have as many {@link
 * #codes}.
 */
public abstract class Quantizer extends Module {

    /** Extent of the last axis of what is quantized. */
    public abstract long dims();

    /** Values that a code can take: 0 to {@code codes() - 1}. */
    public abstract long codes();

    /**
     * The axes of one vector's codes: none for one code, {@code [stages]}, {@code [heads, stages]}.
     */
    public abstract Shape books();

    /**
     * Quantizes. On a tape that {@linkplain Tape#recording records}, which is training, a codebook
     * that learns by averages does so when backward has passed here, and what {@link #health}
     * counts grows.
     *
     * @param x {@code [..., dims]}
     */
    public abstract Quantized forward(Tape tape, Tensor x);

    /**
     * The vectors of codes. Not recorded.
     *
     * @param codes i32, {@code [..., books]}, as {@link #forward} gives them
     * @return {@code [..., dims]}
     * @throws org.jlatent.JlatentException on the CPU, if a code is not in [0, codes()); on a GPU
     *     such a vector is NaN
     */
    public abstract Tensor decode(Scope scope, Tensor codes);

    /**
     * Starts a codebook from vectors such as those it is going to quantize, which spares it entries
     * that nothing is ever near to; does nothing for a quantizer without a codebook.
     *
     * @param scope for what is computed on the way
     * @param vectors {@code [..., dims]}, best many more than codes
     * @param seed the same seed and vectors give the same codebook
     */
    public void initialize(Scope scope, Tensor vectors, long seed) {}

    /**
     * How well the codes have been used since the last call of {@link #clearHealth}. Waits for the
     * device.
     */
    public abstract CodebookHealth health();

    /** Begins to count anew. */
    public abstract void clearHealth();

    /**
     * What {@link #forward} gives.
     *
     * @param q shape of x: what stands for x, with a gradient that reaches x
     * @param codes i32, x's shape without its last axis, then {@link #books}
     * @param loss {@code [1]}, recorded: what trains encoder and codebook beside the decoder's
     *     loss; null for a quantizer that has none
     * @param perplexity {@code [1]}: of this batch's codes, the mean over books; null in inference
     */
    public record Quantized(Tensor q, Tensor codes, Tensor loss, Tensor perplexity) {}
}
