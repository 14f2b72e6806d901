package org.jlatent;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.jlatent.FiniteScalarQuantizeOps.Result;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The operation itself is tested in kernels/finite_scalar_quantize; this is what Java adds. */
@OnEveryDevice
final class FiniteScalarQuantizeOpsTest {
    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    @Test
    void imagesAreQuantizedPixelByPixel() {
        Tensor image = scope.of(Shape.of(1, 2, 2, 2), 0, 0, 9, 9, -9, -9, 0.7f, -9);
        Result r = FiniteScalarQuantizeOps.forward(scope, image, 3, 4);
        assertEquals(Shape.of(1, 2, 2), r.codes().shape());
        assertEquals(image.shape(), r.q().shape());
        // 3 levels at -1, 0, 1, the code's ones; 4 at -1, -1/2, 0, 1/2, its threes
        assertArrayEquals(new float[] {0, 0, 1, 0.5f, -1, -1, 1, -1}, r.q().toFloatArray());
        assertArrayEquals(new int[] {1 + 6, 2 + 9, 0, 2}, r.codes().toIntArray());
        Tensor back = FiniteScalarQuantizeOps.decode(scope, r.codes(), 3, 4);
        assertEquals(image.shape(), back.shape());
        assertArrayEquals(r.q().toFloatArray(), back.toFloatArray());
    }

    @Test
    void everyCodeDecodesToItself() {
        int[] levels = {8, 5, 5};
        int[] all = new int[FiniteScalarQuantizeOps.codes(levels)];
        for (int i = 0; i < all.length; i++) {
            all[i] = i;
        }
        assertEquals(200, all.length);
        Tensor q = FiniteScalarQuantizeOps.decode(scope, scope.ofInts(Shape.of(200), all), levels);
        // Inputs in the middle of what rounds to these values, by the inverse of the bound.
        float[] x = q.toFloatArray();
        for (int i = 0; i < x.length; i++) {
            int l = levels[i % 3];
            double half = (l - 1) * (1 - 1e-3) / 2;
            double offset = l % 2 == 0 ? 0.5 : 0;
            int width = l / 2;
            double y = (x[i] * width + offset) / half;
            y = Math.max(-0.999, Math.min(0.999, y));
            x[i] = (float) (0.5 * Math.log((1 + y) / (1 - y)) - Math.tan(offset / half));
        }
        Result r = FiniteScalarQuantizeOps.forward(scope, scope.of(Shape.of(200, 3), x), levels);
        assertArrayEquals(all, r.codes().toIntArray());
    }

    @Test
    void gradientsGoStraightThroughTheRounding() {
        Tensor x = scope.of(Shape.of(2), 0.3f, -1.2f);
        Tensor dq = scope.of(Shape.of(2), 10, -1);
        Result r = FiniteScalarQuantizeOps.forward(scope, x, 5, 5);
        assertEquals(Shape.of(), r.codes().shape());
        // 1.998 tanh(x) / 2
        double[] slope = {0.999 / square(Math.cosh(0.3)), 0.999 / square(Math.cosh(1.2))};
        assertArrayEquals(
                new float[] {(float) (10 * slope[0]), (float) -slope[1]},
                FiniteScalarQuantizeOps.backward(scope, x, dq, 5, 5).toFloatArray(),
                1e-5f);
    }

    private static double square(double x) {
        return x * x;
    }

    @Test
    void badArgumentsAreNamed() {
        Tensor x = scope.of(Shape.of(2, 2), 1, 2, Float.NaN, 3);
        int[] none = {};
        for (int[] levels : new int[][] {none, {1, 5}, {65536, 32768}, new int[31], {-2, -2}}) {
            IllegalArgumentException e =
                    assertThrows(
                            IllegalArgumentException.class,
                            () -> FiniteScalarQuantizeOps.codes(levels));
            assertTrue(e.getMessage().contains("product below 2^31, got ["), e.getMessage());
        }
        assertEquals(Integer.MAX_VALUE, FiniteScalarQuantizeOps.codes(Integer.MAX_VALUE));
        fails(ShapeException.class, "got [2, 2] and [3]", () -> forward(x, 3));
        fails(ShapeException.class, "got [] and [3]", () -> forward(scope.zeros(Shape.of()), 3));
        Tensor dq = scope.zeros(Shape.of(2));
        fails(
                ShapeException.class,
                "dq must be [2, 2]",
                () -> FiniteScalarQuantizeOps.backward(scope, x, dq, 3, 3));
        fails(
                ShapeException.class,
                "codes must be I32",
                () -> FiniteScalarQuantizeOps.decode(scope, dq, 3, 3));
    }

    @Test
    void whatHasNoCodeIsRefusedOrMarked() {
        Tensor x = scope.of(Shape.of(2, 2), 1, 2, Float.NaN, 3);
        Tensor codes = scope.ofInts(Shape.of(2), 8, 9);
        if (TestDevice.refusesBadValues(device)) {
            fails(DeviceException.class, "row 1 of x is not finite", () -> forward(x, 3, 3));
            fails(
                    DeviceException.class,
                    "codes[1] is 9, but there are 9 codes",
                    () -> FiniteScalarQuantizeOps.decode(scope, codes, 3, 3));
            return;
        }
        Result r = FiniteScalarQuantizeOps.forward(scope, x, 3, 3);
        assertArrayEquals(new int[] {8, -1}, r.codes().toIntArray());
        float[] marked = {1, 1, Float.NaN, Float.NaN};
        assertArrayEquals(marked, r.q().toFloatArray());
        Tensor back = FiniteScalarQuantizeOps.decode(scope, codes, 3, 3);
        assertArrayEquals(marked, back.toFloatArray());
    }

    private void forward(Tensor x, int... levels) {
        FiniteScalarQuantizeOps.forward(scope, x, levels);
    }

    private static void fails(
            Class<? extends RuntimeException> type, String part, Runnable action) {
        String message = assertThrows(type, action::run).getMessage();
        assertTrue(message.contains(part), message);
    }
}
