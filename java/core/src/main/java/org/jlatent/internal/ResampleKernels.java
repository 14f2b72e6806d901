package org.jlatent.internal;

import static org.jlatent.internal.Kernels.check;

import org.jlatent.spi.Backend;

/** kernels/resample; by the rules of {@link Kernels}. */
public final class ResampleKernels {
    private ResampleKernels() {}

    /** Shape of one call; see kernels/resample/resample.h. */
    public record UpsampleShape(
            long images, long height, long width, long channels, long factorY, long factorX) {}

    public static void upsampleForward(Backend b, UpsampleShape s, long x, long y) {
        check(
                b,
                "upsample_forward",
                upsampleForward0(
                        b.kernels(),
                        s.images,
                        s.height,
                        s.width,
                        s.channels,
                        s.factorY,
                        s.factorX,
                        x,
                        y,
                        b.stream()));
    }

    public static void upsampleBackward(Backend b, UpsampleShape s, long dy, long dx) {
        check(
                b,
                "upsample_backward",
                upsampleBackward0(
                        b.kernels(),
                        s.images,
                        s.height,
                        s.width,
                        s.channels,
                        s.factorY,
                        s.factorX,
                        dy,
                        dx,
                        b.stream()));
    }

    static {
        NativeLibraries.loadJni();
    }

    private static native int upsampleForward0(
            long table,
            long images,
            long height,
            long width,
            long channels,
            long factorY,
            long factorX,
            long x,
            long y,
            long stream);

    private static native int upsampleBackward0(
            long table,
            long images,
            long height,
            long width,
            long channels,
            long factorY,
            long factorX,
            long dy,
            long dx,
            long stream);
}
