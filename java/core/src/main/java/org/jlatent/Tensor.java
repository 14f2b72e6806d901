package org.jlatent;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/** An array on a device, contiguous and row-major, owned by a {@link Scope}. */
public final class Tensor {
    private final Scope scope;
    private final Shape shape;
    private final DType dtype;
    private final long address;
    private final int generation;

    Tensor(Scope scope, Shape shape, DType dtype, long address) {
        this.scope = scope;
        this.shape = shape;
        this.dtype = dtype;
        this.address = address;
        this.generation = scope.generation();
    }

    public Shape shape() {
        return shape;
    }

    public DType dtype() {
        return dtype;
    }

    /** Bytes of memory: elements times the size of one. */
    public long bytes() {
        return shape.elements() * dtype.bytes();
    }

    public Device device() {
        return scope.device();
    }

    /**
     * Address in the device's memory, valid as long as the tensor.
     *
     * @throws IllegalStateException if the scope was cleared or closed since
     */
    public long address() {
        if (!scope.isCurrent(generation)) {
            throw new IllegalStateException(
                    "tensor " + shape + " is used after its scope was cleared or closed");
        }
        return address;
    }

    /** The same memory under another shape of as many elements. */
    public Tensor reshape(Shape other) {
        if (other.elements() != shape.elements()) {
            throw new ShapeException("cannot reshape " + shape + " to " + other);
        }
        address();
        return new Tensor(scope, other, dtype, address);
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
     * @throws ShapeException for integers: use {@link #toIntArray}
     */
    public void copyTo(float[] destination) {
        checkCount(destination.length);
        if (dtype == DType.F32) {
            device().backend().copyOut(address(), destination, 0, destination.length);
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
            device().backend().copyIn(source, 0, address(), source.length);
            return;
        }
        checkType(DType.BF16);
        byte[] bytes = new byte[byteCount()];
        ByteBuffer raw = littleEndian(bytes);
        for (int i = 0; i < source.length; i++) {
            raw.putShort(i * Short.BYTES, DType.floatToBf16(source[i]));
        }
        device().backend().copyIn(bytes, address());
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
        device().backend().copyIn(bytes, address());
    }

    private ByteBuffer read() {
        byte[] bytes = new byte[byteCount()];
        device().backend().copyOut(address(), bytes);
        return littleEndian(bytes);
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

    /** The value of a tensor of one element. Waits for the device. */
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
                            + " elements, the array "
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
                shape.elements() <= 16 && scope.isCurrent(generation)
                        ? " "
                                + (dtype == DType.I32
                                        ? Arrays.toString(toIntArray())
                                        : Arrays.toString(toFloatArray()))
                        : "";
        return "Tensor" + shape + (dtype == DType.F32 ? "" : " " + dtype) + values;
    }
}
