package org.jlatent.internal;

import static org.jlatent.internal.Kernels.check;

import org.jlatent.spi.Backend;

/** kernels/finite_scalar_quantize; by the rules of {@link Kernels}. */
public final class FiniteScalarQuantizeKernels {
    private FiniteScalarQuantizeKernels() {}

    public static void forward(Backend b, long rows, int[] levels, long x, long codes, long q) {
        check(
                b,
                "finite_scalar_quantize_forward",
                forward0(b.kernels(), rows, levels, x, codes, q, b.stream()));
    }

    public static void backward(Backend b, long rows, int[] levels, long x, long dq, long dx) {
        check(
                b,
                "finite_scalar_quantize_backward",
                backward0(b.kernels(), rows, levels, x, dq, dx, b.stream()));
    }

    public static void decode(Backend b, long rows, int[] levels, long codes, long q) {
        check(
                b,
                "finite_scalar_quantize_decode",
                decode0(b.kernels(), rows, levels, codes, q, b.stream()));
    }

    static {
        NativeLibraries.loadJni();
    }

    private static native int forward0(
            long table, long rows, int[] levels, long x, long codes, long q, long stream);

    private static native int backward0(
            long table, long rows, int[] levels, long x, long dq, long dx, long stream);

    private static native int decode0(
            long table, long rows, int[] levels, long codes, long q, long stream);
}
