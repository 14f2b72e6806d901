package org.jlatent;

import static org.jlatent.Checks.address;
import static org.jlatent.Checks.floats;
import static org.jlatent.Checks.integers;
import static org.jlatent.Checks.require;
import static org.jlatent.Checks.requireOptional;
import static org.jlatent.Checks.storage;

import java.util.Arrays;
import java.util.stream.LongStream;
import org.jlatent.internal.VectorQuantizeKernels;
import org.jlatent.internal.VectorQuantizeKernels.VectorQuantizeShape;

/**
 * Vector quantization [van den Oord et al. 2017], as operations on tensors; formulas in
 * kernels/vector_quantize/vector_quantize.h. The last axis of x holds the vectors that are
 * quantized, so that an NHWC image is quantized pixel by pixel; whatever axes come before are
 * {@code rows} here. x, q and their gradients are f32, or all bf16.
 *
 * <p>A codebook is {@code [codes, dims]}; or {@code [stages, codes, dims]}, where each stage
 * quantizes what those before it left over [Zeghidour et al. 2021]; or {@code [heads, stages,
 * codes, dims]}, where a row is cut into heads with codebooks of their own. A row of x has {@code
 * heads * dims} values, and codes by the codebook's leading axes, called {@code books} here.
 *
 * <p>Every method throws {@link ShapeException} when a shape or type does not fit or tensors live
 * on different devices, and {@link DeviceException} when the device fails.
 */
public final class VectorQuantizeOps {
    private VectorQuantizeOps() {}

    /** What the gradient for x is made of, which rounding to a codebook's entry has none for. */
    public enum Estimator {
        /** That of q, unchanged. */
        STRAIGHT_THROUGH,
        /** That of q, turned and scaled as x would have to be to become q [Fifty et al. 2024]. */
        ROTATION
    }

    /**
     * What {@link #forward} makes of x.
     *
     * @param codes {@code [rows, books]} (x's shape without its last axis, then the codebook's
     *     without its last two), i32: the nearest code, the lowest of equals; -1 where the mask
     *     leaves a row out
     * @param q x's shape and type: the sum of the codes' entries; 0 where the codes are -1
     * @param rowErrors x's shape without its last axis, the sum of |r|^2 over what all stages left
     *     over: |x - q|^2 where there is one stage
     * @param codebookLoss {@code [1]}, the sum of rowErrors over the number of elements in rows
     *     that count
     * @param commitment {@code [1]}, beta times that
     * @param histogram {@code [books, codes]}, i32: rows with each code
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
     * @param dq shape and type of q
     * @param dCodebookLoss {@code [1]}
     * @param dCommitment {@code [1]}
     */
    public record Gradients(Tensor dq, Tensor dCodebookLoss, Tensor dCommitment) {}

    /**
     * Gradients for what went in.
     *
     * @param dx x's shape and type: what the estimator makes of dq, and the commitment's part
     * @param dCodebook the codebook's shape; null without a {@code dCodebookLoss}
     */
    public record InputGradients(Tensor dx, Tensor dCodebook) {}

    /**
     * Moving averages that a codebook is made of, and their settings; all of them change in {@link
     * #average}.
     *
     * @param state {@code [6]}, i32: decay, epsilon and revive (the bits of an f32), steps done,
     *     entries revived, 0
     * @param counts {@code [books, codes]}, decayed rows of each code
     * @param sums the codebook's shape, decayed sums of these rows; null: the codebook learns by
     *     gradient, and its use is all that is averaged
     */
    public record Averages(Tensor state, Tensor counts, Tensor sums) {
        /**
         * Averages of nothing yet.
         *
         * @param codebook its shape
         * @param decay in [0, 1), mostly 0.99
         * @param epsilon of the Laplace smoothing, in rows, at least 0; mostly 1e-5
         * @param revive in [0, 1]: entries whose count falls below this part of the mean begin anew
         *     at a row of the batch [Dhariwal et al. 2020]; 0: none
         */
        public static Averages of(
                Scope scope, Shape codebook, float decay, float epsilon, float revive) {
            Averages counts = countsOnly(scope, codebook, decay, epsilon, revive);
            return new Averages(counts.state, counts.counts, scope.zeros(codebook));
        }

        /** The same for a codebook that learns by gradient: without sums. */
        public static Averages countsOnly(Scope scope, Shape codebook, float decay, float revive) {
            return countsOnly(scope, codebook, decay, 0, revive);
        }

