package org.jlatent.bench;

import static org.bytedeco.pytorch.global.torch.constant_pad_nd;
import static org.bytedeco.pytorch.global.torch.conv2d;
import static org.bytedeco.pytorch.global.torch.conv_transpose2d;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.jlatent.Activation;
import org.jlatent.ConvOps;
import org.jlatent.nn.Conv1d;
import org.jlatent.nn.Conv2d;
import org.jlatent.nn.ConvTranspose2d;
import org.jlatent.nn.Init;

/** Convolutions, held against libtorch. */
final class ConvParity {
    private static final ConvOps.Options PLAIN = ConvOps.Options.plain();
    private static final ConvOps.Options SAME = PLAIN.withPadding(1, 1);
    private static final ConvOps.Options HALVED = SAME.withStride(2, 2);

    private final Comparison comparison;

    ConvParity(Comparison comparison) {
        this.comparison = comparison;
    }

    /** A view: jlatent's memory is channels-last memory. Weights [out, h, w, in] alike. */
    static Tensor nchw(Tensor nhwc) {
        return nhwc.permute(0, 3, 1, 2);
    }

    static Tensor nhwc(Tensor nchw) {
        return nchw.permute(0, 2, 3, 1);
    }

    static long[] two(long y, long x) {
        return new long[] {y, x};
    }

    void run() {
        convolutions();
        sequences();
        transposed();
    }

    private void convolutions() {
        conv(2, 5, 4, 4, 6, 3, 3, SAME, Activation.IDENTITY);
        conv(1, 1, 1, 1, 1, 1, 1, PLAIN, Activation.IDENTITY);
        conv(1, 1, 1, 3, 2, 3, 3, SAME, Activation.IDENTITY);
        conv(2, 4, 4, 5, 3, 4, 4, PLAIN, Activation.IDENTITY);
        conv(3, 13, 11, 3, 17, 5, 3, PLAIN.withPadding(2, 0), Activation.IDENTITY);
        conv(1, 9, 7, 64, 48, 1, 1, PLAIN, Activation.IDENTITY);
        conv(2, 7, 8, 6, 5, 1, 1, PLAIN.withStride(2, 3), Activation.IDENTITY);
        conv(
                3,
                7,
                5,
                6,
                9,
                2,
                3,
                PLAIN.withStride(2, 3).withPadding(0, 1).withGroups(3),
                Activation.IDENTITY);
        conv(2, 9, 8, 4, 2, 3, 3, PLAIN.withDilation(2, 1).withPadding(2, 1), Activation.IDENTITY);
        conv(
                2,
                11,
                12,
                4,
                6,
                3,
                2,
                PLAIN.withDilation(3, 4).withStride(2, 1).withGroups(2),
                Activation.IDENTITY);
        conv(
                2,
                5,
                6,
                4,
                2,
                2,
                3,
                PLAIN.withStride(2, 1).withPadding(1, 0, 0, 2),
                Activation.IDENTITY);
        conv(
                1,
                6,
                7,
                3,
                4,
                3,
                3,
                PLAIN.withPadding(2, 1, 0, 0).withDilation(1, 2),
                Activation.IDENTITY);
        conv(2, 6, 6, 8, 8, 3, 3, SAME.withGroups(8), Activation.IDENTITY);
        conv(2, 7, 5, 7, 14, 3, 3, HALVED.withGroups(7), Activation.IDENTITY);
        conv(4, 28, 28, 1, 32, 4, 4, HALVED, Activation.RELU);
        conv(4, 16, 16, 64, 64, 3, 3, SAME, Activation.RELU);
        conv(128, 3, 3, 16, 16, 3, 3, SAME, Activation.IDENTITY);
        for (Activation activation : Activation.values()) {
            conv(2, 6, 5, 8, 12, 3, 3, SAME, activation);
        }
    }

    private void conv(
            int batch,
            int height,
            int width,
            int in,
            int out,
            int kernelHeight,
            int kernelWidth,
            ConvOps.Options o,
            Activation activation) {
        Conv2d layer =
                new Conv2d(
                        new Init(comparison.scope(), 1),
                        in,
                        out,
                        kernelHeight,
                        kernelWidth,
                        o,
                        activation);
        org.jlatent.Tensor x = comparison.normal(batch, height, width, in);
        comparison.check(
                "conv2d",
                x.shape()
                        + " to "
                        + out
                        + " by "
                        + kernelHeight
                        + "x"
                        + kernelWidth
                        + " "
                        + o
                        + " "
                        + activation,
                (long) kernelHeight * kernelWidth * in / o.groups(),
                comparison.leaves(x, layer),
                tape -> layer.forward(tape, x),
                t ->
                        nhwc(
                                DenseParity.activate(
                                        activation,
                                        conv2d(
                                                // Its own padding is the same on both sides.
                                                constant_pad_nd(
                                                        nchw(t[0]),
                                                        new long[] {
                                                            o.padLeft(),
                                                            o.padRight(),
                                                            o.padTop(),
                                                            o.padBottom()
                                                        },
                                                        new Scalar(0.0)),
                                                nchw(t[1]),
                                                new TensorOptional(t[2]),
                                                two(o.strideY(), o.strideX()),
                                                two(0, 0),
                                                two(o.dilationY(), o.dilationX()),
                                                o.groups()))));
    }

