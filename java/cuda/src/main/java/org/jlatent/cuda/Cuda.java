package org.jlatent.cuda;

import java.util.List;
import java.util.Optional;
import org.jlatent.Device;
import org.jlatent.DeviceException;

/**
 * Whether the CUDA kernels can run here, and why not. Asking never throws, and never touches a
 * JCuda class before every library it needs has been found.
 */
public final class Cuda {
    private static final CudaLibraries LIBRARIES = CudaLibraries.ofThisMachine();

    private Cuda() {}

    /** Whether {@link #open} works. */
    public static boolean isAvailable() {
        return unavailabilityCause().isEmpty();
    }

    /** Why {@link #open} would fail, and what to do; empty when it would not. */
    public static Optional<String> unavailabilityCause() {
        return LIBRARIES.unavailabilityCause();
    }

    /**
     * @throws DeviceException with the cause unless {@link #isAvailable}
     */
    public static void ensureAvailable() {
        unavailabilityCause()
                .ifPresent(
                        cause -> {
                            throw new DeviceException("CUDA is not available: " + cause);
                        });
    }

    /** What was looked for, where it was found, and what to install: one line a library. */
    public static List<String> report() {
        return LIBRARIES.report();
    }

    /**
     * The current CUDA device, with a stream of its own. It runs the kernels: sampling,
     * likelihoods, Adam, elementwise. Matrix products are not there yet, so models train on the
     * CPU.
     *
     * @throws DeviceException with the cause when CUDA is not available
     */
    public static Device open() {
        ensureAvailable();
        return Device.of("cuda", new CudaBackend(LIBRARIES.openKernels()));
    }
}
