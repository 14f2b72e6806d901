package org.jlatent.spi;

/**
 * Work of a backend, recorded once: {@link #replay} queues all of it at once, for little more than
 * the cost of a single launch. It uses the memory that it was recorded with, whatever else that
 * serves by now.
 */
public interface Graph extends AutoCloseable {

    /** Queues the work again. */
    void replay();

    /**
     * Waits for the last {@link #replay}, and for nothing queued after it.
     *
     * @throws org.jlatent.DeviceException if the work has failed
     */
    void await();

    /**
     * Whether {@link #replay} may be called: false once the backend's scratch memory has moved,
     * which work recorded before still uses.
     */
    boolean isCurrent();

    /** Waits for the last {@link #replay}. */
    @Override
    void close();
}
