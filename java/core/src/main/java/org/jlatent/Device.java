package org.jlatent;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.Optional;
import java.util.ServiceLoader;
import org.jlatent.internal.CpuBackend;
import org.jlatent.spi.Backend;
import org.jlatent.spi.BackendProvider;

/**
 * A place where tensors live and operations run. Open one, share it, close it last.
 *
 * <p>A device and everything made from it (scopes, tensors, tapes, modules, optimizers) belong to
 * one thread at a time: a thread may take them over from another when that one is done with them,
 * by any means that orders the two, such as {@code Thread.join} or a queue. Devices are independent
 * of each other: give each thread one of its own, they cost next to nothing.
 *
 * <p>However many threads use the CPU, the native threads that work for them stay few: four threads
 * of the program at a time have helpers of their own, all others share one set and take turns.
 * Results do not depend on it. With {@link #threads threads(1)} a thread works alone and never
 * waits for others.
 */
public final class Device implements AutoCloseable {
    private static final Logger LOG = System.getLogger(Device.class.getName());

    private final Backend backend;
    private final String kind;
    private final Leaks.Ticket ticket;
    private long allocatedBytes;
    private long allocations;
    private boolean closed;

    private Device(String kind, Backend backend) {
        this.kind = kind;
        this.backend = backend;
        this.ticket = Leaks.opened(this, "device " + kind);
    }

    /** The CPU, with the widest vector instructions that it has. */
    public static Device cpu() {
        return new Device("cpu", new CpuBackend());
    }

    /**
     * A CUDA GPU; never falls back to anything else.
     *
     * @throws DeviceException with the cause when there is none that can be used
     */
    public static Device cuda() {
        BackendProvider provider =
                provider("cuda")
                        .orElseThrow(
                                () ->
                                        new DeviceException(
                                                "CUDA is not available: the jlatent-cuda module is not on the class path"));
        provider.unavailabilityCause()
                .ifPresent(
                        cause -> {
                            throw new DeviceException("CUDA is not available: " + cause);
                        });
        return new Device("cuda", provider.open());
    }

    /** CUDA where it is available, else the CPU; which one and why is logged. */
    public static Device best() {
        Optional<BackendProvider> cuda = provider("cuda");
        Optional<String> cause =
                cuda.isEmpty()
                        ? Optional.of("the jlatent-cuda module is not on the class path")
                        : cuda.get().unavailabilityCause();
        if (cause.isEmpty()) {
            return cuda();
        }
        LOG.log(Level.INFO, "using the CPU; CUDA is not available: {0}", cause.get());
        return cpu();
    }

    /** A device on a backend of one's own; closing it closes the backend. */
    public static Device of(String kind, Backend backend) {
        return new Device(kind, backend);
    }

    private static Optional<BackendProvider> provider(String kind) {
        return ServiceLoader.load(BackendProvider.class).stream()
                .map(ServiceLoader.Provider::get)
                .filter(p -> p.kind().equals(kind))
                .findFirst();
    }

    /** {@code "cpu"} or {@code "cuda"}. */
    public String kind() {
        return kind;
    }

    /**
     * The cores that the CPU operations of the calling thread may use from now on, on any device.
     * No effect on a GPU.
     *
     * @param threads at least 1; all cores when never set. More than there are cores, and than 64,
     *     count as so many
     * @throws IllegalArgumentException if it is less
     */
    public Device threads(int threads) {
        if (threads < 1) {
            throw new IllegalArgumentException("threads must be at least 1, got " + threads);
        }
        if (backend instanceof CpuBackend cpu) {
            cpu.setThreads(threads);
        }
        return this;
    }

    /** Native bytes that scopes of this device hold now. */
    public long allocatedBytes() {
        return allocatedBytes;
    }

    /** How often native memory was asked for since the device was opened. */
    public long allocations() {
        return allocations;
    }

    /** Address of the table of launchers and the stream they run on, for callers of the C ABI. */
    public Backend backend() {
        if (closed) {
            throw new IllegalStateException("the device is closed");
        }
        return backend;
    }

    long allocate(long bytes) {
        long address = backend().allocate(bytes);
        allocatedBytes += bytes;
        allocations++;
        return address;
    }

    void free(long address, long bytes) {
        backend.free(address);
        allocatedBytes -= bytes;
    }

    @Override
    public String toString() {
        return backend.description();
    }

    /**
     * Frees the device's own memory and stream; close its scopes before. Closing twice is harmless.
     */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            ticket.closed();
            backend.close();
        }
    }
}
