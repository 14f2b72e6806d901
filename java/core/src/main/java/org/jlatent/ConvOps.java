package org.jlatent;

import static org.jlatent.Checks.address;
import static org.jlatent.Checks.floats;
import static org.jlatent.Checks.require;
import static org.jlatent.Checks.requireOptional;

import org.jlatent.spi.Dense.ConvShape;

/**
 * Convolutions of NHWC images, as operations on tensors. A sequence {@code [batch, length,
 * channels]} is an image of height 1. Images and weights may be bf16, both or none; sums, biases
 * and gradients of weights are f32, results what is asked for.
 *
 * <p>Every method throws {@link ShapeException} when a shape does not fit or tensors live on
 * different devices, and {@link DeviceException} when the device fails.
 */
public final class ConvOps {
    private ConvOps() {}

    private static final long MOST = 1L << 60; // above any extent

    /**
     * How the kernel goes over the image. Strides, padding and dilations are at most 32767.
     *
     * @param strideY pixels from one window to the next
     * @param padTop rows of zeros above
     * @param dilationY pixels from one tap to the next; 1: neighbours
     * @param groups the channels are cut into so many, each with filters of its own
     */
    public record Options(
            int strideY,
            int strideX,
            int padTop,
            int padLeft,
            int padBottom,
            int padRight,
            int dilationY,
            int dilationX,
            int groups) {
        public Options {
            Checks.steps("strides", 1, strideY, strideX);
            Checks.steps("padding", 0, padTop, padLeft, padBottom, padRight);
            Checks.steps("dilations", 1, dilationY, dilationX);
            if (groups < 1) {
                throw new IllegalArgumentException("groups must be at least 1, got " + groups);
            }
        }

        /** Stride 1, no padding, no dilation, one group. */
        public static Options plain() {
            return new Options(1, 1, 0, 0, 0, 0, 1, 1, 1);
        }

        /** Pixels from one window to the next. */
        public Options withStride(int y, int x) {
            return new Options(
                    y, x, padTop, padLeft, padBottom, padRight, dilationY, dilationX, groups);
        }

        /** Rows above and below, columns left and right. */
        public Options withPadding(int y, int x) {
            return withPadding(y, x, y, x);
        }

        /** Zeros around the image. */
        public Options withPadding(int top, int left, int bottom, int right) {
            return new Options(
                    strideY, strideX, top, left, bottom, right, dilationY, dilationX, groups);
        }

        /** Pixels from one tap to the next; 1: neighbours. */
        public Options withDilation(int y, int x) {
            return new Options(
                    strideY, strideX, padTop, padLeft, padBottom, padRight, y, x, groups);
        }

        /** Groups that channels are cut into, each with filters of its own. */
        public Options withGroups(int count) {
            return new Options(
                    strideY, strideX, padTop, padLeft, padBottom, padRight, dilationY, dilationX,
                    count);
        }

        /** Height of the output for an image and a kernel; less than 1 where none fits. */
        public long outHeight(long height, long kernel) {
            return extent(height, padTop + (long) padBottom, kernel, dilationY, strideY);
        }

        /** Width of the output for an image and a kernel; less than 1 where none fits. */
        public long outWidth(long width, long kernel) {
            return extent(width, padLeft + (long) padRight, kernel, dilationX, strideX);
        }

        private static long extent(long size, long padding, long kernel, int dilation, int stride) {
            if (kernel - 1 > MOST / dilation) {
                return 0;
            }
            long window = (kernel - 1) * dilation + 1;
            return Math.floorDiv(size - window + padding, (long) stride) + 1;
        }

        private ConvShape shape(Shape x, Shape weight, int activation, int dtype, int outDtype) {
            return new ConvShape(
                    x.get(0),
                    x.get(1),
                    x.get(2),
                    x.get(3),
                    weight.get(0),
                    weight.get(1),
                    weight.get(2),
                    strideY,
                    strideX,
                    padTop,
                    padLeft,
                    padBottom,
                    padRight,
                    dilationY,
                    dilationX,
                    groups,
                    activation,
                    dtype,
                    outDtype);
        }
    }

    /**
     * {@code activation(conv(x) + bias)}.
     *
     * @param x {@code [batch, height, width, channels]}
     * @param weight {@code [filters, kernelHeight, kernelWidth, channels / groups]}
     * @param bias {@code [filters]}, or null
     * @param result what y is stored as: f32, or as x is
     * @return {@code [batch, outHeight, outWidth, filters]}
     */
    public static Tensor forward(
            Scope scope,
            Tensor x,
            Tensor weight,
            Tensor bias,
            Options options,
            Activation activation,
            DType result) {
        Shape out = output("conv", x.shape(), weight.shape(), options);
        requireOptional("conv", "bias", bias, Shape.of(weight.shape().get(0)));
        int dtype = Checks.storage("conv", scope, x, weight);
        floats("conv", scope, bias);
        Tensor y = scope.empty(out, result);
        scope.device()
                .backend()
                .dense()
                .conv(
                        options.shape(
                                x.shape(),
                                weight.shape(),
                                activation.code(),
                                dtype,
                                stored("conv", x, y)),
                        x.address(),
                        weight.address(),
                        address(bias),
                        y.address());
        return y;
    }

