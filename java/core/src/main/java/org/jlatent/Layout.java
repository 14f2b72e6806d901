package org.jlatent;

/**
 * Images between NHWC, which is jlatent's, and NCHW, which others use.
 *
 * <p>Plain copies on the heap, meant for what comes in and goes out, not for a training loop.
 */
public final class Layout {
    private Layout() {}

    /**
     * Images from {@code [count, channels, height, width]} to {@code [count, height, width,
     * channels]}.
     *
     * @throws ShapeException if the extents do not make up as many values, or one is negative
     */
    public static float[] fromNchw(float[] nchw, int count, int channels, int height, int width) {
        check(nchw, count, channels, height, width);
        return swap(nchw, count, channels, height * width);
    }

    /**
     * Images from {@code [count, height, width, channels]} to {@code [count, channels, height,
     * width]}.
     *
     * @throws ShapeException if the extents do not make up as many values, or one is negative
     */
    public static float[] toNchw(float[] nhwc, int count, int channels, int height, int width) {
        check(nhwc, count, channels, height, width);
        return swap(nhwc, count, height * width, channels);
    }

    /**
     * A copy of f32 images {@code [count, channels, height, width]} as {@code [count, height,
     * width, channels]}. Waits for the device.
     *
     * @throws ShapeException for another rank or type
     */
    public static Tensor fromNchw(Scope scope, Tensor nchw) {
        Shape s = images(nchw);
        return scope.of(
                Shape.of(s.get(0), s.get(2), s.get(3), s.get(1)),
                swap(
                        nchw.toFloatArray(),
                        (int) s.get(0),
                        (int) s.get(1),
                        (int) (s.get(2) * s.get(3))));
    }

    /**
     * A copy of f32 images {@code [count, height, width, channels]} as {@code [count, channels,
     * height, width]}. Waits for the device.
     *
     * @throws ShapeException for another rank or type
     */
    public static Tensor toNchw(Scope scope, Tensor nhwc) {
        Shape s = images(nhwc);
        return scope.of(
                Shape.of(s.get(0), s.get(3), s.get(1), s.get(2)),
                swap(
                        nhwc.toFloatArray(),
                        (int) s.get(0),
                        (int) (s.get(1) * s.get(2)),
                        (int) s.get(3)));
    }

    private static Shape images(Tensor tensor) {
        if (tensor.shape().rank() != 4 || tensor.dtype() != DType.F32) {
            throw new ShapeException(
                    "images are F32 tensors of four extents, got "
                            + tensor.dtype()
                            + " "
                            + tensor.shape());
        }
        return tensor.shape();
    }

    private static void check(float[] values, int count, int channels, int height, int width) {
        Shape shape = Shape.of(count, channels, height, width);
        if (shape.elements() != values.length) {
            throw new ShapeException(
                    count
                            + " images of "
                            + channels
                            + " channels, "
                            + height
                            + " x "
                            + width
                            + ", are "
                            + shape.elements()
                            + " values, got "
                            + values.length);
        }
    }

    /** {@code [count, rows, columns]} to {@code [count, columns, rows]}. */
    private static float[] swap(float[] values, int count, int rows, int columns) {
        float[] swapped = new float[values.length];
        if (values.length == 0) {
            return swapped; // the other extents may be any
        }
        for (int i = 0; i < count; i++) {
            int first = i * rows * columns;
            for (int r = 0; r < rows; r++) {
                for (int c = 0; c < columns; c++) {
                    swapped[first + c * rows + r] = values[first + r * columns + c];
                }
            }
        }
        return swapped;
    }
}
