package org.jlatent;

import java.lang.ref.Reference;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.function.LongConsumer;
import org.jlatent.internal.CpuBackend;

/**
 * An array on a device, contiguous and row-major. Its memory is owned by a {@link Scope}, or, for
 * one made by {@link #wrap(Device, long, long, Shape, DType, Object) wrap}, by somebody else.
 *
 * <p>Tensors are compared by identity. Not thread-safe: like its device, a tensor belongs to one
 * thread at a time.
 */
public final class Tensor {
    private final Device device;
    private final Scope scope; // null: the memory is somebody else's
    private final Shape shape;
    private final DType dtype;
    private final long address;
    private final int generation;
    private final Object keepAlive;

    Tensor(Scope scope, Shape shape, DType dtype, long address) {
        this(scope.device(), scope, shape, dtype, address, scope.generation(), null);
    }

    private Tensor(
            Device device,
            Scope scope,
            Shape shape,
            DType dtype,
            long address,
            int generation,
            Object keepAlive) {
        this.device = device;
        this.scope = scope;
        this.shape = shape;
        this.dtype = dtype;
        this.address = address;
        this.generation = generation;
        this.keepAlive = keepAlive;
    }

    /**
     * A tensor on memory that is somebody else's: nothing is copied, and nothing is ever freed.
     * Operations read and write that memory.
     *
     * <p>Unsafe: nobody can check that the memory is there, is the device's (host memory for the
     * CPU, device memory of the current context for CUDA), and stays until the tensor and all work
     * queued with it are done. A wrong address ends the process.
     *
     * @param address of the first element; a multiple of the element's size
     * @param bytes of memory there, at least what the shape takes
     * @param keepAlive held as long as the tensor, and as long as scopes that operations with it
     *     allocated in are neither cleared nor closed; may be null
     * @throws ShapeException if the memory is smaller than the shape
     * @throws IllegalArgumentException if the address is 0 or not aligned
     * @throws IllegalStateException if the device is closed
     */
    public static Tensor wrap(
            Device device, long address, long bytes, Shape shape, DType dtype, Object keepAlive) {
        device.backend();
        long needed = bytes(shape, dtype);
        if (bytes < needed) {
            throw new ShapeException(
                    "a tensor "
                            + shape
                            + " of "
                            + dtype
                            + " takes "
                            + needed
                            + " bytes, the memory to wrap has "
                            + bytes);
        }
        if (address == 0 && needed > 0) {
            throw new IllegalArgumentException("cannot wrap address 0 as a tensor " + shape);
        }
        if (address % dtype.bytes() != 0) {
            throw new IllegalArgumentException(
                    "address 0x"
                            + Long.toHexString(address)
                            + " is not a multiple of "
                            + dtype.bytes()
                            + ", as "
                            + dtype
                            + " values need");
        }
        return new Tensor(device, null, shape, dtype, address, 0, keepAlive);
    }

    /**
     * An f32 tensor on the memory of a buffer, from its position on, without a copy. The tensor
     * keeps the buffer alive; writes on one side are seen on the other.
     *
     * @param buffer direct, writable, in native byte order
     * @throws DeviceException unless the device is the CPU
     * @throws ShapeException if fewer values remain in the buffer than the shape has
     * @throws IllegalArgumentException for any other buffer
     */
    public static Tensor wrap(Device device, FloatBuffer buffer, Shape shape) {
        return wrap(device, buffer, buffer.order(), Float.BYTES, shape, DType.F32);
    }

    /**
     * A tensor of any type on the memory of a buffer, from its position on, without a copy; as
     * {@link #wrap(Device, FloatBuffer, Shape)}.
     *
     * @param buffer direct, writable, in native byte order; its position aligned for the type
     * @throws DeviceException unless the device is the CPU
     * @throws ShapeException if fewer bytes remain in the buffer than the shape takes
     * @throws IllegalArgumentException for any other buffer
     */
    public static Tensor wrap(Device device, ByteBuffer buffer, Shape shape, DType dtype) {
        return wrap(device, buffer, buffer.order(), 1, shape, dtype);
    }

