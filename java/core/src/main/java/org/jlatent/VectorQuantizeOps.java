package org.jlatent;

import static org.jlatent.Checks.address;
import static org.jlatent.Checks.floats;
import static org.jlatent.Checks.integers;
import static org.jlatent.Checks.require;
import static org.jlatent.Checks.requireOptional;

import java.util.Arrays;
import org.jlatent.internal.VectorQuantizeKernels;
import org.jlatent.internal.VectorQuantizeKernels.VectorQuantizeShape;

/**
 * Vector quantization [van den Oord et al. 2017], as operations on tensors; formulas in
 * kernels/vector_quantize/vector_quantize.h. The last axis of x holds the vectors that are
 * quantized, so that an NHWC image is quantized pixel by pixel; whatever axes come before are
 * {@code rows} here.
 *
 * <p>Every method throws {@link ShapeException} when a shape or type does not fit or tensors live
 * on different devices, and {@link DeviceException} when the device fails.
 */
public final class VectorQuantizeOps {
    private VectorQuantizeOps() {}

    /**
     * What {@link #forward} makes of x.
     *
     * @param codes x's shape without its last axis, i32: the nearest code, the lowest of equals; -1
     *     where the mask leaves a row out
     * @param q x's shape: the codes' entries; 0 where the code is -1
     * @param rowErrors the codes' shape, |x - q|^2
     * @param codebookLoss {@code [1]}, mean of (x - q)^2 over the elements of the rows that count
     * @param commitment {@code [1]}, beta times that
     * @param histogram {@code [codes]}, i32: rows with each code
     * @param valid {@code [1]}, i32: rows that count
     */
    public record Result(
            Tensor codes,
            Tensor q,
            Tensor rowErrors,
            Tensor codebookLoss,
            Tensor commitment,
            Tensor histogram,
            Tensor valid) {}

    /**
     * Gradients of the loss for the outputs of {@link #forward}; null: the loss does not depend on
     * it.
     *
     * @param dq shape of q
     * @param dCodebookLoss {@code [1]}
     * @param dCommitment {@code [1]}
     */
    public record Gradients(Tensor dq, Tensor dCodebookLoss, Tensor dCommitment) {}

    /**
     * Gradients for what went in.
     *
     * @param dx x's shape: dq straight through, and the commitment's part
     * @param dCodebook {@code [codes, dims]}; null without a {@code dCodebookLoss}
     */
    public record InputGradients(Tensor dx, Tensor dCodebook) {}

    /**
     * Moving averages that a codebook is made of, and their settings; all of them change in {@link
     * #average}.
     *
     * @param state {@code [4]}, i32: decay and epsilon (the bits of an f32), steps done, 0
     * @param counts {@code [codes]}, decayed rows of each code
     * @param sums {@code [codes, dims]}, decayed sums of these rows
     */
    public record Averages(Tensor state, Tensor counts, Tensor sums) {
        /**
         * Averages of nothing yet.
         *
         * @param decay in [0, 1), mostly 0.99
         * @param epsilon of the Laplace smoothing, in rows, at least 0; mostly 1e-5
         */
        public static Averages of(Scope scope, long codes, long dims, float decay, float epsilon) {
            if (!(decay >= 0 && decay < 1)) {
                throw new IllegalArgumentException("decay must be in [0, 1), got " + decay);
            }
            if (!(epsilon >= 0) || Float.isInfinite(epsilon)) {
                throw new IllegalArgumentException(
                        "epsilon must be finite and at least 0, got " + epsilon);
            }
            Tensor state =
                    scope.ofInts(
                            Shape.of(6),
                            Float.floatToRawIntBits(decay),
                            Float.floatToRawIntBits(epsilon),
                            0,
                            0,
                            0,
                            0);
            return new Averages(
                    state, scope.zeros(Shape.of(codes)), scope.zeros(Shape.of(codes, dims)));
        }
    }

    /**
     * The nearest code of every row, over the real numbers and so the same on every device, with
     * the losses; memory for it grows with the rows and the codebook, not with their product.
     *
     * <p>A row of x or an entry of the codebook that is not finite: the CPU throws {@link
     * DeviceException} and names it. A GPU cannot know without waiting; there such a row has code
     * -1 and q NaN, and the counter grows.
     *
     * @param x {@code [..., dims]}
     * @param codebook {@code [codes, dims]}, both at least 1
     * @param rowMask the codes' shape, f32, or null: rows where it is 0 do not count and are not
     *     looked at
     * @param beta {@code [1]}, multiplies the commitment only, or null for 1
     * @param invalid {@code [1]}, i32, or null: rows that are not finite are added to it on a GPU
     */
    public static Result forward(
            Scope scope, Tensor x, Tensor codebook, Tensor rowMask, Tensor beta, Tensor invalid) {
        VectorQuantizeShape shape = shape("vector_quantize", x, codebook);
        Shape rows = rows(x);
        requireOptional("vector_quantize", "rowMask", rowMask, rows);
        requireOptional("vector_quantize", "beta", beta, Shape.of(1));
        floats("vector_quantize", scope, x, codebook, rowMask, beta);
        if (invalid != null) {
            require("vector_quantize", "invalid", invalid, Shape.of(1));
            integers("vector_quantize", "invalid", scope, invalid);
        }
        Result result =
                new Result(
                        scope.empty(rows, DType.I32),
                        scope.empty(x.shape()),
                        scope.empty(rows),
                        scope.empty(Shape.of(1)),
                        scope.empty(Shape.of(1)),
                        scope.empty(Shape.of(shape.codes()), DType.I32),
                        scope.empty(Shape.of(1), DType.I32));
        VectorQuantizeKernels.forward(
                scope.device().backend(),
                shape,
                x.address(),
                codebook.address(),
                address(rowMask),
                address(beta),
                result.codes.address(),
                result.q.address(),
                result.rowErrors.address(),
                result.codebookLoss.address(),
                result.commitment.address(),
                result.histogram.address(),
                result.valid.address(),
                address(invalid));
        return result;
    }

