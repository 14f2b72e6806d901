package org.jlatent;

import java.util.Arrays;
import java.util.stream.Collectors;

/** The extents of a tensor, row-major; images are NHWC. Immutable. */
public final class Shape {
    private static final long MOST = 1L << 60; // so that bytes and their rounding fit in 63 bits

    private final long[] extents;

    private Shape(long[] extents) {
        this.extents = extents;
    }

    /**
     * A shape of these extents, each at least 0; none at all: a scalar.
     *
     * @throws ShapeException if an extent is negative, or the product of those that are not 0 is
     *     above 2^60: no product of some of them overflows then, nor do the bytes
     */
    public static Shape of(long... extents) {
        Shape shape = new Shape(extents.clone());
        long elements = 1;
        for (long extent : extents) {
            if (extent < 0) {
                throw new ShapeException("negative extent in shape " + shape);
            }
            if (extent > MOST / elements) {
                throw new ShapeException(
                        "shape " + shape + " takes more bytes than fit in 63 bits");
            }
            elements *= Math.max(extent, 1);
        }
        return shape;
    }

    /**
     * The product of two extents.
     *
     * @throws ShapeException if it overflows
     */
    static long product(long a, long b) {
        try {
            return Math.multiplyExact(a, b);
        } catch (ArithmeticException e) {
            throw new ShapeException("an extent of " + a + " x " + b + " does not fit in 63 bits");
        }
    }

    /** How many extents there are. */
    public int rank() {
        return extents.length;
    }

    /**
     * Extent of an axis; negative axes count from the end.
     *
     * @throws IndexOutOfBoundsException if there is no such axis
     */
    public long get(int axis) {
        return extents[axis < 0 ? extents.length + axis : axis];
    }

    /** Product of all extents; 1 without any. */
    public long elements() {
        long elements = 1;
        for (long extent : extents) {
            elements *= extent;
        }
        return elements;
    }

    /** Product of all extents but the last: the tensor as a matrix has this many rows. */
    public long rows() {
        return rank() == 0 || get(-1) == 0 ? 1 : elements() / get(-1);
    }

    /** The shape with one more extent, at the end. */
    public Shape withLast(long extent) {
        long[] more = Arrays.copyOf(extents, extents.length + 1);
        more[extents.length] = extent;
        return of(more);
    }

    /**
     * The shape without its last extent.
     *
     * @throws ShapeException if there is none
     */
    public Shape withoutLast() {
        if (rank() == 0) {
            throw new ShapeException("a scalar's shape has no last extent");
        }
        return of(Arrays.copyOf(extents, extents.length - 1));
    }

    /** The extents, as a copy. */
    public long[] toArray() {
        return extents.clone();
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Shape s && Arrays.equals(extents, s.extents);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(extents);
    }

    @Override
    public String toString() {
        return Arrays.stream(extents)
                .mapToObj(Long::toString)
                .collect(Collectors.joining(", ", "[", "]"));
    }
}
