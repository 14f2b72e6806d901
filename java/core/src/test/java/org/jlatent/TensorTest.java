package org.jlatent;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

@OnEveryDevice
final class TensorTest {

    @Test
    void bf16RoundsToTheNearestEven() {
        try (Device device = TestDevice.open();
                Scope scope = new Scope(device)) {
            float step = 0x1p-7f; // between neighbours in [1, 2)
            float[] given = {
                1.0f,
                1 + step / 2, // a tie: down to even
                1 + 3 * step / 2, // a tie: up to even
                1 + 0.51f * step,
                -1 - 0.49f * step,
                Float.MAX_VALUE,
                Float.NaN,
                Float.NEGATIVE_INFINITY,
                Float.MIN_VALUE,
                Float.intBitsToFloat(0x7F800001) // a NaN whose upper half alone would be infinity
            };
            Tensor t = scope.empty(Shape.of(given.length), DType.BF16);
            t.copyFrom(given);
            assertEquals(2L * given.length, t.bytes());
            float[] expected = {
                1,
                1,
                1 + 2 * step,
                1 + step,
                -1,
                Float.POSITIVE_INFINITY,
                Float.NaN,
                Float.NEGATIVE_INFINITY,
                0,
                Float.NaN
            };
            assertArrayEquals(expected, t.toFloatArray());
            Tensor cast = Ops.cast(scope, scope.of(Shape.of(given.length), given), DType.BF16);
            assertArrayEquals(expected, cast.toFloatArray());
            assertArrayEquals(expected, Ops.cast(scope, cast, DType.F32).toFloatArray());
            assertThrows(ShapeException.class, () -> Ops.cast(scope, cast, DType.I32));
        }
    }

    @Test
    void everyBf16ComesBackAsItIs() {
        for (int bits = 0; bits < 1 << 16; bits++) {
            float value = DType.bf16ToFloat((short) bits);
            if (!Float.isNaN(value)) {
                assertEquals((short) bits, DType.floatToBf16(value));
            }
        }
    }

    @Test
    void integersAreKeptWhole() {
        try (Device device = TestDevice.open();
                Scope scope = new Scope(device)) {
            int[] codes = {0, -1, Integer.MAX_VALUE, (1 << 24) + 1};
            Tensor t = scope.ofInts(Shape.of(2, 2), codes);
            assertArrayEquals(codes, t.reshape(Shape.of(4)).toIntArray());
            ShapeException asFloats = assertThrows(ShapeException.class, t::toFloatArray);
            assertTrue(asFloats.getMessage().contains("I32"), asFloats.getMessage());
            assertThrows(ShapeException.class, () -> scope.zeros(Shape.of(2)).toIntArray());
            assertThrows(ShapeException.class, () -> t.copyFrom(new int[3]));
        }
    }

    @Test
    void operationsRefuseOtherTypes() {
        try (Device device = TestDevice.open();
                Scope scope = new Scope(device)) {
            Tensor ints = scope.ofInts(Shape.of(2), 1, 2);
            Tensor floats = scope.of(Shape.of(2), 1, 2);
            ShapeException e =
                    assertThrows(ShapeException.class, () -> Ops.add(scope, floats, ints));
            assertTrue(e.getMessage().contains("I32"), e.getMessage());
            assertThrows(ShapeException.class, () -> Ops.fill(ints, 1));
        }
    }
}
