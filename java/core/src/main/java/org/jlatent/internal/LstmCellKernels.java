package org.jlatent.internal;

import static org.jlatent.internal.Kernels.check;

import org.jlatent.spi.Backend;

/** kernels/lstm_cell; by the rules of {@link Kernels}. Use org.jlatent.RowLstmOps. */
public final class LstmCellKernels {
    private LstmCellKernels() {}

    /** A row of maps of h and c, {@code [batch, height, width, channels]}. */
    public record LstmCellShape(long batch, long height, long width, long channels, long row) {
        private long[] numbers() {
            return new long[] {batch, height, width, channels, row};
        }
    }

    public static void forward(
            Backend b,
            LstmCellShape s,
            long sums,
            long above,
            long gates,
            long c,
            long h,
            long row) {
        check(
                b,
                "lstm_cell_forward",
                forward0(b.kernels(), s.numbers(), sums, above, gates, c, h, row, b.stream()));
    }

    public static void backward(
            Backend b,
            LstmCellShape s,
            long gates,
            long c,
            long dH,
            long dBelow,
            long dC,
            long dSums,
            long dRow) {
        check(
                b,
                "lstm_cell_backward",
                backward0(
                        b.kernels(),
                        s.numbers(),
                        gates,
                        c,
                        dH,
                        dBelow,
                        dC,
                        dSums,
                        dRow,
                        b.stream()));
    }

    static {
        NativeLibraries.loadJni();
    }

    private static native int forward0(
            long table,
            long[] shape,
            long sums,
            long above,
            long gates,
            long c,
            long h,
            long row,
            long stream);

    private static native int backward0(
            long table,
            long[] shape,
            long gates,
            long c,
            long dH,
            long dBelow,
            long dC,
            long dSums,
            long dRow,
            long stream);
}
