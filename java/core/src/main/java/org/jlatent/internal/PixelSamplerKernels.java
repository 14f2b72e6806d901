package org.jlatent.internal;

import static org.jlatent.internal.Kernels.check;

import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.jlatent.spi.Backend;

/** kernels/pixel_sampler; by the rules of {@link Kernels}. Use org.jlatent.PixelSamplerOps. */
public final class PixelSamplerKernels {
    private PixelSamplerKernels() {}

    /** Shape of one call: images [batch, height, width, channels]; the rest as in jlatent.h. */
    public record SamplerShape(
            long batch,
            long height,
            long width,
            long channels,
            long firstImage,
            int levels,
            int groups,
            int distribution,
            int topK,
            float temperature,
            int site) {}

    /** A program in the C ABI's form: jl_sampler_node, one after the other, in host memory. */
    public static final class Nodes {
        private static final int BYTES = 72;

        private final ByteBuffer bytes;
        private int count;

        /** Room for so many. */
        public Nodes(int most) {
            bytes = ByteBuffer.allocateDirect(most * BYTES).order(ByteOrder.nativeOrder());
        }

        /** One more node. */
        public void add(
                int kind,
                int input,
                int other,
                int function,
                int taps,
                int groups,
                long kernel,
                long channels,
                long data,
                long bias,
                long vector,
                float scale,
                float offset) {
            bytes.putInt(kind).putInt(input).putInt(other).putInt(function);
            bytes.putInt(taps).putInt(groups).putLong(kernel).putLong(channels);
            bytes.putLong(data).putLong(bias).putLong(vector).putFloat(scale).putFloat(offset);
            count++;
        }
    }

    public static void sample(
            Backend b,
            SamplerShape s,
            Nodes nodes,
            long given,
            long random,
            long image,
            long parameters,
            long margins) {
        try {
            long at = Native.bufferAddress(nodes.bytes);
            long bytes =
                    workspace0(
                            b.kernels(),
                            s.batch,
                            s.height,
                            s.width,
                            s.channels,
                            s.firstImage,
                            s.levels,
                            s.groups,
                            s.distribution,
                            s.topK,
                            s.temperature,
                            s.site,
                            at,
                            nodes.count);
            check(
                    b,
                    "pixel_sampler",
                    sample0(
                            b.kernels(),
                            s.batch,
                            s.height,
                            s.width,
                            s.channels,
                            s.firstImage,
                            s.levels,
                            s.groups,
                            s.distribution,
                            s.topK,
                            s.temperature,
                            s.site,
                            at,
                            nodes.count,
                            given,
                            random,
                            image,
                            parameters,
                            margins,
                            b.workspace(bytes),
                            bytes,
                            b.stream()));
        } finally {
            Reference.reachabilityFence(nodes);
        }
    }

    static {
        NativeLibraries.loadJni();
    }

    private static native long workspace0(
            long table,
            long batch,
            long height,
            long width,
            long channels,
            long firstImage,
            int levels,
            int groups,
            int distribution,
            int topK,
            float temperature,
            int site,
            long nodes,
            int nodeCount);

    private static native int sample0(
            long table,
            long batch,
            long height,
            long width,
            long channels,
            long firstImage,
            int levels,
            int groups,
            int distribution,
            int topK,
            float temperature,
            int site,
            long nodes,
            int nodeCount,
            long given,
            long random,
            long image,
            long parameters,
            long margins,
            long workspace,
            long workspaceBytes,
            long stream);
}
