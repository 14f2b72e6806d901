package org.jlatent.internal;

import static org.jlatent.internal.Kernels.check;

import org.jlatent.spi.Backend;

/**
 * The part of kernels/elementwise that converts, joins, cuts and adds up along an axis; by the
 * rules of {@link Kernels}.
 */
public final class ElementwiseKernels {
    private ElementwiseKernels() {}

    public static void multiply(Backend b, long left, long right, long out, long count) {
        check(b, "multiply", multiply0(b.kernels(), left, right, out, count, b.stream()));
    }

    public static void toBf16(Backend b, long x, long out, long count) {
        check(b, "to_bf16", toBf160(b.kernels(), x, out, count, b.stream()));
    }

    public static void fromBf16(Backend b, long x, long out, long count) {
        check(b, "from_bf16", fromBf160(b.kernels(), x, out, count, b.stream()));
    }

    public static void sumAxis(Backend b, long x, long out, long outer, long n, long inner) {
        long bytes = sumAxisWorkspace0(b.kernels(), outer, n, inner);
        check(
                b,
                "sum_axis",
                sumAxis0(
                        b.kernels(),
                        x,
                        out,
                        outer,
                        n,
                        inner,
                        b.workspace(bytes),
                        bytes,
                        b.stream()));
    }

    public static void copyBlocks(
            Backend b, long x, long xStride, long out, long outStride, long rows, long columns) {
        check(
                b,
                "copy_blocks",
                copyBlocks0(b.kernels(), x, xStride, out, outStride, rows, columns, b.stream()));
    }

    /**
     * {@code y = activation(x + bias)} of x {@code [rows, columns]}.
     *
     * @param bias 0: none
     */
    public static void biasActivation(
            Backend b,
            int activation,
            int xDtype,
            long x,
            long bias,
            int yDtype,
            long y,
            long rows,
            long columns) {
        check(
                b,
                "bias_activation",
                biasActivation0(
                        b.kernels(),
                        activation,
                        xDtype,
                        x,
                        bias,
                        yDtype,
                        y,
                        rows,
                        columns,
                        b.stream()));
    }

    /** {@code y = elu(x), elu(-x)} of x {@code [rows, channels]}. */
    public static void concatEluForward(Backend b, long x, long y, long rows, long channels) {
        check(
                b,
                "concat_elu_forward",
                concatEluForward0(b.kernels(), x, y, rows, channels, b.stream()));
    }

    public static void concatEluBackward(
            Backend b, long x, long dy, long dx, long rows, long channels) {
        check(
                b,
                "concat_elu_backward",
                concatEluBackward0(b.kernels(), x, dy, dx, rows, channels, b.stream()));
    }

    static {
        NativeLibraries.loadJni();
    }

    private static native int multiply0(
            long table, long left, long right, long out, long count, long stream);

    private static native int toBf160(long table, long x, long out, long count, long stream);

    private static native int fromBf160(long table, long x, long out, long count, long stream);

    private static native long sumAxisWorkspace0(long table, long outer, long n, long inner);

    private static native int sumAxis0(
            long table,
            long x,
            long out,
            long outer,
            long n,
            long inner,
            long workspace,
            long workspaceBytes,
            long stream);

    private static native int copyBlocks0(
            long table,
            long x,
            long xStride,
            long out,
            long outStride,
            long rows,
            long columns,
            long stream);

    private static native int biasActivation0(
            long table,
            int activation,
            int xDtype,
            long x,
            long bias,
            int yDtype,
            long y,
            long rows,
            long columns,
            long stream);

    private static native int concatEluForward0(
            long table, long x, long y, long rows, long channels, long stream);

    private static native int concatEluBackward0(
            long table, long x, long dy, long dx, long rows, long channels, long stream);
}
