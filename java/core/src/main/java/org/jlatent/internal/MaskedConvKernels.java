package org.jlatent.internal;

import static org.jlatent.internal.Kernels.check;

import org.jlatent.spi.Backend;

/**
 * The launchers of {@code kernels/masked_conv/masked_conv.h}, by the rules of {@link Kernels}. Use
 * {@link org.jlatent.MaskedConvOps}.
 */
public final class MaskedConvKernels {
    private MaskedConvKernels() {}

    /** Shape of one call: images [batch, height, width, channels]; the rest as in jlatent.h. */
    public record MaskedConvShape(
            long batch,
            long height,
            long width,
            long channels,
            long filters,
            long kernel,
            long groups,
            int taps,
            int epilogue,
            int factors) {
        private long workspaceBytes(Backend b) {
            return workspace0(
                    b.kernels(),
                    batch,
                    height,
                    width,
                    channels,
                    filters,
                    kernel,
                    groups,
                    taps,
                    epilogue,
                    factors);
        }
    }

    public static void forward(
            Backend b,
            MaskedConvShape s,
            long x,
            long weight,
            long bias,
            long vector,
            long map,
            long out,
            long gates) {
        long bytes = s.workspaceBytes(b);
        check(
                b,
                "masked_conv_forward",
                forward0(
                        b.kernels(),
                        s.batch,
                        s.height,
                        s.width,
                        s.channels,
                        s.filters,
                        s.kernel,
                        s.groups,
                        s.taps,
                        s.epilogue,
                        s.factors,
                        x,
                        weight,
                        bias,
                        vector,
                        map,
                        out,
                        gates,
                        b.workspace(bytes),
                        bytes,
                        b.stream()));
    }

    public static void backwardGate(Backend b, MaskedConvShape s, long gates, long dOut, long dA) {
        check(
                b,
                "masked_conv_backward_gate",
                backwardGate0(
                        b.kernels(),
                        s.batch,
                        s.height,
                        s.width,
                        s.channels,
                        s.filters,
                        s.kernel,
                        s.groups,
                        s.taps,
                        s.epilogue,
                        s.factors,
                        gates,
                        dOut,
                        dA,
                        b.stream()));
    }

    public static void backwardData(Backend b, MaskedConvShape s, long dA, long weight, long dx) {
        long bytes = s.workspaceBytes(b);
        check(
                b,
                "masked_conv_backward_data",
                backwardData0(
                        b.kernels(),
                        s.batch,
                        s.height,
                        s.width,
                        s.channels,
                        s.filters,
                        s.kernel,
                        s.groups,
                        s.taps,
                        s.epilogue,
                        s.factors,
                        dA,
                        weight,
                        dx,
                        b.workspace(bytes),
                        bytes,
                        b.stream()));
    }

    public static void backwardWeight(
            Backend b, MaskedConvShape s, long x, long dA, long dWeight, long dBias) {
        long bytes = s.workspaceBytes(b);
        check(
                b,
                "masked_conv_backward_weight",
                backwardWeight0(
                        b.kernels(),
                        s.batch,
                        s.height,
                        s.width,
                        s.channels,
                        s.filters,
                        s.kernel,
                        s.groups,
                        s.taps,
                        s.epilogue,
                        s.factors,
                        x,
                        dA,
                        dWeight,
                        dBias,
                        b.workspace(bytes),
                        bytes,
                        b.stream()));
    }

    static {
        NativeLibraries.loadJni();
    }

    private static native long workspace0(
            long table,
            long batch,
            long height,
            long width,
            long channels,
            long filters,
            long kernel,
            long groups,
            int taps,
            int epilogue,
            int factors);

    private static native int forward0(
            long table,
            long batch,
            long height,
            long width,
            long channels,
            long filters,
            long kernel,
            long groups,
            int taps,
            int epilogue,
            int factors,
            long x,
            long weight,
            long bias,
            long vector,
            long map,
            long out,
            long gates,
            long workspace,
            long workspaceBytes,
            long stream);

    private static native int backwardGate0(
            long table,
            long batch,
            long height,
            long width,
            long channels,
            long filters,
            long kernel,
            long groups,
            int taps,
            int epilogue,
            int factors,
            long gates,
            long dOut,
            long dA,
            long stream);

    private static native int backwardData0(
            long table,
            long batch,
            long height,
            long width,
            long channels,
            long filters,
            long kernel,
            long groups,
            int taps,
            int epilogue,
            int factors,
            long dA,
            long weight,
            long dx,
            long workspace,
            long workspaceBytes,
            long stream);

    private static native int backwardWeight0(
            long table,
            long batch,
            long height,
            long width,
            long channels,
            long filters,
            long kernel,
            long groups,
            int taps,
            int epilogue,
            int factors,
            long x,
            long dA,
            long dWeight,
            long dBias,
            long workspace,
            long workspaceBytes,
            long stream);
}
