package org.jlatent.bench;

import static org.bytedeco.pytorch.global.torch.avg_pool2d;
import static org.bytedeco.pytorch.global.torch.constant_pad_nd;
import static org.bytedeco.pytorch.global.torch.max_pool2d;
import static org.bytedeco.pytorch.global.torch.upsample_nearest2d;
import static org.jlatent.bench.ConvParity.nchw;
import static org.jlatent.bench.ConvParity.nhwc;
import static org.jlatent.bench.ConvParity.two;

import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.jlatent.PoolOps;
import org.jlatent.nn.Functions;
import org.jlatent.nn.Pool2d;

import java.util.Arrays;
import java.util.Map;

/** Pooling and upsampling, held against libtorch. */
final class PoolParity {
    private final Comparison comparison;

    PoolParity(Comparison comparison) {
        this.comparison = comparison;
    }

    void run() {
        pooling();
        upsampling();
    }

    private void pooling() {
        for (boolean average : new boolean[] {false, true}) {
            for (boolean ties : new boolean[] {false, true}) {
                pool(2, 6, 8, 3, new PoolOps.Options(2, 2, 2, 2, 0, 0, average), ties);
                pool(1, 1, 1, 1, new PoolOps.Options(1, 1, 1, 1, 0, 0, average), ties);
                pool(2, 7, 5, 5, new PoolOps.Options(3, 2, 2, 1, 1, 1, average), ties);
                pool(1, 9, 9, 17, new PoolOps.Options(3, 3, 1, 1, 1, 1, average), ties);
                pool(3, 8, 7, 2, new PoolOps.Options(2, 3, 3, 4, 0, 1, average), ties);
                pool(1, 2, 3, 4, new PoolOps.Options(4, 5, 1, 2, 3, 4, average), ties);
                pool(2, 7, 7, 64, new PoolOps.Options(7, 7, 7, 7, 0, 0, average), ties);
            }
        }
    }

    private void pool(
            int batch, int height, int width, int channels, PoolOps.Options o, boolean ties) {
        org.jlatent.Tensor x = comparison.normal(batch, height, width, channels);
        if (ties) {
            float[] values = x.toFloatArray();
            for (int i = 0; i < values.length; i++) {
                values[i] = Math.round(values[i]);
            }
            x.copyFrom(values);
        }
        long[] kernel = two(o.height(), o.width());
        long[] stride = two(o.strideY(), o.strideX());
        long[] padding = two(o.padY(), o.padX());
        // libtorch wants padding of at most half the window; more of it is put around the image.
        boolean wide = 2 * o.padY() > o.height() || 2 * o.padX() > o.width();
        comparison.check(
                o.average() ? "avg_pool2d" : "max_pool2d",
                x.shape() + " " + o + (ties ? " with ties" : ""),
                o.average() ? (long) o.height() * o.width() : 1,
                Map.of("x", x),
                tape -> new Pool2d(o).forward(tape, x),
                t -> {
                    Tensor in = nchw(t[0]);
                    if (!o.average()) {
                        Tensor padded = wide ? around(in, o, Double.NEGATIVE_INFINITY) : in;
                        return nhwc(
                                max_pool2d(
                                        padded,
                                        kernel,
                                        stride,
                                        wide ? two(0, 0) : padding,
                                        two(1, 1),
                                        false));
                    }
                    if (!wide) {
                        return nhwc(
                                avg_pool2d(
                                        in,
                                        kernel,
                                        stride,
                                        padding,
                                        false,
                                        false,
                                        new LongOptional()));
                    }
                    // The mean over pixels is that over the window, divided by the pixels' share.
                    Tensor sum =
                            avg_pool2d(
                                    around(in, o, 0),
                                    kernel,
                                    stride,
                                    two(0, 0),
                                    false,
                                    true,
                                    new LongOptional());
                    Tensor share =
                            avg_pool2d(
                                    around(
                                            in.detach().mul(new Scalar(0.0)).add(new Scalar(1.0)),
                                            o,
                                            0),
                                    kernel,
                                    stride,
                                    two(0, 0),
                                    false,
                                    true,
                                    new LongOptional());
                    return nhwc(sum.div(share));
                });
    }

    private static Tensor around(Tensor in, PoolOps.Options o, double value) {
        return constant_pad_nd(
                in, new long[] {o.padX(), o.padX(), o.padY(), o.padY()}, new Scalar(value));
    }

    private void upsampling() {
        for (int[] s :
                new int[][] {
                    {2, 3, 5, 4, 2, 2},
                    {1, 1, 1, 1, 1, 1},
                    {2, 4, 3, 7, 3, 1},
                    {1, 2, 5, 17, 1, 4},
                    {3, 1, 1, 64, 5, 7}
                }) {
            org.jlatent.Tensor x = comparison.normal(s[0], s[1], s[2], s[3]);
            comparison.check(
                    "upsample_nearest2d",
                    Arrays.toString(s),
                    1,
                    Map.of("x", x),
                    tape -> Functions.upsample(tape, x, s[4], s[5]),
                    t ->
                            nhwc(
                                    upsample_nearest2d(
                                            nchw(t[0]),
                                            two((long) s[1] * s[4], (long) s[2] * s[5]),
                                            new DoubleOptional(),
                                            new DoubleOptional())));
        }
    }
}
