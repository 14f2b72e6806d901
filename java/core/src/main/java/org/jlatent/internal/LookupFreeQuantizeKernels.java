package org.jlatent.internal;

import static org.jlatent.internal.Kernels.check;

import org.jlatent.spi.Backend;

/** kernels/lookup_free_quantize; by the rules of {@link Kernels}. */
public final class LookupFreeQuantizeKernels {
    private LookupFreeQuantizeKernels() {}

    /** Shape of one call: x is [rows, dims]. */
    public record LookupFreeQuantizeShape(long rows, long dims, float temperature) {}

    public static void forward(
            Backend b,
            LookupFreeQuantizeShape s,
            long x,
            long beta,
            long gamma,
            long codes,
            long q,
            long commitment,
            long penalty,
            long entropies,
            long bitLogOdds) {
        long bytes = workspace0(b.kernels(), s.rows, s.dims, s.temperature);
        check(
                b,
                "lookup_free_quantize_forward",
                forward0(
                        b.kernels(),
                        s.rows,
                        s.dims,
                        s.temperature,
                        x,
                        beta,
                        gamma,
                        codes,
                        q,
                        commitment,
                        penalty,
                        entropies,
                        bitLogOdds,
                        b.workspace(bytes),
                        bytes,
                        b.stream()));
    }

    public static void backward(
            Backend b,
            LookupFreeQuantizeShape s,
            long x,
            long bitLogOdds,
            long beta,
            long gamma,
            long dq,
            long dCommitment,
            long dPenalty,
            long dx) {
        check(
                b,
                "lookup_free_quantize_backward",
                backward0(
                        b.kernels(),
                        s.rows,
                        s.dims,
                        s.temperature,
                        x,
                        bitLogOdds,
                        beta,
                        gamma,
                        dq,
                        dCommitment,
                        dPenalty,
                        dx,
                        b.stream()));
    }

    public static void decode(Backend b, long rows, long dims, long codes, long q) {
        check(
                b,
                "lookup_free_quantize_decode",
                decode0(b.kernels(), rows, dims, codes, q, b.stream()));
    }

    static {
        NativeLibraries.loadJni();
    }

    private static native long workspace0(long table, long rows, long dims, float temperature);

    private static native int forward0(
            long table,
            long rows,
            long dims,
            float temperature,
            long x,
            long beta,
            long gamma,
            long codes,
            long q,
            long commitment,
            long penalty,
            long entropies,
            long bitLogOdds,
            long workspace,
            long workspaceBytes,
            long stream);

    private static native int backward0(
            long table,
            long rows,
            long dims,
            float temperature,
            long x,
            long bitLogOdds,
            long beta,
            long gamma,
            long dq,
            long dCommitment,
            long dPenalty,
            long dx,
            long stream);

    private static native int decode0(
            long table, long rows, long dims, long codes, long q, long stream);
}
