package org.jlatent;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.jlatent.internal.Kernels;

/**
 * The random state of a model on a device: noise is a pure function of (seed, step, site, element),
 * so a step can be repeated and its backward pass asks for the same noise again. The step lives in
 * device memory. Like all tensors, the state belongs to the thread of its device.
 */
public final class Random {
    private final Tensor state; // a jl_random: u64 seed, u32 step, u32 reserved

    /**
     * @param scope owns the state
     */
    public Random(Scope scope, long seed) {
        state = scope.empty(Shape.of(4));
        set(seed, 0);
    }

    /** Starts over from a seed and a step. */
    public void set(long seed, int step) {
        ByteBuffer bytes = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putLong(seed).putInt(step).putInt(0);
        state.device().backend().copyIn(bytes.array(), state.address());
    }

    /** The seed. Waits for the device. */
    public long seed() {
        return read().getLong(0);
    }

    /** Steps {@link #advance}d by. Waits for the device. */
    public int step() {
        return read().getInt(8);
    }

    private ByteBuffer read() {
        byte[] bytes = new byte[16];
        state.device().backend().copyOut(state.address(), bytes);
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** New noise from here on. */
    public void advance() {
        Kernels.randomAdvance(state.device().backend(), state.address());
    }

    Tensor state() {
        return state;
    }
}
