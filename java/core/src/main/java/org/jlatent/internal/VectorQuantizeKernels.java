package org.jlatent.internal;

import static org.jlatent.internal.Kernels.check;

import org.jlatent.spi.Backend;

/**
 * The launchers of {@code kernels/vector_quantize/vector_quantize.h}, by the rules of {@link
 * Kernels}. Use {@link org.jlatent.VectorQuantizeOps}.
 */
public final class VectorQuantizeKernels {
    private VectorQuantizeKernels() {}

    /**
     * Shape of one call: x is [rows, heads, dims] of {@code type} (0: f32, 1: bf16), the codebook
     * [heads, stages, codes, dims].
     */
    public record VectorQuantizeShape(
            long rows, long heads, long stages, long codes, long dims, int type) {
        private long workspaceBytes(Backend b) {
            return workspace0(b.kernels(), rows, heads, stages, codes, dims, type);
        }
    }

    public static void forward(
            Backend b,
            VectorQuantizeShape s,
            long x,
            long codebook,
            long rowMask,
            long beta,
            long codes,
            long q,
            long rowErrors,
            long codebookLoss,
            long commitment,
            long histogram,
            long valid,
            long invalid) {
        long bytes = s.workspaceBytes(b);
        check(
                b,
                "vector_quantize_forward",
                forward0(
                        b.kernels(),
                        s.rows,
                        s.heads,
                        s.stages,
                        s.codes,
                        s.dims,
                        s.type,
                        x,
                        codebook,
                        rowMask,
                        beta,
                        codes,
                        q,
                        rowErrors,
                        codebookLoss,
                        commitment,
                        histogram,
                        valid,
                        invalid,
                        b.workspace(bytes),
                        bytes,
                        b.stream()));
    }

    public static void backward(
            Backend b,
            VectorQuantizeShape s,
            int rotate,
            long x,
            long codebook,
            long codes,
            long valid,
            long beta,
            long dq,
            long dCodebookLoss,
            long dCommitment,
            long dx,
            long dCodebook) {
        long bytes = s.workspaceBytes(b);
        check(
                b,
                "vector_quantize_backward",
                backward0(
                        b.kernels(),
                        s.rows,
                        s.heads,
                        s.stages,
                        s.codes,
                        s.dims,
                        s.type,
                        rotate,
                        x,
                        codebook,
                        codes,
                        valid,
                        beta,
                        dq,
                        dCodebookLoss,
                        dCommitment,
                        dx,
                        dCodebook,
                        b.workspace(bytes),
                        bytes,
                        b.stream()));
    }

    public static void ema(
            Backend b,
            VectorQuantizeShape s,
            long x,
            long codes,
            long state,
            long random,
            int site,
            long counts,
            long sums,
            long codebook) {
        long bytes = s.workspaceBytes(b);
        check(
                b,
                "vector_quantize_ema",
                ema0(
                        b.kernels(),
                        s.rows,
                        s.heads,
                        s.stages,
                        s.codes,
                        s.dims,
                        s.type,
                        x,
                        codes,
                        state,
                        random,
                        site,
                        counts,
                        sums,
                        codebook,
                        b.workspace(bytes),
                        bytes,
                        b.stream()));
    }

    public static void usage(
            Backend b, long books, long codes, long histogram, long seen, long statistics) {
        check(
                b,
                "vector_quantize_usage",
                usage0(b.kernels(), books, codes, histogram, seen, statistics, b.stream()));
    }

    public static void histogram(
            Backend b, long rows, long books, long codeCount, long codes, long histogram) {
        check(
                b,
                "vector_quantize_histogram",
                histogram0(b.kernels(), rows, books, codeCount, codes, histogram, b.stream()));
    }

    static {
        NativeLibraries.loadJni();
    }

    private static native long workspace0(
            long table, long rows, long heads, long stages, long codes, long dims, int type);

    private static native int forward0(
            long table,
            long rowCount,
            long heads,
            long stages,
            long codeCount,
            long dims,
            int type,
            long x,
            long codebook,
            long rowMask,
            long beta,
            long codes,
            long q,
            long rowErrors,
            long codebookLoss,
            long commitment,
            long histogram,
            long valid,
            long invalid,
            long workspace,
            long workspaceBytes,
            long stream);

    private static native int backward0(
            long table,
            long rowCount,
            long heads,
            long stages,
            long codeCount,
            long dims,
            int type,
            int rotate,
            long x,
            long codebook,
            long codes,
            long valid,
            long beta,
            long dq,
            long dCodebookLoss,
            long dCommitment,
            long dx,
            long dCodebook,
            long workspace,
            long workspaceBytes,
            long stream);

    private static native int ema0(
            long table,
            long rowCount,
            long heads,
            long stages,
            long codeCount,
            long dims,
            int type,
            long x,
            long codes,
            long state,
            long random,
            int site,
            long counts,
            long sums,
            long codebook,
            long workspace,
            long workspaceBytes,
            long stream);

    private static native int usage0(
            long table,
            long books,
            long codes,
            long histogram,
            long seen,
            long statistics,
            long stream);

    private static native int histogram0(
            long table,
            long rows,
            long books,
            long codeCount,
            long codes,
            long histogram,
            long stream);
}
