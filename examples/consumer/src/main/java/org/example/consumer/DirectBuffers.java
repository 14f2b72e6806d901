package org.example.consumer;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.jlatent.Activation;
import org.jlatent.Device;
import org.jlatent.Ops;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tensor;

/** Direct buffers as tensors, without a copy. */
final class DirectBuffers {
    private DirectBuffers() {}

    static void run() {
        FloatBuffer buffer =
                ByteBuffer.allocateDirect(4 * Float.BYTES)
                        .order(ByteOrder.nativeOrder())
                        .asFloatBuffer();
        buffer.put(new float[] {1, 2, 3, 4}).rewind();
        try (Device device = Device.cpu();
                Scope scope = new Scope(device)) {
            long before = device.allocatedBytes();
            Tensor x = Tensor.wrap(device, buffer, Shape.of(2, 2));
            Main.check(device.allocatedBytes() == before, "wrapping allocates nothing");

            // The same memory: what the buffer is given the tensor has, and the other way round.
            buffer.put(0, 10);
            Tensor square = Ops.matmul(scope, x, false, x, false, null, Activation.IDENTITY);
            float[] product = square.toFloatArray(); // [10 2; 3 4] squared
            Main.check(product[0] == 106 && product[3] == 22, "the product sees the new value");
            Ops.fill(x, 7);
            Main.check(buffer.get(3) == 7, "the buffer sees what an operation wrote");

            square.copyTo(buffer); // a copy, into memory of one's own
            Main.check(buffer.get(0) == 106, "the copy");
        }
        System.out.println("buffers: a tensor on a buffer's own memory");
    }
}
