package org.jlatent.cuda;

import java.util.Objects;
import jcuda.driver.CUcontext;
import jcuda.driver.CUstream;

/**
 * How {@link Cuda#open(CudaOptions)} opens a device.
 *
 * @param tf32 whether products and convolutions of f32 values may round their factors to TF32, with
 *     10 bits instead of 23: several times faster. Off by default
 * @param context a caller's own, which stays the caller's; null: the first device's primary one
 * @param stream a caller's own stream of that context, for all work; null: a new one
 */
public record CudaOptions(boolean tf32, CUcontext context, CUstream stream) {
    public CudaOptions {
        if (context == null && stream != null) {
            throw new IllegalArgumentException("a stream needs the context that it was made in");
        }
    }

    /** Full f32, a stream of the device's own. */
    public static CudaOptions defaults() {
        return new CudaOptions(false, null, null);
    }

    /** Whether factors may be rounded to TF32. */
    public CudaOptions withTf32(boolean allowed) {
        return new CudaOptions(allowed, context, stream);
    }

    /** Work in a caller's context, on a stream of the device's own. */
    public CudaOptions within(CUcontext itsContext) {
        return new CudaOptions(tf32, Objects.requireNonNull(itsContext), null);
    }

    /** Work on a caller's stream of a caller's context. */
    public CudaOptions within(CUcontext itsContext, CUstream itsStream) {
        return new CudaOptions(
                tf32, Objects.requireNonNull(itsContext), Objects.requireNonNull(itsStream));
    }
}