    private static Tensor wrap(
            Device device, Buffer buffer, ByteOrder order, int unit, Shape shape, DType dtype) {
        if (!(device.backend() instanceof CpuBackend)) {
            throw new DeviceException(
                    "a buffer cannot be wrapped on " + device + ": copy it with copyFrom");
        }
        DirectBuffers.require("wrap", buffer, order);
        if (buffer.isReadOnly()) {
            throw new IllegalArgumentException("wrap needs a buffer that can be written");
        }
        long bytes = (long) buffer.remaining() * unit;
        return wrap(device, DirectBuffers.addressOf(buffer, unit), bytes, shape, dtype, buffer);
    }

    private static long bytes(Shape shape, DType dtype) {
        return shape.elements() * dtype.bytes();
    }

    /** The extents, row-major; images are NHWC. */
    public Shape shape() {
        return shape;
    }

    /** The type of the elements. */
    public DType dtype() {
        return dtype;
    }

    /** Bytes of memory: elements times the size of one. */
    public long bytes() {
        return bytes(shape, dtype);
    }

    /** Where the memory is. */
    public Device device() {
        return device;
    }

    /** What must stay as long as work on this tensor may be queued; null for a scope's own. */
    Object keepAlive() {
        return keepAlive;
    }

    private boolean isCurrent() {
        return scope == null || scope.isCurrent(generation);
    }

    /**
     * Address in the device's memory, valid as long as the tensor.
     *
     * @throws IllegalStateException if the scope was cleared or closed since
     */
    public long address() {
        if (!isCurrent()) {
            throw new IllegalStateException(
                    "tensor " + shape + " is used after its scope was cleared or closed");
        }
        return address;
    }

    /**
     * The same memory under another shape.
     *
     * @throws ShapeException unless it has as many elements
     * @throws IllegalStateException if the scope was cleared or closed since
     */
    public Tensor reshape(Shape other) {
        if (other.elements() != shape.elements()) {
            throw new ShapeException("cannot reshape " + shape + " to " + other);
        }
        address();
        return new Tensor(device, scope, other, dtype, address, generation, keepAlive);
    }

    /**
     * The values, row-major. Waits for the device.
     *
     * @throws ShapeException for integers: use {@link #toIntArray}
     */
    public float[] toFloatArray() {
        float[] values = new float[intElements()];
        copyTo(values);
        return values;
    }

    /**
     * Writes the values into an array of just as many elements. Waits for the device.
     *
     * @throws ShapeException for integers: use {@link #toIntArray}; or if the array has more or
     *     fewer elements
     */
    public void copyTo(float[] destination) {
        checkCount(destination.length);
        if (dtype == DType.F32) {
            use(a -> device.backend().copyOut(a, destination, 0, destination.length));
            return;
        }
        checkType(DType.BF16);
        ByteBuffer raw = read();
        for (int i = 0; i < destination.length; i++) {
            destination[i] = DType.bf16ToFloat(raw.getShort(i * Short.BYTES));
        }
    }

    /**
     * Overwrites all values; a bf16 tensor takes the nearest it can hold.
     *
     * @throws ShapeException for integers, or if there are more or fewer values than elements
     */
    public void copyFrom(float... source) {
        checkCount(source.length);
        if (dtype == DType.F32) {
            use(a -> device.backend().copyIn(source, 0, a, source.length));
            return;
        }
        checkType(DType.BF16);
        byte[] bytes = new byte[byteCount()];
        ByteBuffer raw = littleEndian(bytes);
        for (int i = 0; i < source.length; i++) {
            raw.putShort(i * Short.BYTES, DType.floatToBf16(source[i]));
        }
        write(bytes);
    }

