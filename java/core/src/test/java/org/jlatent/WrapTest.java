package org.jlatent;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.ref.WeakReference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.List;
import org.jlatent.nn.Init;
import org.jlatent.nn.Linear;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

final class WrapTest {
    private final Device device = Device.cpu();
    private final Scope scope = new Scope(device);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    private static FloatBuffer direct(float... values) {
        return ByteBuffer.allocateDirect(values.length * Float.BYTES)
                .order(ByteOrder.nativeOrder())
                .asFloatBuffer()
                .put(values)
                .rewind();
    }

    private static float[] values(FloatBuffer buffer) {
        float[] values = new float[buffer.remaining()];
        buffer.duplicate().get(values);
        return values;
    }

    @Test
    void aWrappedBufferIsTheSameMemory() {
        FloatBuffer buffer = direct(1, 2, 3, 4, 5, 6);
        Tensor t = Tensor.wrap(device, buffer, Shape.of(2, 3));
        long allocated = device.allocatedBytes();
        assertArrayEquals(new float[] {1, 2, 3, 4, 5, 6}, t.toFloatArray());
        buffer.put(0, 10);
        assertEquals(10, t.toFloatArray()[0]);
        Ops.fill(t.reshape(Shape.of(6)), 7);
        assertArrayEquals(new float[] {7, 7, 7, 7, 7, 7}, values(buffer));
        t.copyFrom(1, 2, 3, 4, 5, 6);
        assertEquals(6, buffer.get(5));
        assertEquals(allocated, device.allocatedBytes());
        scope.clear();
        assertEquals("Tensor[2, 3] [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]", t.toString());
    }

    @Test
    void aBufferIsTakenFromItsPositionOn() {
        FloatBuffer buffer = direct(1, 2, 3, 4).position(1);
        assertArrayEquals(
                new float[] {2, 3}, Tensor.wrap(device, buffer, Shape.of(2)).toFloatArray());
        assertEquals(3, Tensor.wrap(device, buffer.slice().position(1), Shape.of(1)).item());
        ByteBuffer bytes = ByteBuffer.allocateDirect(12).order(ByteOrder.nativeOrder());
        bytes.putInt(4, 5).putInt(8, 6).position(4);
        assertArrayEquals(
                new int[] {5, 6}, Tensor.wrap(device, bytes, Shape.of(2), DType.I32).toIntArray());
        assertEquals(0, Tensor.wrap(device, direct(), Shape.of(0)).toFloatArray().length);
    }

    @Test
    void operationsAndTheTapeTakeWrappedTensors() {
        Tensor mine = scope.of(Shape.of(2, 3), 1, 2, 3, 4, 5, 6);
        FloatBuffer gradient = direct(new float[6]);
        Linear linear = new Linear(new Init(scope, 1), 3, 1);
        float[][] results = new float[2][];
        List<Tensor> inputs =
                List.of(mine, Tensor.wrap(device, direct(1, 2, 3, 4, 5, 6), Shape.of(2, 3)));
        for (int i = 0; i < 2; i++) {
            Tape tape = new Tape(scope);
            tape.watch(inputs.get(i));
            Tensor y = linear.forward(tape, inputs.get(i));
            Tensor ones = scope.filled(Shape.of(1, 2), 1);
            Tensor loss = Ops.matmul(scope, ones, false, y, false, null, Activation.IDENTITY);
            tape.record("sum", y, loss, d -> scope.filled(y.shape(), d.item()));
            tape.backward(loss);
            tape.gradient(inputs.get(i)).copyTo(gradient);
            results[i] = values(gradient);
        }
        assertArrayEquals(results[0], results[1]);
        assertTrue(results[0][0] != 0);
    }

    @Test
    void foreignMemoryIsWrappedAsItIs() {
        Tensor owner = scope.of(Shape.of(4), 1, 2, 3, 4);
        Tensor t = Tensor.wrap(device, owner.address() + 4, 12, Shape.of(3), DType.F32, owner);
        assertArrayEquals(new float[] {2, 3, 4}, t.toFloatArray());
        Tensor sum = Ops.add(scope, t, t);
        assertArrayEquals(new float[] {4, 6, 8}, sum.toFloatArray());
        assertMessage(
                ShapeException.class,
                "[4] of F32 takes 16 bytes, the memory to wrap has 12",
                () -> Tensor.wrap(device, owner.address(), 12, Shape.of(4), DType.F32, null));
        assertMessage(
                IllegalArgumentException.class,
                "cannot wrap address 0",
                () -> Tensor.wrap(device, 0, 12, Shape.of(3), DType.F32, null));
        assertMessage(
                IllegalArgumentException.class,
                "not a multiple of 4",
                () -> Tensor.wrap(device, owner.address() + 2, 12, Shape.of(3), DType.F32, null));
        Device closed = Device.cpu();
        closed.close();
        assertThrows(
                IllegalStateException.class,
                () -> Tensor.wrap(closed, owner.address(), 12, Shape.of(3), DType.F32, null));
    }

