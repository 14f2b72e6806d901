package org.jlatent.cuda;

import java.util.List;
import java.util.Optional;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUstream;
import org.jlatent.DType;
import org.jlatent.Device;
import org.jlatent.DeviceException;
import org.jlatent.Shape;
import org.jlatent.Tensor;

/**
 * Whether CUDA can be used here, and why not; devices; and what they share with programs that use
 * CUDA themselves. Asking never throws, and never touches a JCuda class before every library it
 * needs has been found.
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
     * The first CUDA device, with a stream of its own, in its primary context: the one that CUDA's
     * runtime API uses.
     *
     * @throws DeviceException with the cause when CUDA is not available
     */
    public static Device open() {
        return open(CudaOptions.defaults());
    }

    /**
     * A CUDA device as the options say. Its context is made the calling thread's current one, and
     * stays it.
     *
     * @throws DeviceException with the cause when CUDA is not available
     */
    public static Device open(CudaOptions options) {
        return Device.of("cuda", backend(options));
    }

    static CudaBackend backend(CudaOptions options) {
        ensureAvailable();
        return new CudaBackend(LIBRARIES.kernels(), options);
    }

    /**
     * The context that a device works in.
     *
     * @throws IllegalArgumentException for a device of another kind
     */
    public static CUcontext context(Device device) {
        return backend(device).context();
    }

    /**
     * The stream that all work of a device is queued on. What is launched on it comes after the
     * operations called so far and before those to come; its end waits for nothing.
     *
     * @throws IllegalArgumentException for a device of another kind
     */
    public static CUstream stream(Device device) {
        return backend(device).cudaStream();
    }

    /**
     * A tensor on a caller's device memory, without a copy; as {@link Tensor#wrap(Device, long,
     * long, Shape, DType, Object)}.
     *
     * @param pointer to device memory; the tensor keeps the object alive, the memory stays the
     *     caller's
     * @param bytes of memory there
     * @throws IllegalArgumentException for a pointer to a Java array or buffer, and for a device of
     *     another kind
     */
    public static Tensor wrap(
            Device device, Pointer pointer, long bytes, Shape shape, DType dtype) {
        backend(device);
        return Tensor.wrap(device, Address.of(pointer), bytes, shape, dtype, pointer);
    }

    /**
     * Where a tensor's values are, for libraries that take JCuda's pointers; valid as long as the
     * tensor.
     *
     * @throws IllegalArgumentException for a tensor on a device of another kind
     */
    public static Pointer pointer(Tensor tensor) {
        backend(tensor.device());
        return Address.device(tensor.address());
    }

    private static CudaBackend backend(Device device) {
        if (device.backend() instanceof CudaBackend cuda) {
            return cuda;
        }
        throw new IllegalArgumentException("a CUDA device is needed, got " + device);
    }
}
