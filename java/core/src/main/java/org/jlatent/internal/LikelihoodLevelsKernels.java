package org.jlatent.internal;

import static org.jlatent.internal.Kernels.check;

import org.jlatent.spi.Backend;

/** kernels/likelihood/likelihood_levels.h; by the rules of {@link Kernels}. */
public final class LikelihoodLevelsKernels {
    private LikelihoodLevelsKernels() {}

    /** What is drawn from, or held against levels. */
    public record Levels(
            long rows, long pixels, int channels, int levels, int components, int distribution) {}

    public static void nll(
            Backend b,
            Levels s,
            long samples,
            long parameters,
            long x,
            long rowWeight,
            long weight,
            long nllRows,
            long nllTotal,
            long dParameters) {
        long bytes =
                workspace0(
                        b.kernels(),
                        s.rows,
                        s.pixels,
                        samples,
                        s.channels,
                        s.levels,
                        s.components,
                        s.distribution);
        check(
                b,
                "likelihood_levels",
                nll0(
                        b.kernels(),
                        s.rows,
                        s.pixels,
                        samples,
                        s.channels,
                        s.levels,
                        s.components,
                        s.distribution,
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

    public static void draw(
            Backend b,
            Levels s,
            long parameters,
            long random,
            int site,
            float temperature,
            int topK,
            long x) {
        check(
                b,
                "likelihood_draw",
                draw0(
                        b.kernels(),
                        s.rows,
                        s.pixels,
                        s.channels,
                        s.levels,
                        s.components,
                        s.distribution,
                        parameters,
                        random,
                        site,
                        temperature,
                        topK,
                        x,
                        b.stream()));
    }

    public static void ofValues(Backend b, long values, long count, int levels, long x) {
        check(b, "levels_of_values", ofValues0(b.kernels(), values, count, levels, x, b.stream()));
    }

    static {
        NativeLibraries.loadJni();
    }

    private static native long workspace0(
            long table,
            long rows,
            long pixels,
            long samples,
            int channels,
            int levels,
            int components,
            int distribution);

    private static native int nll0(
            long table,
            long rows,
            long pixels,
            long samples,
            int channels,
            int levels,
            int components,
            int distribution,
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

    private static native int draw0(
            long table,
            long rows,
            long pixels,
            int channels,
            int levels,
            int components,
            int distribution,
            long parameters,
            long random,
            int site,
            float temperature,
            int topK,
            long x,
            long stream);

    private static native int ofValues0(
            long table, long values, long count, int levels, long x, long stream);
}
