package org.jlatent.internal;

import static org.jlatent.internal.Kernels.check;

import org.jlatent.spi.Backend;

/** kernels/embedding; by the rules of {@link Kernels}. */
public final class EmbeddingKernels {
    private EmbeddingKernels() {}

    public static void forward(
            Backend b,
            long count,
            long rows,
            long dims,
            long table,
            long codes,
            long out,
            long outOfRange) {
        check(
                b,
                "embedding_forward",
                forward0(
                        b.kernels(), count, rows, dims, table, codes, out, outOfRange, b.stream()));
    }

    public static void backward(
            Backend b, long count, long rows, long dims, long codes, long dy, long dTable) {
        long bytes = workspace0(b.kernels(), count, rows, dims);
        check(
                b,
                "embedding_backward",
                backward0(
                        b.kernels(),
                        count,
                        rows,
                        dims,
                        codes,
                        dy,
                        dTable,
                        b.workspace(bytes),
                        bytes,
                        b.stream()));
    }

    static {
        NativeLibraries.loadJni();
    }

    private static native int forward0(
            long kernelTable,
            long count,
            long rows,
            long dims,
            long table,
            long codes,
            long out,
            long outOfRange,
            long stream);

    private static native long workspace0(long kernelTable, long count, long rows, long dims);

    private static native int backward0(
            long kernelTable,
            long count,
            long rows,
            long dims,
            long codes,
            long dy,
            long dTable,
            long workspace,
            long workspaceBytes,
            long stream);
}
