package org.jlatent;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import org.jlatent.MaskedConvOps.Epilogue;
import org.jlatent.MaskedConvOps.Taps;
import org.jlatent.PixelSamplerOps.Options;
import org.jlatent.nn.Init;
import org.jlatent.nn.MaskedConv2d;
import org.junit.jupiter.api.Test;

/** The operation itself is tested in kernels/pixel_sampler; this is what Java makes of it. */
final class PixelSamplerOpsTest {
    private static final int FEATURES = 12;
    private static final float EDGE = 1e-5f; // nearer draws may fall to either side

    /** Two gated stacks of three layers, and the program that draws from them. */
    private static final class Gated {
        final MaskedConv2d[] vertical = new MaskedConv2d[3];
        final MaskedConv2d[] link = new MaskedConv2d[3];
        final MaskedConv2d[] horizontal = new MaskedConv2d[3];
        final MaskedConv2d[] residual = new MaskedConv2d[3];
        final MaskedConv2d out;
        final Tensor vector; // a condition of the first layer

        Gated(Scope scope, int batch, int levels) {
            Init init = new Init(scope, 3);
            for (int i = 0; i < 3; i++) {
                boolean first = i == 0;
                int in = first ? 1 : FEATURES;
                vertical[i] = gate(init, first ? Taps.VERTICAL_A : Taps.VERTICAL_B, 3, in);
                link[i] = plain(init, 2 * FEATURES);
                horizontal[i] = gate(init, first ? Taps.HORIZONTAL_A : Taps.HORIZONTAL_B, 5, in);
                residual[i] = plain(init, FEATURES);
            }
            out = plain(init, levels);
            float[] values = new float[batch * 2 * FEATURES];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) Math.sin(1.7 * i);
            }
            vector = scope.of(Shape.of(batch, 2 * FEATURES), values);
        }

        private static MaskedConv2d gate(Init init, Taps taps, int kernel, int in) {
            MaskedConvOps.Options options = MaskedConvOps.Options.of(taps, kernel);
            return new MaskedConv2d(init, in, FEATURES, options.withEpilogue(Epilogue.GATE));
        }

        private static MaskedConv2d plain(Init init, int filters) {
            return new MaskedConv2d(
                    init, FEATURES, filters, MaskedConvOps.Options.of(Taps.RASTER_B, 1));
        }

        Tensor forward(Scope scope, Tensor x) {
            Tape tape = Tape.inference(scope);
            Tensor v = x;
            Tensor h = x;
            for (int i = 0; i < 3; i++) {
                v = vertical[i].forward(tape, v, i == 0 ? vector : null, null);
                Tensor gated = horizontal[i].forward(tape, h, null, link[i].forward(tape, v));
                h = residual[i].forward(tape, gated, null, i == 0 ? null : h);
            }
            return out.forward(tape, h);
        }

        SamplerProgram program(int levels) {
            SamplerProgram p = new SamplerProgram();
            int v = p.pixels(1, 2.0f / (levels - 1), -1.0f);
            int h = v;
            for (int i = 0; i < 3; i++) {
                v = add(p, v, vertical[i], i == 0 ? vector : null, SamplerProgram.NONE);
                int linked = add(p, v, link[i], null, SamplerProgram.NONE);
                int gated = add(p, h, horizontal[i], null, linked);
                h = add(p, gated, residual[i], null, i == 0 ? SamplerProgram.NONE : h);
            }
            add(p, h, out, null, SamplerProgram.NONE);
            return p;
        }

        private static int add(SamplerProgram p, int input, MaskedConv2d c, Tensor vector, int m) {
            Tensor weight = c.parameters().get("weight");
            return p.maskedConv(input, weight, c.parameters().get("bias"), vector, m, c.options());
        }
    }

    /** By a forward pass of the whole network for every pixel. */
    private static int[] naive(
            Scope scope, Gated network, Shape image, Options options, int[] given, Random random) {
        int[] levels = new int[(int) image.elements()];
        int pixels = (int) (image.get(1) * image.get(2));
        for (int p = 0; p < pixels; p++) {
            int[] drawn =
                    LikelihoodLevelsOps.draw(
                                    scope,
                                    options.likelihood(),
                                    parameters(scope, network, image, options, levels),
                                    image,
                                    random,
                                    options.site(),
                                    options.temperature(),
                                    options.topK())
                            .toIntArray();
            for (int i = p; i < levels.length; i += pixels) {
                levels[i] = given[i] >= 0 ? given[i] : drawn[i];
            }
        }
        return levels;
    }

    private static Tensor parameters(
            Scope scope, Gated network, Shape image, Options options, int[] levels) {
        float[] values = new float[levels.length];
        for (int i = 0; i < levels.length; i++) {
            values[i] = 2.0f / (options.likelihood().levels() - 1) * levels[i] - 1;
        }
        return network.forward(scope, scope.of(image, values));
    }

    @Test
    void imagesAreThoseOfNaiveSampling() {
        Shape image = Shape.of(3, 6, 7, 1);
        int levels = 5;
        try (Device device = Device.cpu();
                Scope scope = new Scope(device)) {
            Gated network = new Gated(scope, 3, levels);
            Random random = new Random(scope, 11);
            Options options =
                    Options.of(LikelihoodLevelsOps.Options.categorical(levels))
                            .withTemperature(0.7f)
                            .withTopK(4)
                            .withSite(2);
            int[] given = new int[(int) image.elements()];
            Arrays.setAll(given, i -> i % 42 < 10 ? i % levels : -1);
            int[] expected = naive(scope, network, image, options, given, random);
            PixelSamplerOps.Result r =
                    PixelSamplerOps.sample(
                            scope,
                            network.program(levels),
                            image,
                            options,
                            scope.ofInts(image, given),
                            random,
                            true);
            int[] drawn = r.image().toIntArray();
            float[] margins = r.margins().toFloatArray();
            for (int n = 0; n < 3; n++) {
                int different = n * 42;
                while (different < (n + 1) * 42 && drawn[different] == expected[different]) {
                    different++;
                }
                assertTrue(
                        different == (n + 1) * 42 || margins[different] < EDGE,
                        "image " + n + ", pixel " + different % 42);
            }
            assertArrayEquals(
                    parameters(scope, network, image, options, drawn).toFloatArray(),
                    r.parameters().toFloatArray(),
                    1e-5f);
        }
    }

    @Test
    void threadsChangeNothing() {
        int[] one = drawn(1);
        assertArrayEquals(one, drawn(2));
        assertArrayEquals(one, drawn(3));
        assertTrue(Arrays.stream(one).distinct().count() > 5, "levels differ");
    }

    private static int[] drawn(int threads) {
        try (Device device = Device.cpu().threads(threads);
                Scope scope = new Scope(device)) {
            PixelSamplerOps.Result r =
                    PixelSamplerOps.sample(
                            scope,
                            new Gated(scope, 13, 9).program(9),
                            Shape.of(13, 5, 8, 1),
                            Options.of(LikelihoodLevelsOps.Options.categorical(9)),
                            null,
                            new Random(scope, 1),
                            false);
            assertNull(r.parameters());
            return r.image().toIntArray();
        }
    }

    @Test
    void whatDoesNotFitIsNamed() {
        try (Device device = Device.cpu();
                Scope scope = new Scope(device)) {
            Gated network = new Gated(scope, 2, 4);
            Random random = new Random(scope, 1);
            Options options = Options.of(LikelihoodLevelsOps.Options.categorical(4));
            Shape image = Shape.of(2, 3, 3, 1);
            SamplerProgram good = network.program(4);
            assertMessage(
                    ShapeException.class,
                    "a vector must be [3, 24], got [2, 24]",
                    () -> sample(scope, good, Shape.of(3, 3, 3, 1), options, null, random));
            Tensor few = scope.ofInts(Shape.of(2, 3, 3), new int[18]);
            assertMessage(
                    ShapeException.class,
                    "given must be [2, 3, 3, 1], got [2, 3, 3]",
                    () -> sample(scope, good, image, options, few, random));
            int[] levels = new int[18];
            levels[17] = 4;
            Tensor wrong = scope.ofInts(image, levels);
            assertMessage(
                    DeviceException.class,
                    "given[17] is 4, but there are 4 levels",
                    () -> sample(scope, good, image, options, wrong, random));
            assertMessage(
                    DeviceException.class,
                    "temperature must be positive and finite, got 0",
                    () -> sample(scope, good, image, options.withTemperature(0), null, random));
            assertMessage(
                    DeviceException.class,
                    "node 0, pixels, must have 2 channels, got 1",
                    () -> sample(scope, good, Shape.of(2, 3, 3, 2), options, null, random));
            assertMessage(
                    DeviceException.class,
                    "needs nodes, got 0",
                    () -> sample(scope, new SamplerProgram(), image, options, null, random));
            SamplerProgram table = new SamplerProgram();
            table.embedding(scope.zeros(Shape.of(5, 2)), 1);
            assertMessage(
                    ShapeException.class,
                    "the table must be [4, 2], got [5, 2]",
                    () -> sample(scope, table, image, options, null, random));
            SamplerProgram p = new SamplerProgram();
            assertMessage(
                    IllegalArgumentException.class,
                    "0 nodes so far, from 0 on, got number 0",
                    () -> p.activation(0, Activation.RELU));
            int x = p.pixels(1, 1, 0);
            assertEquals(1, p.channels(x));
            assertMessage(
                    ShapeException.class,
                    "sampler program: channels must be 3 for each of up to 128 dims of each head,"
                            + " got 1 channels and 1 heads",
                    () -> p.attention(x, 1));
            MaskedConv2d conv = network.horizontal[1];
            Tensor weight = conv.parameters().get("weight");
            assertMessage(
                    ShapeException.class,
                    "weight must be [24, 1, 3, 1], got [24, 1, 3, 12]",
                    () -> p.maskedConv(x, weight, null, null, -1, conv.options()));
        }
    }

    private static void sample(
            Scope scope,
            SamplerProgram program,
            Shape image,
            Options options,
            Tensor given,
            Random random) {
        PixelSamplerOps.sample(scope, program, image, options, given, random, false);
    }

    private static void assertMessage(
            Class<? extends RuntimeException> type, String part, Runnable run) {
        RuntimeException e = assertThrows(type, run::run);
        assertTrue(e.getMessage().contains(part), e.getMessage());
    }
}