    /** {@code activation(conv(x) + bias)}, stored as x is. */
    public static Tensor forward(
            Scope scope,
            Tensor x,
            Tensor weight,
            Tensor bias,
            Options options,
            Activation activation) {
        return forward(scope, x, weight, bias, options, activation, x.dtype());
    }

    /**
     * {@code activation(conv^T(y) + bias)}: the transposed convolution, from what {@link #forward}
     * gives back to what it takes. Without bias and activation it is also the gradient of forward
     * for x.
     *
     * @param y {@code [batch, outHeight, outWidth, filters]}
     * @param weight {@code [filters, kernelHeight, kernelWidth, channels / groups]}
     * @param bias {@code [channels]}, or null
     * @param xShape {@code [batch, height, width, channels]}: several heights may lead to one
     *     outHeight
     * @param result what x is stored as: f32, or as y is
     * @return a tensor of that shape
     */
    public static Tensor transposed(
            Scope scope,
            Tensor y,
            Tensor weight,
            Tensor bias,
            Shape xShape,
            Options options,
            Activation activation,
            DType result) {
        require(
                "transposed conv",
                "its input",
                y,
                output("transposed conv", xShape, weight.shape(), options));
        requireOptional("transposed conv", "bias", bias, Shape.of(xShape.get(3)));
        int dtype = Checks.storage("transposed conv", scope, y, weight);
        floats("transposed conv", scope, bias);
        Tensor x = scope.empty(xShape, result);
        scope.device()
                .backend()
                .dense()
                .convTranspose(
                        options.shape(
                                xShape,
                                weight.shape(),
                                activation.code(),
                                dtype,
                                stored("transposed conv", y, x)),
                        y.address(),
                        weight.address(),
                        address(bias),
                        x.address());
        return x;
    }

    /** {@code activation(conv^T(y) + bias)}, stored as y is. */
    public static Tensor transposed(
            Scope scope,
            Tensor y,
            Tensor weight,
            Tensor bias,
            Shape xShape,
            Options options,
            Activation activation) {
        return transposed(scope, y, weight, bias, xShape, options, activation, y.dtype());
    }

    /**
     * Gradient for the weight. For {@link #transposed}, {@code x} is the gradient of its output and
     * {@code dy} its input.
     *
     * @param x as given to {@link #forward}
     * @param dy gradient of what it returned
     * @return f32, of shape {@code weightShape}
     */
    public static Tensor weightGradient(
            Scope scope, Tensor x, Tensor dy, Shape weightShape, Options options) {
        require(
                "conv weight gradient",
                "dy",
                dy,
                output("conv weight gradient", x.shape(), weightShape, options));
        int dtype = Checks.storage("conv weight gradient", scope, x, dy);
        Tensor dWeight = scope.empty(weightShape);
        scope.device()
                .backend()
                .dense()
                .convWeightGradient(
                        options.shape(
                                x.shape(),
                                weightShape,
                                Activation.IDENTITY.code(),
                                dtype,
                                stored("conv weight gradient", x, dWeight)),
                        x.address(),
                        dy.address(),
                        dWeight.address());
        return dWeight;
    }

    /** Code of the result's type, once that has been found possible. */
    private static int stored(String operation, Tensor given, Tensor result) {
        if (result.dtype() != DType.F32 && result.dtype() != given.dtype()) {
            throw new ShapeException(
                    operation
                            + " of "
                            + given.dtype()
                            + " tensors cannot give "
                            + result.dtype()
                            + ": it gives F32, or what it takes");
        }
        return result.dtype() == DType.BF16 ? 1 : 0;
    }

    /** The output's shape, once x and weight have been found to fit. */
    private static Shape output(String operation, Shape x, Shape weight, Options options) {
        if (x.rank() != 4 || weight.rank() != 4) {
            throw new ShapeException(
                    operation
                            + " takes images [batch, height, width, channels] and a weight [filters,"
                            + " height, width, channels / groups], got "
                            + x
                            + " and "
                            + weight);
        }
        if (weight.get(3) * options.groups() != x.get(3)
                || weight.get(0) % options.groups() != 0
                || weight.get(0) < 1
                || x.get(3) < 1) {
            throw new ShapeException(
                    operation
                            + ": a weight "
                            + weight
                            + " in "
                            + options.groups()
                            + " groups does not fit images "
                            + x);
        }
        long height = options.outHeight(x.get(1), weight.get(1));
        long width = options.outWidth(x.get(2), weight.get(2));
        if (height < 1 || width < 1 || weight.get(1) < 1 || weight.get(2) < 1) {
            throw new ShapeException(
                    operation
                            + ": a kernel of "
                            + weight.get(1)
                            + "x"
                            + weight.get(2)
                            + " does not fit into images "
                            + x
                            + " with "
                            + options);
        }
        return Shape.of(x.get(0), height, width, weight.get(0));
    }
}
