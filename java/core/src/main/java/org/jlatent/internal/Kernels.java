package org.jlatent.internal;

import org.jlatent.DeviceException;
import org.jlatent.spi.Backend;

/**
 * The C ABI of {@code kernels/include/jlatent.h} from Java: one method a launcher, addresses and
 * numbers only. Callers have checked every shape; address 0 is null. A status other than JL_OK
 * becomes an exception with the library's own text.
 *
 * <p>Unsafe: an address that is wrong crashes the process. Use {@link org.jlatent.Ops}.
 */
public final class Kernels {
    private Kernels() {}

    public static String name(long table) {
        return name0(table);
    }

    public static void randomNormal(Backend b, long out, long count, long random, int site) {
        check(b, "random_normal", randomNormal0(b.kernels(), out, count, random, site, b.stream()));
    }

    public static void randomAdvance(Backend b, long random) {
        check(b, "random_advance", randomAdvance0(b.kernels(), random, b.stream()));
    }

    /** Shape of one call of {@code gaussian}; see kernels/gaussian/gaussian.h. */
    public record GaussianShape(
            long rows,
            long dims,
            long samples,
            long rowStride,
            float logVarMin,
            float logVarMax,
            float freeBits,
            int site) {}

    public static long gaussianWorkspace(Backend b, GaussianShape s) {
        return gaussianWorkspace0(b.kernels(), s.rows, s.dims, s.samples, s.freeBits);
    }

    public static void gaussianForward(
            Backend b,
            GaussianShape s,
            long mu,
            long logVar,
            long noise,
            long random,
            long klWeight,
            long z,
            long klRows,
            long klTotal,
            long logQ,
            long logP,
            long klLive) {
        long bytes = gaussianWorkspace(b, s);
        check(
                b,
                "gaussian_forward",
                gaussianForward0(
                        b.kernels(),
                        s.rows,
                        s.dims,
                        s.samples,
                        s.rowStride,
                        s.logVarMin,
                        s.logVarMax,
                        s.freeBits,
                        s.site,
                        mu,
                        logVar,
                        noise,
                        random,
                        klWeight,
                        z,
                        klRows,
                        klTotal,
                        logQ,
                        logP,
                        klLive,
                        b.workspace(bytes),
                        bytes,
                        b.stream()));
    }

    public static void gaussianBackward(
            Backend b,
            GaussianShape s,
            long mu,
            long logVar,
            long noise,
            long random,
            long klWeight,
            long klLive,
            long dz,
            long dKlRows,
            long dKlTotal,
            long dLogQ,
            long dLogP,
            long dMu,
            long dLogVar) {
        check(
                b,
                "gaussian_backward",
                gaussianBackward0(
                        b.kernels(),
                        s.rows,
                        s.dims,
                        s.samples,
                        s.rowStride,
                        s.logVarMin,
                        s.logVarMax,
                        s.freeBits,
                        s.site,
                        mu,
                        logVar,
                        noise,
                        random,
                        klWeight,
                        klLive,
                        dz,
                        dKlRows,
                        dKlTotal,
                        dLogQ,
                        dLogP,
                        dMu,
                        dLogVar,
                        b.stream()));
    }

    public static void likelihood(
            Backend b,
            long rows,
            long dims,
            long samples,
            int distribution,
            boolean learnedScale,
            float logScale,
            long parameters,
            long x,
            long rowWeight,
            long weight,
            long nllRows,
            long nllTotal,
            long dParameters) {
        long bytes =
                likelihoodWorkspace0(b.kernels(), rows, dims, samples, distribution, learnedScale);
        check(
                b,
                "likelihood",
                likelihood0(
                        b.kernels(),
                        rows,
                        dims,
                        samples,
                        distribution,
                        learnedScale,
                        logScale,
                        parameters,
                        x,
                        rowWeight,
                        weight,
                        nllRows,
                        nllTotal,
                        dParameters,
                        b.workspace(bytes),
                        bytes,
                        b.stream()));
    }