    /**
     * Gradients for x and, where {@code d} has a {@code dCodebookLoss}, for the codebook. Arguments
     * as given to {@link #forward}, and what it made of them.
     */
    public static InputGradients backward(
            Scope scope, Tensor x, Tensor codebook, Tensor beta, Result forward, Gradients d) {
        VectorQuantizeShape shape = shape("vector_quantize backward", x, codebook);
        checkCodes("vector_quantize backward", scope, x, forward.codes);
        require("vector_quantize backward", "valid", forward.valid, Shape.of(1));
        integers("vector_quantize backward", "valid", scope, forward.valid);
        requireOptional("vector_quantize backward", "beta", beta, Shape.of(1));
        requireOptional("vector_quantize backward", "dq", d.dq, x.shape());
        requireOptional("vector_quantize backward", "dCodebookLoss", d.dCodebookLoss, Shape.of(1));
        requireOptional("vector_quantize backward", "dCommitment", d.dCommitment, Shape.of(1));
        floats(
                "vector_quantize backward",
                scope,
                x,
                codebook,
                beta,
                d.dq,
                d.dCodebookLoss,
                d.dCommitment);
        Tensor dx = scope.empty(x.shape());
        Tensor dCodebook = d.dCodebookLoss == null ? null : scope.empty(codebook.shape());
        VectorQuantizeKernels.backward(
                scope.device().backend(),
                shape,
                x.address(),
                codebook.address(),
                forward.codes.address(),
                forward.valid.address(),
                address(beta),
                address(d.dq),
                address(d.dCodebookLoss),
                address(d.dCommitment),
                dx.address(),
                address(dCodebook));
        return new InputGradients(dx, dCodebook);
    }

    /**
     * Takes a batch into the moving averages and makes the codebook of them anew, both in place:
     * debiased and Laplace-smoothed [van den Oord et al. 2017, app. A.1]. An entry that no row has
     * had so far stays as it is.
     *
     * @param scope of the device
     * @param codes as {@link #forward} wrote them
     */
    public static void average(
            Scope scope, Tensor x, Tensor codes, Averages averages, Tensor codebook) {
        VectorQuantizeShape shape = shape("vector_quantize average", x, codebook);
        checkCodes("vector_quantize average", scope, x, codes);
        require("vector_quantize average", "state", averages.state, Shape.of(6));
        integers("vector_quantize average", "state", scope, averages.state);
        require("vector_quantize average", "counts", averages.counts, Shape.of(shape.codes()));
        require("vector_quantize average", "sums", averages.sums, codebook.shape());
        floats("vector_quantize average", scope, x, codebook, averages.counts, averages.sums);
        VectorQuantizeKernels.ema(
                scope.device().backend(),
                shape,
                x.address(),
                codes.address(),
                averages.state.address(),
                averages.counts.address(),
                averages.sums.address(),
                codebook.address());
    }

    /**
     * How much of the codebook is in use.
     *
     * @param histogram {@code [codes]}, i32, of one batch
     * @param seen {@code [codes]}, i32: the histogram is added to it; set it to 0 when an epoch
     *     begins
     * @return {@code [3]}: perplexity of the batch, perplexity since the epoch began, the part of
     *     the codes that occurred since then. Perplexities lie in [1, codes], and are 0 without
     *     rows
     */
    public static Tensor usage(Scope scope, Tensor histogram, Tensor seen) {
        if (histogram.shape().rank() != 1 || histogram.shape().get(0) == 0) {
            throw new ShapeException(
                    "vector_quantize usage: the histogram must be [codes] with at least one code,"
                            + " got "
                            + histogram.shape());
        }
        require("vector_quantize usage", "seen", seen, histogram.shape());
        integers("vector_quantize usage", "histogram", scope, histogram);
        integers("vector_quantize usage", "seen", scope, seen);
        Tensor statistics = scope.empty(Shape.of(3));
        VectorQuantizeKernels.usage(
                scope.device().backend(),
                histogram.shape().get(0),
                histogram.address(),
                seen.address(),
                statistics.address());
        return statistics;
    }

    private static VectorQuantizeShape shape(String operation, Tensor x, Tensor codebook) {
        Shape book = codebook.shape();
        if (book.rank() != 2 || book.elements() == 0) {
            throw new ShapeException(
                    operation
                            + ": the codebook must be [codes, dims] with at least one of both, got "
                            + book);
        }
        if (x.shape().rank() == 0 || x.shape().get(-1) != book.get(1)) {
            throw new ShapeException(
                    operation
                            + ": the last axis of x must be the codebook's dims, got "
                            + x.shape()
                            + " and "
                            + book);
        }
        return new VectorQuantizeShape(
                x.shape().elements() / book.get(1), book.get(0), book.get(1));
    }

    private static void checkCodes(String operation, Scope scope, Tensor x, Tensor codes) {
        require(operation, "codes", codes, rows(x));
        integers(operation, "codes", scope, codes);
    }

    private static Shape rows(Tensor x) {
        return Shape.of(Arrays.copyOf(x.shape().toArray(), x.shape().rank() - 1));
    }
}
