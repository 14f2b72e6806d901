package org.jlatent;

import static org.jlatent.Checks.address;
import static org.jlatent.Checks.floats;
import static org.jlatent.Checks.require;
import static org.jlatent.Checks.requireOptional;

import org.jlatent.internal.MaskedConvKernels;
import org.jlatent.internal.MaskedConvKernels.MaskedConvShape;

/**
 * PixelCNN's masked convolutions of NHWC images [van den Oord et al. 2016], as operations on
 * tensors; formulas in kernels/masked_conv/masked_conv.h. Stride 1; images keep their size. Only
 * taps that are seen are computed, and nothing else is read.
 *
 * <p>Every method throws {@link ShapeException} when a shape does not fit or tensors live on
 * different devices, and {@link DeviceException} when the device fails.
 */
public final class MaskedConvOps {
    private MaskedConvOps() {}

    /** Which pixels are seen, with r = kernel / 2 rounded down. */
    public enum Taps {
        /** r rows above, {@code kernel} wide, and r pixels to the left. */
        RASTER_A(0),
        /** The same and the pixel itself. */
        RASTER_B(1),
        /** r rows above: a vertical stack's first layer. */
        VERTICAL_A(2),
        /** The same and all of the pixel's own row: a vertical stack's other layers. */
        VERTICAL_B(3),
        /** r pixels to the left: a horizontal stack's first layer. */
        HORIZONTAL_A(4),
        /** The same and the pixel itself: a horizontal stack's other layers. */
        HORIZONTAL_B(5);

        final int code; // the C ABI's

        Taps(int code) {
            this.code = code;
        }

        private boolean vertical() {
            return this == VERTICAL_A || this == VERTICAL_B;
        }

        private boolean raster() {
            return this == RASTER_A || this == RASTER_B;
        }

        private boolean includesOwnGroup() {
            return this == RASTER_B || this == HORIZONTAL_B;
        }
    }

    /** What becomes of the sum. */
    public enum Epilogue {
        /** The sum. */
        PLAIN(0),
        /** max(sum, 0). */
        RELU(1),
        /**
         * tanh of the first half of the filters times sigmoid of the second: half as many outputs.
         */
        GATE(2),
        /** The first half of the filters times sigmoid of the second: half as many outputs. */
        GLU(3);

        final int code; // the C ABI's

        Epilogue(int code) {
            this.code = code;
        }

        /** Whether an output is made of two filters. */
        public boolean isGated() {
            return this == GATE || this == GLU;
        }
    }

    /**
     * A masked convolution but for its numbers of channels and filters.
     *
     * @param taps which pixels are seen
     * @param kernel odd, at most 32767
     * @param groups of channels and outputs, in their order, such as red, green, blue: in the pixel
     *     itself an output sees channels of earlier groups (A) or up to its own (B); 1: none
     * @param epilogue what becomes of the sum
     * @param factors what x, weight and dSums are rounded to before they are multiplied, F32 (not
     *     at all) or BF16; sums, and all else, are f32
     */
    public record Options(Taps taps, int kernel, int groups, Epilogue epilogue, DType factors) {
        public Options {
            if (kernel < 1 || kernel > Short.MAX_VALUE || kernel % 2 == 0) {
                throw new IllegalArgumentException(
                        "kernel must be odd and from 1 to 32767, got " + kernel);
            }
            if (groups < 1 || (groups != 1 && taps.vertical())) {
                throw new IllegalArgumentException(
                        "groups must be "
                                + (taps.vertical() ? "1 for " + taps : "at least 1")
                                + ", got "
                                + groups);
            }
            if (kernel == 1 && groups == 1 && taps != Taps.VERTICAL_B && !taps.includesOwnGroup()) {
                throw new IllegalArgumentException(
                        "a kernel of 1 leaves nothing of " + taps + ": it must be at least 3");
            }
            if (factors != DType.F32 && factors != DType.BF16) {
                throw new IllegalArgumentException("factors must be F32 or BF16, got " + factors);
            }
        }

        /** One group, nothing after the sum, factors as they are. */
        public static Options of(Taps taps, int kernel) {
            return new Options(taps, kernel, 1, Epilogue.PLAIN, DType.F32);
        }

        /** Groups of channels and outputs that see each other in their order. */
        public Options withGroups(int count) {
            return new Options(taps, kernel, count, epilogue, factors);
        }

        /** What becomes of the sum. */
        public Options withEpilogue(Epilogue value) {
            return new Options(taps, kernel, groups, value, factors);
        }

