package org.jlatent.spi;

import java.nio.ByteBuffer;

/** What a backend offers that can record work and replay it: CUDA, with its graphs. */
public interface Graphs {

    /**
     * Records what {@code work} queues on the backend's stream, and does none of it.
     *
     * <p>Copies between the device and {@linkplain #hostMemory page-locked memory} are done at
     * every replay; values copied to the device from anywhere else are constants of the graph.
     *
     * @throws org.jlatent.DeviceException if the work asks for memory, waits for the device or
     *     reads from it to the Java heap: none of that can be recorded. Nothing has been done then
     */
    Graph record(Runnable work);

    /** Page-locked memory in native byte order, which the device copies from and to by itself. */
    ByteBuffer hostMemory(int bytes);

    /** Returns what {@link #hostMemory} gave, when the device is done with it. */
    void free(ByteBuffer hostMemory);
}
