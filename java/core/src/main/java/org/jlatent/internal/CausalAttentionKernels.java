package org.jlatent.internal;

import static org.jlatent.internal.Kernels.check;

import org.jlatent.spi.Backend;

/**
 * kernels/causal_attention; by the rules of {@link Kernels}. Use org.jlatent.CausalAttentionOps.
 */
public final class CausalAttentionKernels {
    private CausalAttentionKernels() {}

    /** Shape of one call; see kernels/causal_attention/causal_attention.h. */
    public record AttentionShape(long batch, long positions, long heads, long dims) {}

    public static void forward(Backend b, AttentionShape s, long qkv, long out, long logSums) {
        check(
                b,
                "causal_attention_forward",
                forward0(
                        b.kernels(),
                        s.batch,
                        s.positions,
                        s.heads,
                        s.dims,
                        qkv,
                        out,
                        logSums,
                        b.stream()));
    }

    public static void backward(
            Backend b, AttentionShape s, long qkv, long out, long logSums, long dOut, long dQkv) {
        check(
                b,
                "causal_attention_backward",
                backward0(
                        b.kernels(),
                        s.batch,
                        s.positions,
                        s.heads,
                        s.dims,
                        qkv,
                        out,
                        logSums,
                        dOut,
                        dQkv,
                        b.stream()));
    }

    static {
        NativeLibraries.loadJni();
    }

    private static native int forward0(
            long table,
            long batch,
            long positions,
            long heads,
            long dims,
            long qkv,
            long out,
            long logSums,
            long stream);

    private static native int backward0(
            long table,
            long batch,
            long positions,
            long heads,
            long dims,
            long qkv,
            long out,
            long logSums,
            long dOut,
            long dQkv,
            long stream);
}