        /** What factors are rounded to before they are multiplied, F32 or BF16. */
        public Options withFactors(DType type) {
            return new Options(taps, kernel, groups, epilogue, type);
        }

        /** Filters for so many outputs: a gate has two for each. */
        public long filters(long outputs) {
            return epilogue.isGated() ? 2 * outputs : outputs;
        }

        /**
         * The weight's shape: {@code [filters, kernel, kernel, channels]} for raster taps, of which
         * the first are used; exactly the taps for others.
         *
         * @throws ShapeException if channels or filters are not positive, or the groups do not
         *     divide them
         */
        public Shape weightShape(long channels, long filters) {
            boolean gate = epilogue.isGated();
            long outputs = gate ? filters / 2 : filters;
            if (channels < 1 || filters < 1 || (gate && filters % 2 != 0)) {
                throw new ShapeException(
                        "masked conv: at least one channel and filter are needed, and for a gate an"
                                + " even number of filters, got "
                                + channels
                                + " channels and "
                                + filters
                                + " filters");
            }
            if (channels % groups != 0 || outputs % groups != 0) {
                throw new ShapeException(
                        String.format(
                                "masked conv: %d groups do not divide %d channels and %d outputs",
                                groups, channels, outputs));
            }
            int r = kernel / 2;
            if (taps.raster()) {
                return Shape.of(filters, kernel, kernel, channels);
            }
            if (taps.vertical()) {
                return Shape.of(filters, taps == Taps.VERTICAL_B ? r + 1 : r, kernel, channels);
            }
            return Shape.of(filters, 1, r + (ownPixel() ? 1 : 0), channels);
        }

        /** Taps that are computed; the groups of the pixel itself count as one. */
        public long liveTaps() {
            long r = kernel / 2;
            return switch (taps) {
                case VERTICAL_A -> r * kernel;
                case VERTICAL_B -> (r + 1) * kernel;
                case RASTER_A, RASTER_B -> r * kernel + r + (ownPixel() ? 1 : 0);
                case HORIZONTAL_A, HORIZONTAL_B -> r + (ownPixel() ? 1 : 0);
            };
        }

        private boolean ownPixel() {
            return taps.includesOwnGroup() || groups > 1;
        }

        private MaskedConvShape shape(Shape x, long filters) {
            return new MaskedConvShape(
                    x.get(0),
                    x.get(1),
                    x.get(2),
                    x.get(3),
                    filters,
                    kernel,
                    groups,
                    taps.code,
                    epilogue.code,
                    factors == DType.BF16 ? 1 : 0);
        }
    }

    /**
     * @param y {@code [batch, height, width, filters]}, half as many where gated
     * @param gates for {@link #backwardGate}: both factors, {@code [batch, height, width,
     *     filters]}; null without a gate or where no gradient was asked for
     */
    public record Result(Tensor y, Tensor gates) {}

    /**
     * @param dWeight shape of the weight; 0 where a tap or channel is not seen
     * @param dBias {@code [filters]}
     */
    public record Gradients(Tensor dWeight, Tensor dBias) {}

    /**
     * {@code epilogue(conv(x) + bias + vector + map)}.
     *
     * @param x {@code [batch, height, width, channels]}; no extent but batch may be 0
     * @param weight {@link Options#weightShape}
     * @param bias {@code [filters]}, or null
     * @param vector {@code [batch, filters]}: what an image is conditioned on; or null
     * @param map {@code [batch, height, width, filters]}: the same pixel by pixel; or null
     * @param gradient whether {@link #backwardGate} will be called
     */
    public static Result forward(
            Scope scope,
            Tensor x,
            Tensor weight,
            Tensor bias,
            Tensor vector,
            Tensor map,
            Options options,
            boolean gradient) {
        long filters = filters("masked conv", x.shape(), weight.shape(), options);
        Shape sums = sums(x.shape(), filters);
        requireOptional("masked conv", "bias", bias, Shape.of(filters));
        requireOptional("masked conv", "vector", vector, Shape.of(x.shape().get(0), filters));
        requireOptional("masked conv", "map", map, sums);
        floats("masked conv", scope, x, weight, bias, vector, map);
        boolean gate = options.epilogue.isGated();
        Tensor y = scope.empty(gate ? sums(x.shape(), filters / 2) : sums);
        Tensor gates = gate && gradient ? scope.empty(sums) : null;
        MaskedConvKernels.forward(
                scope.device().backend(),
                options.shape(x.shape(), filters),
                x.address(),
                weight.address(),
                address(bias),
                address(vector),
                address(map),
                y.address(),
                address(gates));
        return new Result(y, gates);
    }

