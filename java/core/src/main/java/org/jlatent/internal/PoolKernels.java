package org.jlatent.internal;

import static org.jlatent.internal.Kernels.check;

import org.jlatent.spi.Backend;
import org.jlatent.spi.Dense.PoolShape;

/** kernels/pool; by the rules of {@link Kernels}. */
public final class PoolKernels {
    private PoolKernels() {}

    public static void forward(Backend b, PoolShape s, long x, long y, long winners) {
        check(b, "pool_forward", forward0(b.kernels(), s.numbers(), x, y, winners, b.stream()));
    }

    public static void backward(Backend b, PoolShape s, long dy, long winners, long dx) {
        check(b, "pool_backward", backward0(b.kernels(), s.numbers(), dy, winners, dx, b.stream()));
    }

    static {
        NativeLibraries.loadJni();
    }

    private static native int forward0(
            long table, long[] shape, long x, long y, long winners, long stream);

    private static native int backward0(
            long table, long[] shape, long dy, long winners, long dx, long stream);
}
