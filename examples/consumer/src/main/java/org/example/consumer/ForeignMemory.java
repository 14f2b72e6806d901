package org.example.consumer;

import java.lang.reflect.Field;
import org.jlatent.DType;
import org.jlatent.Device;
import org.jlatent.Ops;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import sun.misc.Unsafe;

/** Memory that some other native library owns, here malloc's, by its address. */
final class ForeignMemory {
    private ForeignMemory() {}

    static void run() {
        Unsafe memory = unsafe();
        long bytes = 3 * Float.BYTES;
        long address = memory.allocateMemory(bytes);
        try (Device device = Device.cpu();
                Scope scope = new Scope(device)) {
            for (int i = 0; i < 3; i++) {
                memory.putFloat(address + 4L * i, i);
            }
            // The last argument is kept alive with the tensor; nobody else holds this memory.
            Tensor x = Tensor.wrap(device, address, bytes, Shape.of(3), DType.F32, null);
            Main.check(Ops.add(scope, x, x).toFloatArray()[2] == 4, "2 + 2");
            x.copyFrom(5, 6, 7);
        }
        Main.check(memory.getFloat(address + 8) == 7, "the memory outlives the device, and has 7");
        memory.freeMemory(address);
        System.out.println("foreign memory: a tensor on an address");
    }

    private static Unsafe unsafe() {
        try {
            Field field = Unsafe.class.getDeclaredField("theUnsafe");
            field.setAccessible(true);
            return (Unsafe) field.get(null);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }
}