    /**
     * Gradient for the sums before a gate: also that of {@link #forward}'s map.
     *
     * @param epilogue of forward's options
     * @param gates as forward returned them
     * @param dy gradient of what it returned
     * @return shape of {@code gates}
     */
    public static Tensor backwardGate(Scope scope, Epilogue epilogue, Tensor gates, Tensor dy) {
        Shape shape = gates.shape();
        if (shape.rank() != 4 || shape.get(3) % 2 != 0) {
            throw new ShapeException(
                    "masked conv gate: gates must be [batch, height, width, filters] with an even"
                            + " number of filters, got "
                            + shape);
        }
        require("masked conv gate", "dy", dy, sums(shape, shape.get(3) / 2));
        floats("masked conv gate", scope, gates, dy);
        Tensor dSums = scope.empty(shape);
        MaskedConvKernels.backwardGate(
                scope.device().backend(),
                Options.of(Taps.RASTER_B, 1).withEpilogue(epilogue).shape(shape, shape.get(3)),
                gates.address(),
                dy.address(),
                dSums.address());
        return dSums;
    }

    /**
     * Gradient for x.
     *
     * @param dSums gradient for the sums before the epilogue, {@code [batch, height, width,
     *     filters]}
     * @param weight as given to {@link #forward}
     * @return {@code [batch, height, width, channels]}
     */
    public static Tensor backwardData(Scope scope, Tensor dSums, Tensor weight, Options options) {
        Shape shape = dSums.shape();
        if (shape.rank() != 4 || weight.shape().rank() != 4) {
            throw new ShapeException(
                    "masked conv gradient takes sums [batch, height, width, filters] and a weight"
                            + " [filters, rows, columns, channels], got "
                            + shape
                            + " and "
                            + weight.shape());
        }
        Shape x = sums(shape, weight.shape().get(3));
        long filters = filters("masked conv gradient", x, weight.shape(), options);
        require("masked conv gradient", "dSums", dSums, sums(x, filters));
        floats("masked conv gradient", scope, dSums, weight);
        Tensor dx = scope.empty(x);
        MaskedConvKernels.backwardData(
                scope.device().backend(),
                options.shape(x, filters),
                dSums.address(),
                weight.address(),
                dx.address());
        return dx;
    }

    /**
     * Gradients for weight and bias.
     *
     * @param x as given to {@link #forward}
     * @param dSums as in {@link #backwardData}
     */
    public static Gradients backwardWeight(Scope scope, Tensor x, Tensor dSums, Options options) {
        String operation = "masked conv weight gradient";
        requireImages(operation, x.shape());
        requireImages(operation, dSums.shape());
        long filters = dSums.shape().get(3);
        Shape weight = options.weightShape(x.shape().get(3), filters);
        require(operation, "dSums", dSums, sums(x.shape(), filters));
        floats(operation, scope, x, dSums);
        Tensor dWeight = scope.empty(weight);
        Tensor dBias = scope.empty(Shape.of(filters));
        MaskedConvKernels.backwardWeight(
                scope.device().backend(),
                options.shape(x.shape(), filters),
                x.address(),
                dSums.address(),
                dWeight.address(),
                dBias.address());
        return new Gradients(dWeight, dBias);
    }

    /** An image's shape with so many values a pixel. */
    private static Shape sums(Shape images, long values) {
        return Shape.of(images.get(0), images.get(1), images.get(2), values);
    }

    private static void requireImages(String operation, Shape x) {
        if (x.rank() != 4 || x.get(1) < 1 || x.get(2) < 1) {
            throw new ShapeException(
                    operation
                            + " takes images [batch, height, width, channels] of at least one pixel,"
                            + " got "
                            + x);
        }
    }

    /** The weight's filters, once x and weight have been found to fit. */
    private static long filters(String operation, Shape x, Shape weight, Options options) {
        requireImages(operation, x);
        if (weight.rank() != 4) {
            throw new ShapeException(
                    operation
                            + ": weight must be [filters, rows, columns, channels], got "
                            + weight);
        }
        Shape expected = options.weightShape(x.get(3), weight.get(0));
        if (!weight.equals(expected)) {
            throw new ShapeException(
                    operation
                            + ": for images "
                            + x
                            + " and "
                            + options
                            + " the weight must be "
                            + expected
                            + ", got "
                            + weight);
        }
        return weight.get(0);
    }
}
