package org.jlatent;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

@OnEveryDevice
final class ScopeTest {
    private final Device device = TestDevice.open();

    @AfterEach
    void close() {
        device.close();
    }

    @Test
    void valuesGoInAndOut() {
        try (Scope scope = new Scope(device)) {
            Tensor t = scope.of(Shape.of(2, 3), 1, 2, 3, 4, 5, 6);
            assertArrayEquals(new float[] {1, 2, 3, 4, 5, 6}, t.toFloatArray());
            assertArrayEquals(
                    new float[] {1, 2, 3, 4, 5, 6}, t.reshape(Shape.of(6)).toFloatArray());
            assertEquals(7, scope.filled(Shape.of(1), 7).item());
            assertEquals(0, scope.zeros(Shape.of(0, 4)).toFloatArray().length);
            assertEquals("Tensor[1] [2.5]", scope.scalar(2.5f).toString());
        }
    }

    @Test
    void aLoopOfTheSameShapesGetsTheSameAddressesAndAllocatesNothing() {
        try (Scope scope = new Scope(device)) {
            long[] addresses = new long[50];
            for (int step = 0; step < 4; step++) {
                scope.clear();
                long before = device.allocations();
                for (int i = 0; i < addresses.length; i++) {
                    long address = scope.empty(Shape.of(1000 + 37 * i)).address();
                    assertEquals(0, address % 256);
                    assertTrue(step < 2 || addresses[i] == address);
                    addresses[i] = address;
                }
                assertTrue(step == 0 || device.allocations() == before);
            }
        }
    }

    @Test
    void closingReturnsEverything() {
        Scope scope = new Scope(device);
        for (int i = 0; i < 20; i++) {
            scope.empty(Shape.of(100_000));
        }
        assertTrue(device.allocatedBytes() >= 20 * 400_000);
        scope.close();
        scope.close();
        assertEquals(0, device.allocatedBytes());
    }

    @Test
    void useAfterClearOrCloseIsAnErrorAndNoCrash() {
        Scope scope = new Scope(device);
        Tensor old = scope.scalar(1);
        scope.clear();
        assertTrue(
                assertThrows(IllegalStateException.class, old::toFloatArray)
                        .getMessage()
                        .contains("[1]"));
        Tensor tensor = scope.scalar(1);
        assertThrows(IllegalStateException.class, () -> Ops.add(scope, old, tensor));
        scope.close();
        assertThrows(IllegalStateException.class, tensor::item);
        assertThrows(IllegalStateException.class, () -> scope.scalar(1));
        assertThrows(IllegalStateException.class, scope::clear);
        Device closed = TestDevice.open();
        closed.close();
        closed.close();
        try (Scope none = new Scope(closed)) {
            assertThrows(IllegalStateException.class, () -> none.scalar(1));
        }
    }

    @Test
    void wrongCountsAndShapesAreNamed() {
        try (Scope scope = new Scope(device)) {
            assertMessage(
                    "6 elements, the array or buffer 2", () -> scope.of(Shape.of(2, 3), 1, 2));
            assertMessage("[2, -1]", () -> Shape.of(2, -1));
            assertMessage("63 bits", () -> Shape.of(1L << 40, 1L << 40));
            assertMessage("63 bits", () -> Shape.of(0, 1L << 40, 1L << 40));
            assertMessage("63 bits", () -> scope.zeros(Shape.of((1L << 61) - 1)));
            assertMessage(
                    "cannot reshape [4] to [5]",
                    () -> scope.zeros(Shape.of(4)).reshape(Shape.of(5)));
            assertMessage("one element", () -> scope.zeros(Shape.of(4)).item());
            assertThrows(DeviceException.class, () -> scope.empty(Shape.of(1L << 50)));
            assertThrows(IllegalArgumentException.class, () -> device.threads(0));
        }
    }

    @Test
    void emptyTensorsOfHugeExtentsAreNothingToDo() {
        try (Scope scope = new Scope(device)) {
            Shape huge = Shape.of(1L << 20, 1 << 17, 0, 1); // the others below 2^38 elements
            Tensor none = scope.zeros(huge);
            assertEquals(0, Layout.toNchw(scope, none).shape().elements());
            assertEquals(huge, ShapeOps.upsampleBackward(scope, none, 1, 1).shape());
            assertMessage(
                    "63 bits",
                    () -> ShapeOps.upsample(scope, none, Integer.MAX_VALUE, Integer.MAX_VALUE));
            int many = 1 << 29;
            assertEquals(0, Layout.fromNchw(new float[0], many, many, 0, 1).length);
            Tensor rows = scope.zeros(Shape.of(1L << 40, 0));
            assertEquals(0, Posterior.packed(rows).meanToArray().length);
            assertMessage("no axis", () -> Ops.sumRows(scope, scope.zeros(Shape.of())));
        }
    }

    @Test
    void whatReachesTooFarIsRefusedBeforeTheLibrariesSeeIt() {
        int far = Integer.MAX_VALUE;
        ConvOps.Options plain = ConvOps.Options.plain();
        assertThrows(IllegalArgumentException.class, () -> plain.withStride(far, 1));
        assertThrows(IllegalArgumentException.class, () -> plain.withPadding(0, far));
        assertThrows(IllegalArgumentException.class, () -> plain.withDilation(1, 1 << 15));
        assertThrows(IllegalArgumentException.class, () -> PoolOps.Options.max(far));
        ConvOps.Options wide = plain.withDilation(1 << 14, 1);
        assertTrue(wide.outHeight(4, 1L << 60) < 1);
        try (Scope scope = new Scope(device)) {
            Tensor x = scope.zeros(Shape.of(1, 4, 4, 1));
            Shape weight = Shape.of(1, 1L << 59, 1, 1);
            assertMessage("does not fit", () -> ConvOps.weightGradient(scope, x, x, weight, wide));
        }
    }

    @Test
    void moreThreadsThanThereCanBeCountAsFewer() throws InterruptedException {
        Thread thread =
                new Thread( // the setting is the thread's own
                        () -> {
                            try (Device many = Device.cpu().threads(Integer.MAX_VALUE);
                                    Scope scope = new Scope(many)) {
                                Tensor ones = scope.filled(Shape.of(1 << 20), 1);
                                assertEquals(1 << 20, Ops.sum(scope, ones).item());
                            }
                        });
        Throwable[] failure = new Throwable[1];
        thread.setUncaughtExceptionHandler((t, e) -> failure[0] = e);
        thread.start();
        thread.join();
        assertNull(failure[0]);
    }

    @Test
    void tensorsOfTwoDevicesDoNotMix() {
        try (Device other = TestDevice.open();
                Scope here = new Scope(device);
                Scope there = new Scope(other)) {
            assertMessage("another device", () -> Ops.add(here, here.scalar(1), there.scalar(1)));
        }
    }

    private static void assertMessage(String part, Runnable action) {
        String message = assertThrows(ShapeException.class, action::run).getMessage();
        assertTrue(message.contains(part), message);
    }
}