    private void sequences() {
        sequence(2, 9, 3, 4, 3, 2, 2, 2, 1);
        sequence(1, 1, 1, 1, 1, 1, 0, 1, 1);
        sequence(3, 101, 8, 12, 5, 3, 4, 2, 4);
        sequence(2, 17, 6, 6, 2, 1, 0, 5, 6);
    }

    private void sequence(
            int batch,
            int length,
            int in,
            int out,
            int kernel,
            int stride,
            int padding,
            int dilation,
            int groups) {
        Conv1d layer =
                new Conv1d(
                        new Init(comparison.scope(), 1),
                        in,
                        out,
                        kernel,
                        stride,
                        padding,
                        dilation,
                        groups,
                        Activation.TANH);
        org.jlatent.Tensor x = comparison.normal(batch, length, in);
        comparison.check(
                "conv1d",
                x.shape()
                        + " to "
                        + out
                        + " by "
                        + kernel
                        + ", stride "
                        + stride
                        + ", padding "
                        + padding
                        + ", dilation "
                        + dilation
                        + ", groups "
                        + groups,
                (long) kernel * in / groups,
                comparison.leaves(x, layer),
                tape -> layer.forward(tape, x),
                t ->
                        org.bytedeco
                                .pytorch
                                .global
                                .torch
                                .conv1d(
                                        t[0].permute(0, 2, 1),
                                        t[1].permute(0, 3, 1, 2).squeeze(2),
                                        new TensorOptional(t[2]),
                                        new long[] {stride},
                                        new long[] {padding},
                                        new long[] {dilation},
                                        groups)
                                .permute(0, 2, 1)
                                .tanh());
    }

    private void transposed() {
        transposed(2, 3, 2, 4, 3, 4, 4, HALVED, 0, 0, Activation.SOFTPLUS);
        transposed(1, 1, 1, 1, 1, 1, 1, PLAIN, 0, 0, Activation.IDENTITY);
        transposed(1, 1, 1, 5, 3, 4, 4, PLAIN, 0, 0, Activation.IDENTITY);
        transposed(
                2,
                3,
                2,
                4,
                6,
                3,
                2,
                PLAIN.withStride(3, 2).withPadding(1, 0).withGroups(2),
                2,
                1,
                Activation.IDENTITY);
        transposed(2, 5, 7, 6, 5, 3, 3, HALVED, 1, 1, Activation.IDENTITY);
        transposed(
                2,
                5,
                4,
                6,
                9,
                2,
                3,
                PLAIN.withDilation(3, 2).withPadding(1, 2),
                0,
                0,
                Activation.IDENTITY);
        transposed(1, 4, 5, 8, 8, 3, 3, HALVED.withGroups(8), 0, 1, Activation.IDENTITY);
        transposed(2, 4, 3, 3, 2, 2, 2, PLAIN.withStride(3, 3), 2, 0, Activation.IDENTITY);
        transposed(4, 7, 7, 64, 32, 4, 4, HALVED, 0, 0, Activation.RELU);
        transposed(4, 14, 14, 32, 1, 4, 4, HALVED, 0, 0, Activation.IDENTITY);
        for (Activation activation : Activation.values()) {
            transposed(2, 3, 4, 8, 5, 3, 3, HALVED, 1, 0, activation);
        }
    }

    private void transposed(
            int batch,
            int height,
            int width,
            int in,
            int out,
            int kernelHeight,
            int kernelWidth,
            ConvOps.Options o,
            int extraHeight,
            int extraWidth,
            Activation activation) {
        ConvTranspose2d layer =
                new ConvTranspose2d(
                        new Init(comparison.scope(), 1),
                        in,
                        out,
                        kernelHeight,
                        kernelWidth,
                        o,
                        extraHeight,
                        extraWidth,
                        activation);
        org.jlatent.Tensor x = comparison.normal(batch, height, width, in);
        comparison.check(
                "conv_transpose2d",
                x.shape()
                        + " to "
                        + out
                        + " by "
                        + kernelHeight
                        + "x"
                        + kernelWidth
                        + " "
                        + o
                        + " extra "
                        + extraHeight
                        + " "
                        + extraWidth
                        + " "
                        + activation,
                (long) kernelHeight * kernelWidth * in / o.groups(),
                comparison.leaves(x, layer),
                tape -> layer.forward(tape, x),
                t ->
                        nhwc(
                                DenseParity.activate(
                                        activation,
                                        conv_transpose2d(
                                                nchw(t[0]),
                                                nchw(t[1]),
                                                new TensorOptional(t[2]),
                                                two(o.strideY(), o.strideX()),
                                                two(o.padTop(), o.padLeft()),
                                                two(extraHeight, extraWidth),
                                                o.groups(),
                                                two(o.dilationY(), o.dilationX())))));
    }
}
