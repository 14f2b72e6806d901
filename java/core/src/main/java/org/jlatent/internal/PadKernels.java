package org.jlatent.internal;

import static org.jlatent.internal.Kernels.check;

import org.jlatent.spi.Backend;

/** kernels/pad; by the rules of {@link Kernels}. */
public final class PadKernels {
    private PadKernels() {}

    /**
     * Shape of one call; see kernels/pad/pad.h.
     *
     * @param dtype 0 f32, 1 bf16
     */
    public record PadShape(
            long images,
            long height,
            long width,
            long channels,
            long top,
            long left,
            long bottom,
            long right,
            int dtype) {
        private long[] numbers() {
            return new long[] {images, height, width, channels, top, left, bottom, right, dtype};
        }
    }

    public static void pad(Backend b, PadShape s, long x, long y) {
        check(b, "pad", pad0(b.kernels(), s.numbers(), x, y, b.stream()));
    }

    static {
        NativeLibraries.loadJni();
    }

    private static native int pad0(long table, long[] shape, long x, long y, long stream);
}
