package org.jlatent;

import static org.jlatent.Checks.address;
import static org.jlatent.Checks.floats;
import static org.jlatent.Checks.integers;
import static org.jlatent.Checks.require;

import org.jlatent.spi.Dense.PoolShape;

/**
 * Pooling of NHWC images, as operations on tensors. Padding counts neither for a maximum nor for an
 * average.
 *
 * <p>Every method throws {@link ShapeException} when a shape does not fit or tensors live on
 * different devices, and {@link DeviceException} when the device fails.
 */
public final class PoolOps {
    private PoolOps() {}

    /**
     * Windows of {@code height x width} pixels. Windows and strides are at most 32767.
     *
     * @param average the mean of a window; else its maximum, the first of several
     */
    public record Options(
            int height, int width, int strideY, int strideX, int padY, int padX, boolean average) {
        public Options {
            Checks.steps("windows", 1, height, width);
            Checks.steps("strides", 1, strideY, strideX);
            if (padY < 0 || padX < 0 || padY >= height || padX >= width) {
                throw new IllegalArgumentException(
                        "padding must be at least 0 and less than the window of "
                                + height
                                + "x"
                                + width
                                + ", got "
                                + padY
                                + " and "
                                + padX);
            }
        }

        /** Maxima of {@code size x size} pixels, side by side. */
        public static Options max(int size) {
            return new Options(size, size, size, size, 0, 0, false);
        }

        /** Means of {@code size x size} pixels, side by side. */
        public static Options average(int size) {
            return new Options(size, size, size, size, 0, 0, true);
        }

        private PoolShape shape(Shape x) {
            return new PoolShape(
                    x.get(0), x.get(1), x.get(2), x.get(3), height, width, strideY, strideX, padY,
                    padX, padY, padX, average);
        }
    }

    /**
     * @param y {@code [batch, outHeight, outWidth, channels]}
     * @param winners what {@link #backward} needs of a maximum; null for an average or when no
     *     gradient was asked for
     */
    public record Result(Tensor y, Tensor winners) {}

    /**
     * @param x {@code [batch, height, width, channels]}
     * @param gradient whether {@link #backward} will be called
     */
    public static Result forward(Scope scope, Tensor x, Options options, boolean gradient) {
        Shape out = output(x.shape(), options);
        floats("pool", scope, x);
        PoolShape shape = options.shape(x.shape());
        Tensor y = scope.empty(out);
        Tensor winners = null;
        if (gradient && !options.average()) {
            long bytes = scope.device().backend().dense().poolWinnersBytes(shape);
            winners = scope.empty(Shape.of((bytes + 3) / 4), DType.I32);
        }
        scope.device().backend().dense().pool(shape, x.address(), y.address(), address(winners));
        return new Result(y, winners);
    }

    /**
     * Gradient for x.
     *
     * @param dy gradient of {@link Result#y}
     * @param winners from {@link #forward}; null for an average
     * @param xShape {@code [batch, height, width, channels]}
     */
    public static Tensor backward(
            Scope scope, Tensor dy, Tensor winners, Shape xShape, Options options) {
        require("pool backward", "dy", dy, output(xShape, options));
        floats("pool backward", scope, dy);
        PoolShape shape = options.shape(xShape);
        if (!options.average()) {
            long words = (scope.device().backend().dense().poolWinnersBytes(shape) + 3) / 4;
            if (winners == null) {
                throw new IllegalArgumentException("pool backward: a maximum needs its winners");
            }
            require("pool backward", "winners", winners, Shape.of(words));
            integers("pool backward", "winners", scope, winners);
        }
        Tensor dx = scope.empty(xShape);
        scope.device()
                .backend()
                .dense()
                .poolBackward(shape, dy.address(), address(winners), dx.address());
        return dx;
    }

    private static Shape output(Shape x, Options o) {
        if (x.rank() != 4) {
            throw new ShapeException(
                    "pool takes images [batch, height, width, channels], got " + x);
        }
        long height = Math.floorDiv(x.get(1) + 2L * o.padY - o.height, (long) o.strideY) + 1;
        long width = Math.floorDiv(x.get(2) + 2L * o.padX - o.width, (long) o.strideX) + 1;
        if (height < 1 || width < 1 || x.get(3) < 1) {
            throw new ShapeException(
                    "pool: a window of " + o.height + "x" + o.width + " does not fit into " + x);
        }
        return Shape.of(x.get(0), height, width, x.get(3));
    }
}