    public static void adamStep(Backend b, long tensors, int count, long state) {
        long bytes = adamWorkspace0(b.kernels(), count);
        check(
                b,
                "adam_step",
                adamStep0(
                        b.kernels(), tensors, count, state, b.workspace(bytes), bytes, b.stream()));
    }

    public static void activationForward(Backend b, int activation, long x, long y, long count) {
        check(
                b,
                "activation_forward",
                activationForward0(b.kernels(), activation, x, y, count, b.stream()));
    }

    public static void activationBackward(
            Backend b, int activation, long saved, long dy, long dx, long count) {
        check(
                b,
                "activation_backward",
                activationBackward0(b.kernels(), activation, saved, dy, dx, count, b.stream()));
    }

    public static void add(Backend b, long left, long right, long out, long count) {
        check(b, "add", add0(b.kernels(), left, right, out, count, b.stream()));
    }

    public static void scale(Backend b, long x, long factor, long out, long count) {
        check(b, "scale", scale0(b.kernels(), x, factor, out, count, b.stream()));
    }

    public static void fill(Backend b, long out, float value, long count) {
        check(b, "fill", fill0(b.kernels(), out, value, count, b.stream()));
    }

    /** Throws unless {@code status}, a launcher's, is JL_OK. */
    static void check(Backend b, String operation, int status) {
        if (status != 0) {
            throw b.explain(
                    new DeviceException(
                            operation + " on " + b.description() + ": " + lastError0(b.kernels())));
        }
        b.queued(operation);
    }

    static {
        NativeLibraries.loadJni();
    }

    private static native String name0(long table);

    private static native String lastError0(long table);

    private static native int randomNormal0(
            long table, long out, long count, long random, int site, long stream);

    private static native int randomAdvance0(long table, long random, long stream);

    private static native long gaussianWorkspace0(
            long table, long rows, long dims, long samples, float freeBits);

    private static native int gaussianForward0(
            long table,
            long rows,
            long dims,
            long samples,
            long rowStride,
            float logVarMin,
            float logVarMax,
            float freeBits,
            int site,
            long mu,
            long logVar,
            long noise,
            long random,
            long klWeight,
            long z,
            long klRows,
            long klTotal,
            long logQ,
            long logP,
            long klLive,
            long workspace,
            long workspaceBytes,
            long stream);

    private static native int gaussianBackward0(
            long table,
            long rows,
            long dims,
            long samples,
            long rowStride,
            float logVarMin,
            float logVarMax,
            float freeBits,
            int site,
            long mu,
            long logVar,
            long noise,
            long random,
            long klWeight,
            long klLive,
            long dz,
            long dKlRows,
            long dKlTotal,
            long dLogQ,
            long dLogP,
            long dMu,
            long dLogVar,
            long stream);

    private static native long likelihoodWorkspace0(
            long table, long rows, long dims, long samples, int distribution, boolean learnedScale);

    private static native int likelihood0(
            long table,
            long rows,
            long dims,
            long samples,
            int distribution,
            boolean learnedScale,
            float logScale,
            long parameters,
            long x,
            long rowWeight,
            long weight,
            long nllRows,
            long nllTotal,
            long dParameters,
            long workspace,
            long workspaceBytes,
            long stream);

    private static native long adamWorkspace0(long table, int count);

    private static native int adamStep0(
            long table,
            long tensors,
            int count,
            long state,
            long workspace,
            long workspaceBytes,
            long stream);

    private static native int activationForward0(
            long table, int activation, long x, long y, long count, long stream);

    private static native int activationBackward0(
            long table, int activation, long saved, long dy, long dx, long count, long stream);

    private static native int add0(
            long table, long left, long right, long out, long count, long stream);

    private static native int scale0(
            long table, long x, long factor, long out, long count, long stream);

    private static native int fill0(long table, long out, float value, long count, long stream);
}