        private static Averages countsOnly(
                Scope scope, Shape codebook, float decay, float epsilon, float revive) {
            if (!(decay >= 0 && decay < 1)) {
                throw new IllegalArgumentException("decay must be in [0, 1), got " + decay);
            }
            if (!(epsilon >= 0) || Float.isInfinite(epsilon)) {
                throw new IllegalArgumentException(
                        "epsilon must be finite and at least 0, got " + epsilon);
            }
            if (!(revive >= 0 && revive <= 1)) {
                throw new IllegalArgumentException("revive must be in [0, 1], got " + revive);
            }
            checkCodebook("Averages", codebook);
            Tensor state =
                    scope.ofInts(
                            Shape.of(6),
                            Float.floatToRawIntBits(decay),
                            Float.floatToRawIntBits(epsilon),
                            Float.floatToRawIntBits(revive),
                            0,
                            0,
                            0);
            return new Averages(state, scope.zeros(leading(codebook, 1)), null);
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
     * @param x {@code [..., heads * dims]}, f32 or bf16
     * @param codebook {@code [codes, dims]}, {@code [stages, codes, dims]} or {@code [heads,
     *     stages, codes, dims]}, f32, no extent 0
     * @param rowMask x's shape without its last axis, f32, or null: rows where it is 0 do not count
     *     and are not looked at
     * @param beta {@code [1]}, multiplies the commitment only, or null for 1
     * @param invalid {@code [1]}, i32, or null: rows that are not finite are added to it on a GPU
     */
    public static Result forward(
            Scope scope, Tensor x, Tensor codebook, Tensor rowMask, Tensor beta, Tensor invalid) {
        VectorQuantizeShape shape = shape("vector_quantize", scope, x, codebook);
        Shape rows = leading(x.shape(), 1);
        requireOptional("vector_quantize", "rowMask", rowMask, rows);
        requireOptional("vector_quantize", "beta", beta, Shape.of(1));
        floats("vector_quantize", scope, codebook, rowMask, beta);
        if (invalid != null) {
            require("vector_quantize", "invalid", invalid, Shape.of(1));
            integers("vector_quantize", "invalid", scope, invalid);
        }
        Result result =
                new Result(
                        scope.empty(codes(x, codebook), DType.I32),
                        scope.empty(x.shape(), x.dtype()),
                        scope.empty(rows),
                        scope.empty(Shape.of(1)),
                        scope.empty(Shape.of(1)),
                        scope.empty(leading(codebook.shape(), 1), DType.I32),
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
     *
     * @param estimator what x gets of {@code d.dq()}
     */
    public static InputGradients backward(
            Scope scope,
            Tensor x,
            Tensor codebook,
            Tensor beta,
            Result forward,
            Estimator estimator,
            Gradients d) {
        VectorQuantizeShape shape = shape("vector_quantize backward", scope, x, codebook);
        checkCodes("vector_quantize backward", scope, x, codebook, forward.codes);
        require("vector_quantize backward", "valid", forward.valid, Shape.of(1));
        integers("vector_quantize backward", "valid", scope, forward.valid);
        requireOptional("vector_quantize backward", "beta", beta, Shape.of(1));
        requireOptional("vector_quantize backward", "dq", d.dq, x.shape());
        requireOptional("vector_quantize backward", "dCodebookLoss", d.dCodebookLoss, Shape.of(1));
        requireOptional("vector_quantize backward", "dCommitment", d.dCommitment, Shape.of(1));
        floats("vector_quantize backward", scope, codebook, beta, d.dCodebookLoss, d.dCommitment);
        if (d.dq != null) {
            storage("vector_quantize backward", scope, x, d.dq);
        }
        Tensor dx = scope.empty(x.shape(), x.dtype());
        Tensor dCodebook = d.dCodebookLoss == null ? null : scope.empty(codebook.shape());
        VectorQuantizeKernels.backward(
                scope.device().backend(),
                shape,
                estimator == Estimator.ROTATION ? 1 : 0,
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
     * debiased and Laplace-smoothed [van den Oord et al. 2017, app. A.1], every book by itself. An
     * entry that no row has had so far stays as it is. Then entries that are hardly used begin anew
     * at rows of this batch, if the averages' settings say so: each at another, and rows of
     * much-used codes are taken in proportion to their use.
     *
     * @param scope of the device
     * @param codes as {@link #forward} wrote them
     * @param random draws the rows that entries begin anew at; null: the same draw every time
     * @param site which random draw of the model this is
     */
    public static void average(
            Scope scope,
            Tensor x,
            Tensor codes,
            Averages averages,
            Random random,
            int site,
            Tensor codebook) {
        VectorQuantizeShape shape = shape("vector_quantize average", scope, x, codebook);
        checkCodes("vector_quantize average", scope, x, codebook, codes);
        require("vector_quantize average", "state", averages.state, Shape.of(6));
        integers("vector_quantize average", "state", scope, averages.state);
        require("vector_quantize average", "counts", averages.counts, leading(codebook.shape(), 1));
        requireOptional("vector_quantize average", "sums", averages.sums, codebook.shape());
        floats(
                "vector_quantize average",
                scope,
                codebook,
                averages.counts,
                averages.sums,
                random == null ? null : random.state());
        VectorQuantizeKernels.ema(
                scope.device().backend(),
                shape,
                x.address(),
                codes.address(),
                averages.state.address(),
                address(random),
                site,
                averages.counts.address(),
                address(averages.sums),
                codebook.address());
    }

    /**
     * How much of each book is in use.
     *
     * @param histogram {@code [books, codes]}, i32, of one batch
     * @param seen histogram's shape, i32: the histogram is added to it; set it to 0 when an epoch
     *     begins
     * @return {@code [books, 3]}: perplexity of the batch, perplexity since the epoch began, the
     *     part of the codes that occurred since then. Perplexities lie in [1, codes], and are 0
     *     without rows
     */
    public static Tensor usage(Scope scope, Tensor histogram, Tensor seen) {
        Shape shape = histogram.shape();
        if (shape.rank() == 0 || shape.get(-1) == 0) {
            throw new ShapeException(
                    "vector_quantize usage: the histogram must be [..., codes] with at least one"
                            + " code, got "
                            + shape);
        }
        require("vector_quantize usage", "seen", seen, shape);
        integers("vector_quantize usage", "histogram", scope, histogram);
        integers("vector_quantize usage", "seen", scope, seen);
        Tensor statistics = scope.empty(followed(leading(shape, 1), 3));
        VectorQuantizeKernels.usage(
                scope.device().backend(),
                shape.elements() / shape.get(-1),
                shape.get(-1),
                histogram.address(),
                seen.address(),
                statistics.address());
        return statistics;
    }

    /**
     * How often every code occurs, for codes that another operation made.
     *
     * <p>A code out of range: the CPU throws {@link DeviceException} and names it; a GPU leaves it
     * out.
     *
     * @param codes i32, {@code [..., books]}; -1 does not count
     * @param books the last axes of codes, each with a histogram of its own; may be none
     * @param codeCount values that a code can take, at least 1
     * @return i32, {@code [books, codeCount]}
     */
    public static Tensor histogram(Scope scope, Tensor codes, Shape books, long codeCount) {
        String operation = "vector_quantize histogram";
        integers(operation, "codes", scope, codes);
        long[] given = codes.shape().toArray();
        long[] own = books.toArray();
        int rest = given.length - own.length;
        if (rest < 0 || !Arrays.equals(own, Arrays.copyOfRange(given, rest, given.length))) {
            throw new ShapeException(
                    operation
                            + ": the codes' last axes must be "
                            + books
                            + ", got "
                            + codes.shape());
        }
        Tensor histogram = scope.empty(books.withLast(codeCount), DType.I32);
        VectorQuantizeKernels.histogram(
                scope.device().backend(),
                Shape.of(Arrays.copyOf(given, rest)).elements(),
                books.elements(),
                codeCount,
                codes.address(),
                histogram.address());
        return histogram;
    }

    private static void checkCodebook(String operation, Shape book) {
        if (book.rank() < 2 || book.rank() > 4 || book.elements() == 0) {
            throw new ShapeException(
                    operation
                            + ": the codebook must be [codes, dims], [stages, codes, dims] or"
                            + " [heads, stages, codes, dims] with at least one of each, got "
                            + book);
        }
    }

    private static VectorQuantizeShape shape(
            String operation, Scope scope, Tensor x, Tensor codebook) {
        Shape book = codebook.shape();
        checkCodebook(operation, book);
        long heads = book.rank() < 4 ? 1 : book.get(0);
        long stages = book.rank() < 3 ? 1 : book.get(-3);
        long width = heads * book.get(-1);
        if (x.shape().rank() == 0 || x.shape().get(-1) != width) {
            throw new ShapeException(
                    operation
                            + ": the last axis of x must be the codebook's "
                            + (heads == 1 ? "dims" : "heads times dims")
                            + ", got "
                            + x.shape()
                            + " and "
                            + book);
        }
        return new VectorQuantizeShape(
                x.shape().elements() / width,
                heads,
                stages,
                book.get(-2),
                book.get(-1),
                storage(operation, scope, x));
    }

    /** x's shape without its last axis, then the codebook's without its last two. */
    private static Shape codes(Tensor x, Tensor codebook) {
        return followed(leading(x.shape(), 1), leading(codebook.shape(), 2).toArray());
    }

    private static void checkCodes(
            String operation, Scope scope, Tensor x, Tensor codebook, Tensor codes) {
        require(operation, "codes", codes, codes(x, codebook));
        integers(operation, "codes", scope, codes);
    }

    /** The shape without its last axes. */
    private static Shape leading(Shape shape, int without) {
        return Shape.of(Arrays.copyOf(shape.toArray(), shape.rank() - without));
    }

    private static Shape followed(Shape shape, long... extents) {
        return Shape.of(
                LongStream.concat(Arrays.stream(shape.toArray()), Arrays.stream(extents))
                        .toArray());
    }
}
