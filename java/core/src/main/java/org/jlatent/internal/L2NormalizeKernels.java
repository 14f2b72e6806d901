package org.jlatent.internal;

import static org.jlatent.internal.Kernels.check;

import org.jlatent.spi.Backend;

/** kernels/l2_normalize; by the rules of {@link Kernels}. */
public final class L2NormalizeKernels {
    private L2NormalizeKernels() {}

    public static void forward(Backend b, long x, long y, long rows, long dims, float epsilon) {
        check(
                b,
                "l2_normalize_forward",
                forward0(b.kernels(), x, y, rows, dims, epsilon, b.stream()));
    }

    public static void backward(
            Backend b, long x, long dy, long dx, long rows, long dims, float epsilon) {
        check(
                b,
                "l2_normalize_backward",
                backward0(b.kernels(), x, dy, dx, rows, dims, epsilon, b.stream()));
    }

    static {
        NativeLibraries.loadJni();
    }

    private static native int forward0(
            long table, long x, long y, long rows, long dims, float epsilon, long stream);

    private static native int backward0(
            long table, long x, long dy, long dx, long rows, long dims, float epsilon, long stream);
}