    /** Nothing but a scope refers to the buffer while an operation's results are in use. */
    @Test
    void scopesKeepWhatOperationsWorkOn() throws InterruptedException {
        Object owner = new Object();
        WeakReference<Object> reference = new WeakReference<>(owner);
        Tensor mine = scope.scalar(1);
        Ops.add(scope, Tensor.wrap(device, mine.address(), 4, Shape.of(1), DType.F32, owner), mine);
        owner = null;
        System.gc();
        assertNotNull(reference.get());
        scope.clear();
        for (int i = 0; i < 100 && reference.get() != null; i++) {
            System.gc();
            Thread.sleep(10);
        }
        assertEquals(null, reference.get());
    }

    @Test
    void onlyUsableBuffersAreTaken() {
        Shape three = Shape.of(3);
        assertMessage(
                ShapeException.class,
                "takes 12 bytes, the memory to wrap has 8",
                () -> Tensor.wrap(device, direct(1, 2), three));
        assertMessage(
                IllegalArgumentException.class,
                "direct buffer in native byte order, got a heap one",
                () -> Tensor.wrap(device, FloatBuffer.allocate(3), three));
        assertMessage(
                IllegalArgumentException.class,
                "got a direct one in BIG_ENDIAN",
                () -> Tensor.wrap(device, ByteBuffer.allocateDirect(12).asFloatBuffer(), three));
        assertMessage(
                IllegalArgumentException.class,
                "can be written",
                () -> Tensor.wrap(device, direct(1, 2, 3).asReadOnlyBuffer(), three));
        Tensor t = scope.zeros(three);
        assertMessage(
                IllegalArgumentException.class,
                "copyTo needs a direct buffer",
                () -> t.copyTo(FloatBuffer.allocate(3)));
        assertMessage(
                IllegalArgumentException.class,
                "can be written",
                () -> t.copyTo(direct(1, 2, 3).asReadOnlyBuffer()));
        assertMessage(ShapeException.class, "buffer 2", () -> t.copyFrom(direct(1, 2)));
        assertMessage(
                ShapeException.class,
                "I32",
                () -> scope.ofInts(three, 1, 2, 3).copyTo(direct(1, 2, 3)));
    }

    @Test
    void valuesAreCopiedToAndFromBuffers() {
        Tensor t = scope.zeros(Shape.of(2));
        FloatBuffer buffer = direct(1, 2, 3, 4).position(1).limit(3);
        t.copyFrom(buffer.asReadOnlyBuffer());
        assertArrayEquals(new float[] {2, 3}, t.toFloatArray());
        t.copyFrom(8, 9);
        t.copyTo(buffer);
        assertEquals(1, buffer.position());
        assertArrayEquals(new float[] {1, 8, 9, 4}, values(buffer.clear()));
    }

    @Test
    void layoutsAreSwappedBothWays() {
        float[] nchw = new float[2 * 3 * 2 * 2];
        float[] nhwc = new float[nchw.length];
        for (int n = 0; n < 2; n++) {
            for (int c = 0; c < 3; c++) {
                for (int y = 0; y < 2; y++) {
                    for (int x = 0; x < 2; x++) {
                        float value = 1000 * n + 100 * c + 10 * y + x;
                        nchw[((n * 3 + c) * 2 + y) * 2 + x] = value;
                        nhwc[((n * 2 + y) * 2 + x) * 3 + c] = value;
                    }
                }
            }
        }
        assertArrayEquals(nhwc, Layout.fromNchw(nchw, 2, 3, 2, 2));
        assertArrayEquals(nchw, Layout.toNchw(nhwc, 2, 3, 2, 2));
        Tensor images = Layout.fromNchw(scope, scope.of(Shape.of(2, 3, 2, 2), nchw));
        assertEquals(Shape.of(2, 2, 2, 3), images.shape());
        assertArrayEquals(nhwc, images.toFloatArray());
        assertArrayEquals(nchw, Layout.toNchw(scope, images).toFloatArray());
        assertMessage(
                ShapeException.class,
                "2 images of 3 channels, 2 x 2, are 24 values, got 23",
                () -> Layout.fromNchw(new float[23], 2, 3, 2, 2));
        assertMessage(
                ShapeException.class,
                "four extents, got F32 [2]",
                () -> Layout.toNchw(scope, scope.zeros(Shape.of(2))));
    }

    private static void assertMessage(
            Class<? extends RuntimeException> type, String part, Runnable action) {
        String message = assertThrows(type, action::run).getMessage();
        assertTrue(message.contains(part), message);
    }
}
