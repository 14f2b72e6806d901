package org.jlatent.internal;

import java.nio.file.Path;
import org.jlatent.DeviceException;
import org.jlatent.spi.Dense;

/** Dense math on the CPU through the table of native/dense.h. */
final class OneDnn implements Dense {
    private final long table;
    private final String place;

    OneDnn(Path library, String place) {
        this.table = Native.openDense(library);
        this.place = place;
    }

    void setThreads(int threads) {
        setThreads0(table, threads);
    }

    @Override
    public void matmul(MatmulShape shape, long a, long b, long bias, long out) {
        check("matmul", matmul0(table, shape.numbers(), a, b, bias, out));
    }

    @Override
    public void conv(ConvShape shape, long x, long weight, long bias, long y) {
        check("conv", conv0(table, shape.numbers(), x, weight, bias, y));
    }

    @Override
    public void convTranspose(ConvShape shape, long y, long weight, long bias, long x) {
        check("conv_transpose", convTranspose0(table, shape.numbers(), y, weight, bias, x));
    }

    @Override
    public void convWeightGradient(ConvShape shape, long x, long dy, long dWeight) {
        check("conv_weight_gradient", convWeightGradient0(table, shape.numbers(), x, dy, dWeight));
    }

    @Override
    public long poolWinnersBytes(PoolShape shape) {
        long bytes = poolWinnersBytes0(table, shape.numbers());
        if (bytes < 0) {
            throw failure("pool");
        }
        return bytes;
    }

    @Override
    public void pool(PoolShape shape, long x, long y, long winners) {
        check("pool", pool0(table, shape.numbers(), x, y, winners));
    }

    @Override
    public void poolBackward(PoolShape shape, long dy, long winners, long dx) {
        check("pool_backward", poolBackward0(table, shape.numbers(), dy, winners, dx));
    }

    private void check(String operation, int status) {
        if (status != 0) {
            throw failure(operation);
        }
    }

    private DeviceException failure(String operation) {
        return new DeviceException(operation + " on " + place + ": " + lastError0(table));
    }

    private static native int matmul0(
            long table, long[] shape, long a, long b, long bias, long out);

    private static native int conv0(
            long table, long[] shape, long x, long weight, long bias, long y);

    private static native int convTranspose0(
            long table, long[] shape, long y, long weight, long bias, long x);

    private static native int convWeightGradient0(
            long table, long[] shape, long x, long dy, long dWeight);

    private static native long poolWinnersBytes0(long table, long[] shape);

    private static native int pool0(long table, long[] shape, long x, long y, long winners);

    private static native int poolBackward0(
            long table, long[] shape, long dy, long winners, long dx);

    private static native void setThreads0(long table, int threads);

    private static native String lastError0(long table);
}
