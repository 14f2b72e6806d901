package org.jlatent.internal;

import static org.jlatent.internal.Kernels.check;

import org.jlatent.spi.Backend;

/** kernels/dropout; by the rules of {@link Kernels}. */
public final class DropoutKernels {
    private DropoutKernels() {}

    public static void dropout(
            Backend b, long x, long y, long count, long random, int site, float drop, float scale) {
        check(
                b,
                "dropout",
                dropout0(b.kernels(), x, y, count, random, site, drop, scale, b.stream()));
    }

    static {
        NativeLibraries.loadJni();
    }

    private static native int dropout0(
            long table,
            long x,
            long y,
            long count,
            long random,
            int site,
            float drop,
            float scale,
            long stream);
}
