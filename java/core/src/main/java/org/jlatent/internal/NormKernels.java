package org.jlatent.internal;

import static org.jlatent.internal.Kernels.check;

import org.jlatent.spi.Backend;

/**
 * The launchers of {@code kernels/norm/norm.h}, as {@link Kernels} has those of the others:
 * addresses and numbers only, checked by the caller; address 0 is null. Use {@link
 * org.jlatent.NormOps}.
 */
public final class NormKernels {
    private NormKernels() {}

    /** Shape of one call: x is [outer, spatial, groups, channels]. */
    public record NormShape(
            long outer, long spatial, long groups, long channels, float epsilon, float momentum) {
        private long workspaceBytes(Backend b) {
            return normWorkspace0(b.kernels(), outer, spatial, groups, channels);
        }
    }

    public static void normForward(
            Backend b,
            NormShape s,
            long x,
            long gamma,
            long beta,
            long y,
            long statistics,
            long runningMean,
            long runningVariance) {
        long bytes = s.workspaceBytes(b);
        check(
                b,
                "norm_forward",
                normForward0(
                        b.kernels(),
                        s.outer,
                        s.spatial,
                        s.groups,
                        s.channels,
                        s.epsilon,
                        s.momentum,
                        x,
                        gamma,
                        beta,
                        y,
                        statistics,
                        runningMean,
                        runningVariance,
                        b.workspace(bytes),
                        bytes,
                        b.stream()));
    }

    public static void normInference(
            Backend b,
            NormShape s,
            long x,
            long gamma,
            long beta,
            long mean,
            long variance,
            long y) {
        check(
                b,
                "norm_inference",
                normInference0(
                        b.kernels(),
                        s.outer,
                        s.spatial,
                        s.groups,
                        s.channels,
                        s.epsilon,
                        x,
                        gamma,
                        beta,
                        mean,
                        variance,
                        y,
                        b.stream()));
    }

    public static void normBackward(
            Backend b,
            NormShape s,
            long x,
            long gamma,
            long statistics,
            long dy,
            long dx,
            long dGamma,
            long dBeta) {
        long bytes = s.workspaceBytes(b);
        check(
                b,
                "norm_backward",
                normBackward0(
                        b.kernels(),
                        s.outer,
                        s.spatial,
                        s.groups,
                        s.channels,
                        s.epsilon,
                        x,
                        gamma,
                        statistics,
                        dy,
                        dx,
                        dGamma,
                        dBeta,
                        b.workspace(bytes),
                        bytes,
                        b.stream()));
    }

    static {
        NativeLibraries.loadJni();
    }

    private static native long normWorkspace0(
            long table, long outer, long spatial, long groups, long channels);

    private static native int normForward0(
            long table,
            long outer,
            long spatial,
            long groups,
            long channels,
            float epsilon,
            float momentum,
            long x,
            long gamma,
            long beta,
            long y,
            long statistics,
            long runningMean,
            long runningVariance,
            long workspace,
            long workspaceBytes,
            long stream);

    private static native int normInference0(
            long table,
            long outer,
            long spatial,
            long groups,
            long channels,
            float epsilon,
            long x,
            long gamma,
            long beta,
            long mean,
            long variance,
            long y,
            long stream);

    private static native int normBackward0(
            long table,
            long outer,
            long spatial,
            long groups,
            long channels,
            float epsilon,
            long x,
            long gamma,
            long statistics,
            long dy,
            long dx,
            long dGamma,
            long dBeta,
            long workspace,
            long workspaceBytes,
            long stream);
}
