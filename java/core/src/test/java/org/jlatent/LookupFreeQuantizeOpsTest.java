package org.jlatent;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.jlatent.LookupFreeQuantizeOps.Gradients;
import org.jlatent.LookupFreeQuantizeOps.Result;
import org.jlatent.nn.Functions;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The operation itself is tested in kernels/lookup_free_quantize; this is what Java adds. */
@OnEveryDevice
final class LookupFreeQuantizeOpsTest {
    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    private Result forward(Tensor x) {
        return LookupFreeQuantizeOps.forward(scope, x, 1, null, null);
    }

    @Test
    void imagesAreQuantizedPixelByPixel() {
        Tensor image = scope.of(Shape.of(1, 1, 2, 3), 0.5f, -2, 1, 0, 3, -1);
        Result r = LookupFreeQuantizeOps.forward(scope, image, 1, scope.scalar(0.5f), null);
        assertEquals(Shape.of(1, 1, 2), r.codes().shape());
        assertArrayEquals(new int[] {1 + 4, 2}, r.codes().toIntArray());
        assertArrayEquals(new float[] {1, -1, 1, -1, 1, -1}, r.q().toFloatArray());
        // 1/4, 1, 0, 1, 4, 0
        assertEquals(0.5f * 6.25f / 6, r.commitment().item(), 1e-6f);
        Tensor back = LookupFreeQuantizeOps.decode(scope, r.codes(), 3);
        assertEquals(image.shape(), back.shape());
        assertArrayEquals(r.q().toFloatArray(), back.toFloatArray());
    }

    @Test
    void thePenaltyRewardsBitsThatDifferFromRowToRow() {
        float ln2 = (float) Math.log(2);
        Result alike = forward(scope.of(Shape.of(2, 1), 30, 30));
        Result different = forward(scope.of(Shape.of(2, 1), 30, -30));
        Result unsure = forward(scope.of(Shape.of(2, 1), 0, 0));
        assertArrayEquals(new float[] {0, 0}, alike.entropies().toFloatArray(), 1e-6f);
        assertArrayEquals(new float[] {0, ln2}, different.entropies().toFloatArray(), 1e-6f);
        assertArrayEquals(new float[] {ln2, ln2}, unsure.entropies().toFloatArray(), 1e-6f);
        assertEquals(-ln2, different.penalty().item(), 1e-6f);
        Tensor half = scope.scalar(0.5f);
        Tensor x = scope.of(Shape.of(2, 1), 30, -30);
        Result weighted = LookupFreeQuantizeOps.forward(scope, x, 1, null, half);
        assertEquals(-ln2 / 2, weighted.penalty().item(), 1e-6f);
    }

    @Test
    void gradientsOfBothLossesAreThoseOfDifferences() {
        Tensor x = scope.of(Shape.of(3, 2), 0.3f, -0.4f, 0.6f, 0.2f, -0.1f, 0.5f);
        Tensor beta = scope.scalar(0.25f);
        Tensor gamma = scope.scalar(0.8f);
        GradientCheck.check(
                scope,
                x,
                (tape, t) -> {
                    Result r = LookupFreeQuantizeOps.forward(scope, t, 2, beta, gamma);
                    tape.record(
                            "lookup free quantize",
                            List.of(t),
                            List.of(r.commitment(), r.penalty()),
                            () ->
                                    tape.accumulate(
                                            t,
                                            LookupFreeQuantizeOps.backward(
                                                    scope,
                                                    t,
                                                    2,
                                                    beta,
                                                    gamma,
                                                    r,
                                                    new Gradients(
                                                            null,
                                                            tape.gradient(r.commitment()),
                                                            tape.gradient(r.penalty())))));
                    return Functions.add(tape, r.commitment(), r.penalty());
                });
        Tensor dq = scope.of(Shape.of(3, 2), 1, 2, 3, 4, 5, 6);
        Tensor dx =
                LookupFreeQuantizeOps.backward(
                        scope, x, 2, null, null, forward(x), new Gradients(dq, null, null));
        assertArrayEquals(dq.toFloatArray(), dx.toFloatArray(), "straight through");
    }

    @Test
    void badArgumentsAreNamed() {
        Tensor x = scope.of(Shape.of(2, 2), 1, 2, Float.NaN, 3);
        fails(ShapeException.class, "got [2, 0]", () -> forward(scope.zeros(Shape.of(2, 0))));
        fails(ShapeException.class, "got [2, 31]", () -> forward(scope.zeros(Shape.of(2, 31))));
        for (float t : new float[] {0, -1, 1e-40f, Float.NaN, Float.POSITIVE_INFINITY}) {
            fails(
                    IllegalArgumentException.class,
                    "temperature must be positive",
                    () -> LookupFreeQuantizeOps.forward(scope, x, t, null, null));
        }
        fails(
                ShapeException.class,
                "gamma must be [1]",
                () -> LookupFreeQuantizeOps.forward(scope, x, 1, null, x));
        Tensor codes = scope.ofInts(Shape.of(2), 3, 4);
        for (int dims : new int[] {0, 31}) {
            fails(
                    IllegalArgumentException.class,
                    "1 to 30, got " + dims,
                    () -> LookupFreeQuantizeOps.decode(scope, codes, dims));
        }
        Result r = forward(scope.zeros(Shape.of(2, 2)));
        fails(
                ShapeException.class,
                "dq must be [2, 2]",
                () ->
                        LookupFreeQuantizeOps.backward(
                                scope, x, 1, null, null, r, new Gradients(codes, null, null)));
    }

    @Test
    void whatHasNoCodeIsRefusedOrMarked() {
        Tensor x = scope.of(Shape.of(2, 2), 1, 2, Float.NaN, 3);
        Tensor codes = scope.ofInts(Shape.of(2), 3, 4);
        if (TestDevice.refusesBadValues(device)) {
            fails(DeviceException.class, "row 1 of x is not finite", () -> forward(x));
            fails(
                    DeviceException.class,
                    "codes[1] is 4, but there are 4 codes",
                    () -> LookupFreeQuantizeOps.decode(scope, codes, 2));
            return;
        }
        Result r = forward(x);
        assertArrayEquals(new int[] {3, -1}, r.codes().toIntArray());
        float[] marked = {1, 1, Float.NaN, Float.NaN};
        assertArrayEquals(marked, r.q().toFloatArray());
        assertTrue(Float.isNaN(r.commitment().item()));
        Tensor back = LookupFreeQuantizeOps.decode(scope, codes, 2);
        assertArrayEquals(marked, back.toFloatArray());
    }

    private static void fails(
            Class<? extends RuntimeException> type, String part, Runnable action) {
        String message = assertThrows(type, action::run).getMessage();
        assertTrue(message.contains(part), message);
    }

    @Test
    void noRowsIsNoError() {
        Result r = forward(scope.zeros(Shape.of(0, 3)));
        assertEquals(0, r.commitment().item());
        assertEquals(0, r.penalty().item());
    }
}
