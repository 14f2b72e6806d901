package org.jlatent;

import java.util.Arrays;

/** An f32 array on a device, contiguous and row-major, owned by a {@link Scope}. */
public final class Tensor {
    private final Scope scope;
    private final Shape shape;
    private final long address;
    private final int generation;

    Tensor(Scope scope, Shape shape, long address) {
        this.scope = scope;
        this.shape = shape;
        this.address = address;
        this.generation = scope.generation();
    }

    public Shape shape() {
        return shape;
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
        return new Tensor(scope, other, address);
    }

    /** The values, row-major. Waits for the device. */
    public float[] toFloatArray() {
        float[] values = new float[intElements()];
        copyTo(values);
        return values;
    }

    /** Writes the values into an array of just as many elements. Waits for the device. */
    public void copyTo(float[] destination) {
        checkCount(destination.length);
        device().backend().copyOut(address(), destination, 0, destination.length);
    }

    public void copyFrom(float... source) {
        checkCount(source.length);
        device().backend().copyIn(source, 0, address(), source.length);
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
                        ? " " + Arrays.toString(toFloatArray())
                        : "";
        return "Tensor" + shape + values;
    }
}