    /**
     * Writes the values of an f32 tensor into a buffer, from its position to its limit; both stay.
     * Waits for the device.
     *
     * @param destination direct, writable, in native byte order
     * @throws ShapeException for another type, or unless as many values remain in the buffer
     * @throws IllegalArgumentException for any other buffer
     */
    public void copyTo(FloatBuffer destination) {
        checkBuffer("copyTo", destination);
        if (destination.isReadOnly()) {
            throw new IllegalArgumentException("copyTo needs a buffer that can be written");
        }
        try {
            long to = DirectBuffers.addressOf(destination, Float.BYTES);
            use(a -> device.backend().copyOut(a, to, bytes()));
        } finally {
            Reference.reachabilityFence(destination);
        }
    }

    /**
     * Overwrites all values of an f32 tensor with those of a buffer, from its position to its
     * limit; both stay.
     *
     * @param source direct, in native byte order
     * @throws ShapeException for another type, or unless as many values remain in the buffer
     * @throws IllegalArgumentException for any other buffer
     */
    public void copyFrom(FloatBuffer source) {
        checkBuffer("copyFrom", source);
        try {
            long from = DirectBuffers.addressOf(source, Float.BYTES);
            use(a -> device.backend().copyIn(from, a, bytes()));
        } finally {
            Reference.reachabilityFence(source);
        }
    }

    private void checkBuffer(String operation, FloatBuffer buffer) {
        checkType(DType.F32);
        DirectBuffers.require(operation, buffer, buffer.order());
        checkCount(buffer.remaining());
    }

    /**
     * The values of an i32 tensor. Waits for the device.
     *
     * @throws ShapeException for another type
     */
    public int[] toIntArray() {
        checkType(DType.I32);
        int[] values = new int[intElements()];
        read().asIntBuffer().get(values);
        return values;
    }

    /**
     * Overwrites all values of an i32 tensor.
     *
     * @throws ShapeException for another type, or if there are more or fewer values than elements
     */
    public void copyFrom(int[] source) {
        checkType(DType.I32);
        checkCount(source.length);
        byte[] bytes = new byte[byteCount()];
        littleEndian(bytes).asIntBuffer().put(source);
        write(bytes);
    }

    private ByteBuffer read() {
        byte[] bytes = new byte[byteCount()];
        use(a -> device.backend().copyOut(a, bytes));
        return littleEndian(bytes);
    }

    private void write(byte[] bytes) {
        use(a -> device.backend().copyIn(bytes, a));
    }

    /** Hands over the address; wrapped memory stays meanwhile, whoever else lets go of it. */
    void use(LongConsumer work) {
        try {
            work.accept(address());
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    private int byteCount() {
        return Math.multiplyExact(intElements(), dtype.bytes());
    }

    private static ByteBuffer littleEndian(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private void checkType(DType wanted) {
        if (dtype != wanted) {
            throw new ShapeException(
                    "tensor " + shape + " holds " + dtype + " values, " + wanted + " is needed");
        }
    }

    /**
     * The value of a tensor of one element. Waits for the device.
     *
     * @throws ShapeException unless it has one element
     */
    public float item() {
        if (shape.elements() != 1) {
            throw new ShapeException("item() needs one element, this tensor is " + shape);
        }
        return toFloatArray()[0];
    }

    private void checkCount(int count) {
        if (count != shape.elements()) {
            throw new ShapeException(
                    "tensor "
                            + shape
                            + " has "
                            + shape.elements()
                            + " elements, the array or buffer "
                            + count);
        }
    }

    private int intElements() {
        if (shape.elements() > Integer.MAX_VALUE) {
            throw new ShapeException(
                    "tensor " + shape + " has more elements than a Java array can hold");
        }
        return (int) shape.elements();
    }

    @Override
    public String toString() {
        String values =
                shape.elements() <= 16 && isCurrent()
                        ? " "
                                + (dtype == DType.I32
                                        ? Arrays.toString(toIntArray())
                                        : Arrays.toString(toFloatArray()))
                        : "";
        return "Tensor" + shape + (dtype == DType.F32 ? "" : " " + dtype) + values;
    }
}
