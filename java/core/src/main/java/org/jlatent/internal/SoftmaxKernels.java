package org.jlatent.internal;

import static org.jlatent.internal.Kernels.check;

import org.jlatent.spi.Backend;

/** kernels/softmax; by the rules of {@link Kernels}. */
public final class SoftmaxKernels {
    private SoftmaxKernels() {}

    public static void forward(Backend b, boolean log, long x, long y, long rows, long columns) {
        check(b, "softmax_forward", forward0(b.kernels(), log, x, y, rows, columns, b.stream()));
    }

    public static void backward(
            Backend b, boolean log, long y, long dy, long dx, long rows, long columns) {
        check(
                b,
                "softmax_backward",
                backward0(b.kernels(), log, y, dy, dx, rows, columns, b.stream()));
    }

    static {
        NativeLibraries.loadJni();
    }

    private static native int forward0(
            long table, boolean log, long x, long y, long rows, long columns, long stream);

    private static native int backward0(
            long table,
            boolean log,
            long y,
            long dy,
            long dx,
            long rows,
            long columns,
            long stream);
}
