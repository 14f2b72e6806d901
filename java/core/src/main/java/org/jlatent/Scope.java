package org.jlatent;

import java.util.ArrayList;
import java.util.List;

/**
 * Owns tensors. Memory comes from chunks that are handed out front to back; {@link #clear} takes
 * all tensors back at once and keeps the memory, so that a loop that asks for the same shapes gets
 * the same addresses and allocates nothing.
 *
 * <p>Not thread-safe. Tensors of a cleared or closed scope throw {@link IllegalStateException} when
 * used.
 */
public final class Scope implements AutoCloseable {
    private static final long ALIGNMENT = 256;
    private static final long SMALLEST_CHUNK = 64 * 1024;

    private record Chunk(long address, long bytes) {}

    private final Device device;
    private final List<Chunk> chunks = new ArrayList<>();
    private long used; // bytes of the last chunk
    private int generation;
    private boolean closed;

    public Scope(Device device) {
        this.device = device;
    }

    public Device device() {
        return device;
    }

    /** An uninitialised f32 tensor. */
    public Tensor empty(Shape shape) {
        return empty(shape, DType.F32);
    }

    /** An uninitialised tensor. */
    public Tensor empty(Shape shape, DType dtype) {
        long bytes = Math.multiplyExact(shape.elements(), (long) dtype.bytes());
        return new Tensor(this, shape, dtype, allocate(bytes));
    }

    /** An f32 tensor of zeros. */
    public Tensor zeros(Shape shape) {
        return filled(shape, 0.0f);
    }

    /** An f32 tensor whose every element is {@code value}. */
    public Tensor filled(Shape shape, float value) {
        Tensor tensor = empty(shape);
        Ops.fill(tensor, value);
        return tensor;
    }

    /**
     * A copy of {@code values} as an f32 tensor.
     *
     * @throws ShapeException if the number of values is not the shape's
     */
    public Tensor of(Shape shape, float... values) {
        Tensor tensor = empty(shape);
        tensor.copyFrom(values);
        return tensor;
    }

    /**
     * A copy of {@code values} as an i32 tensor.
     *
     * @throws ShapeException if the number of values is not the shape's
     */
    public Tensor ofInts(Shape shape, int... values) {
        Tensor tensor = empty(shape, DType.I32);
        tensor.copyFrom(values);
        return tensor;
    }

    /** A scalar: shape {@code [1]}. */
    public Tensor scalar(float value) {
        return of(Shape.of(1), value);
    }

    /** Raw memory of this scope, 256-byte aligned; goes when the scope is cleared or closed. */
    long allocate(long bytes) {
        checkOpen();
        long size = Math.max(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
        if (chunks.isEmpty() || used + size > last().bytes) {
            grow(size);
        }
        long address = last().address + used;
        used += size;
        return address;
    }

    /** Takes every tensor back; the memory stays, as one chunk. */
    public void clear() {
        checkOpen();
        generation++;
        used = 0;
        if (chunks.size() > 1) {
            long total = held();
            release();
            grow(total);
        }
    }

    private void grow(long size) {
        long bytes = Math.max(size, Math.max(SMALLEST_CHUNK, held()));
        chunks.add(new Chunk(device.allocate(bytes), bytes));
        used = 0;
    }

    private long held() {
        return chunks.stream().mapToLong(Chunk::bytes).sum();
    }

    private Chunk last() {
        return chunks.get(chunks.size() - 1);
    }

    private void release() {
        for (Chunk chunk : chunks) {
            device.free(chunk.address, chunk.bytes);
        }
        chunks.clear();
        used = 0;
    }

    int generation() {
        return generation;
    }

    boolean isCurrent(int tensorGeneration) {
        return !closed && tensorGeneration == generation;
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException("the scope is closed");
        }
    }

    @Override
    public void close() {
        if (!closed) {
            release();
            closed = true;
        }
    }
}
