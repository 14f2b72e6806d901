package org.jlatent;

/**
 * One axis of a shape, which is then {@code [outer, extent, inner]}.
 *
 * @param index from the front
 */
record Axis(Shape shape, int index, long outer, long extent, long inner) {

    /**
     * @param axis negative axes count from the end
     * @throws ShapeException if the shape has no such axis
     */
    static Axis of(String operation, Shape shape, int axis) {
        int index = axis < 0 ? shape.rank() + axis : axis;
        if (index < 0 || index >= shape.rank()) {
            throw new ShapeException(operation + ": " + shape + " has no axis " + axis);
        }
        long outer = 1;
        long inner = 1;
        for (int i = 0; i < index; i++) {
            outer *= shape.get(i);
        }
        for (int i = index + 1; i < shape.rank(); i++) {
            inner *= shape.get(i);
        }
        return new Axis(shape, index, outer, shape.get(index), inner);
    }

    /** The shape with another extent along this axis. */
    Shape withExtent(long other) {
        long[] extents = shape.toArray();
        extents[index] = other;
        return Shape.of(extents);
    }

    /** The shape without this axis; {@code [1]} for a vector's. */
    Shape without() {
        if (shape.rank() == 1) {
            return Shape.of(1);
        }
        long[] extents = new long[shape.rank() - 1];
        for (int i = 0; i < extents.length; i++) {
            extents[i] = shape.get(i < index ? i : i + 1);
        }
        return Shape.of(extents);
    }
}
