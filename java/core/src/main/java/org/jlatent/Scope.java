package org.jlatent;

import java.util.ArrayList;
import java.util.List;

/**
 * Owns tensors. Memory comes from chunks that are handed out front to back; {@link #clear} takes
 * all tensors back at once and keeps the memory, so that a loop that asks for the same shapes gets
 * the same addresses and allocates nothing.
 *
 * <p>Like its device, a scope belongs to one thread at a time. A cleared or closed scope's tensors
 * throw {@link IllegalStateException} when used, and so does a closed scope. Close scopes before
 * their device; {@code -Djlatent.leaks=true} logs those that were forgotten, with the place where
 * they were opened.
 */
public final class Scope implements AutoCloseable {
    private static final long ALIGNMENT = 256;
    private static final long SMALLEST_CHUNK = 64 * 1024;

    private record Chunk(long address, long bytes) {}

    private final Device device;
    private final Leaks.Ticket ticket;
    private final List<Chunk> chunks = new ArrayList<>();
    private final List<Object> held = new ArrayList<>(); // owners of wrapped memory in use here
    private long used; // bytes of the last chunk
    private int generation;
    private boolean closed;

    /** A scope that holds nothing yet. */
    public Scope(Device device) {
        this.device = device;
        this.ticket = Leaks.opened(this, "a scope on " + device);
    }

    /** Where its tensors are. */
    public Device device() {
        return device;
    }

    /**
     * An uninitialised f32 tensor.
     *
     * @throws DeviceException if the device's memory does not suffice
     */
    public Tensor empty(Shape shape) {
        return empty(shape, DType.F32);
    }

    /**
     * An uninitialised tensor.
     *
     * @throws DeviceException if the device's memory does not suffice
     */
    public Tensor empty(Shape shape, DType dtype) {
        return new Tensor(this, shape, dtype, allocate(shape.elements() * dtype.bytes()));
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
        return filled(Shape.of(1), value);
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

    /** Keeps an object alive until the scope is cleared or closed. */
    void hold(Object object) {
        held.add(object);
    }

    /** Takes every tensor back; the memory stays, as one chunk. */
    public void clear() {
        checkOpen();
        generation++;
        used = 0;
        held.clear();
        if (chunks.size() > 1) {
            long total = bytes();
            release();
            grow(total);
        }
    }

    private void grow(long size) {
        long bytes = Math.max(size, Math.max(SMALLEST_CHUNK, bytes()));
        chunks.add(new Chunk(device.allocate(bytes), bytes));
        used = 0;
    }

    private long bytes() {
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

    /** Returns all memory to the device; the tensors are gone. Closing twice is harmless. */
    @Override
    public void close() {
        if (!closed) {
            release();
            held.clear();
            ticket.closed();
            closed = true;
        }
    }
}
