package org.jlatent.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jlatent.Device;
import org.jlatent.GradientCheck;
import org.jlatent.OnEveryDevice;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.TestDevice;
import org.jlatent.VectorQuantizeOps.Estimator;
import org.jlatent.io.Safetensors;
import org.jlatent.nn.Quantizer.Quantized;
import org.jlatent.nn.VectorQuantizerConfig.Learning;
import org.jlatent.train.Adam;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Heads, stages, cosine, rotation and revival. */
@OnEveryDevice
final class VectorQuantizerVariantsTest {
    private static final VectorQuantizerConfig SMALL =
            VectorQuantizerConfig.defaults().withCodes(6).withDims(4);
    private static final List<VectorQuantizerConfig> ALL =
            List.of(
                    SMALL,
                    SMALL.withHeads(2),
                    SMALL.withStages(3),
                    SMALL.withHeads(2).withStages(3).withEstimator(Estimator.ROTATION),
                    SMALL.withHeads(4).withCosine(true),
                    SMALL.withHeads(2).withStages(2).withLearning(Learning.GRADIENT),
                    SMALL.withCosine(true).withLearning(Learning.GRADIENT));

    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    private static Tensor normals(Scope scope, long seed, double scale, long... shape) {
        java.util.Random numbers = new java.util.Random(seed);
        Shape s = Shape.of(shape);
        float[] values = new float[(int) s.elements()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (scale * numbers.nextGaussian());
        }
        return scope.of(s, values);
    }

    /** A quantizer, its optimizer and its noise, which training moves on together. */
    private record Run(Scope scope, VectorQuantizer quantizer, Adam adam, Random random) {
        static Run of(Scope scope, VectorQuantizerConfig config) {
            Random random = new Random(scope, 5);
            VectorQuantizer quantizer = new VectorQuantizer(new Init(scope, 3), config, random, 2);
            Adam adam = new Adam(scope, quantizer.parameters(), Adam.Options.defaults());
            return new Run(scope, quantizer, adam, random);
        }

        /** A step with an output whose gradient is 1 everywhere. */
        Tape step(Tensor x) {
            Tape tape = new Tape(scope);
            quantizer.watch(tape);
            tape.watch(x);
            Quantized out = quantizer.forward(tape, x);
            tape.backward(Functions.add(tape, Functions.sum(tape, out.q()), out.loss()));
            adam.step(tape);
            random.advance();
            return tape;
        }

        void steps(int from, int to) {
            for (int i = from; i < to; i++) {
                step(normals(scope, i, 1, 40, 4));
            }
        }

        Map<String, String> state() {
            Map<String, String> bytes = new TreeMap<>();
            quantizer
                    .state()
                    .forEach(
                            (name, tensor) ->
                                    bytes.put(
                                            name,
                                            Arrays.toString(
                                                    Safetensors.Entry.of(name, tensor)
                                                            .data()
                                                            .array())));
            return bytes;
        }
    }

    @Test
    void codesDecodeToWhatForwardGave() {
        for (VectorQuantizerConfig config : ALL) {
            Run run = Run.of(scope, config);
            run.steps(0, 3);
            Tensor x = normals(scope, 9, 1, 2, 5, 4);
            Quantized out = run.quantizer.forward(Tape.inference(scope), x);
            assertEquals(x.shape(), out.q().shape());
            List<Long> shape = new ArrayList<>(List.of(2L, 5L));
            for (long extent : run.quantizer.books().toArray()) {
                shape.add(extent);
            }
            assertArrayEquals(
                    shape.stream().mapToLong(e -> e).toArray(), out.codes().shape().toArray());
            Tensor decoded = run.quantizer.decode(scope, out.codes());
            assertEquals(out.q().shape(), decoded.shape());
            assertArrayEquals(out.q().toFloatArray(), decoded.toFloatArray(), config.toString());
        }
    }

    @Test
    void aRunThatWasSavedGoesOnAsIfNothingHadBeen(@TempDir Path folder) {
        for (VectorQuantizerConfig config : ALL) {
            if (config.learning() == Learning.GRADIENT) {
                continue; // Adam's state is no part of it: the trainer's tests cover that
            }
            Run straight = Run.of(scope, config);
            straight.steps(0, 3);
            List<Safetensors.Entry> entries = new ArrayList<>();
            straight.quantizer
                    .state()
                    .forEach((name, t) -> entries.add(Safetensors.Entry.of(name, t)));
            Path file = folder.resolve("state.safetensors");
            Safetensors.write(file, entries, Map.of());
            Run resumed = Run.of(scope, config);
            resumed.random.set(5, 3);
            Safetensors.read(file)
                    .forEach((name, entry) -> entry.copyTo(resumed.quantizer.state().get(name)));
            straight.steps(3, 6);
            resumed.steps(3, 6);
            assertEquals(straight.state(), resumed.state(), config.toString());
        }
    }

    @Test
    void theNumberOfThreadsChangesNoBit() {
        for (VectorQuantizerConfig small : ALL.subList(3, ALL.size())) {
            VectorQuantizerConfig config = small.withCodes(60); // enough work for two threads
            List<Map<String, String>> states = new ArrayList<>();
            for (int threads = 1; threads <= 2; threads++) {
                try (Device own = Device.cpu().threads(threads);
                        Scope ownScope = new Scope(own)) {
                    Run run = Run.of(ownScope, config);
                    run.quantizer.initialize(ownScope, normals(ownScope, 1, 1, 600, 4), 7);
                    run.step(normals(ownScope, 2, 1, 1000, 4));
                    states.add(run.state());
                }
            }
            assertEquals(states.get(0), states.get(1), config.toString());
        }
    }

    @Test
    void everyStageRefinesWhatTheOnesBeforeLeft() {
        Tensor x = normals(scope, 1, 1, 500, 4);
        float before = Float.MAX_VALUE;
        for (int stages = 1; stages <= 4; stages++) {
            Run run = Run.of(scope, SMALL.withStages(stages).withRevive(0));
            run.quantizer.initialize(scope, x, 1);
            float[] q = run.quantizer.forward(Tape.inference(scope), x).q().toFloatArray();
            float[] values = x.toFloatArray();
            float error = 0;
            for (int i = 0; i < q.length; i++) {
                error += (values[i] - q[i]) * (values[i] - q[i]);
            }
            assertTrue(error < 0.8 * before, stages + " stages: " + error + " after " + before);
            before = error;
        }
    }

    @Test
    void headsAreQuantizedEachByItself() {
        Run run = Run.of(scope, SMALL.withHeads(2));
        float[] books = run.quantizer.buffers().get("codebook").toFloatArray();
        Tensor x = normals(scope, 4, 1, 30, 4);
        int[] codes = run.quantizer.forward(Tape.inference(scope), x).codes().toIntArray();
        for (int head = 0; head < 2; head++) {
            VectorQuantizer one = Run.of(scope, SMALL.withDims(2)).quantizer;
            one.buffers()
                    .get("codebook")
                    .copyFrom(Arrays.copyOfRange(books, head * 12, head * 12 + 12));
            Tensor part = Functions.slice(Tape.inference(scope), x, 1, 2L * head, 2L * head + 2);
            int[] own = one.forward(Tape.inference(scope), part).codes().toIntArray();
            for (int n = 0; n < 30; n++) {
                assertEquals(own[n], codes[2 * n + head]);
            }
        }
    }

    @Test
    void cosineSeesDirectionsOnly() {
        for (Learning learning : Learning.values()) {
            Run run = Run.of(scope, SMALL.withHeads(2).withCosine(true).withLearning(learning));
            run.steps(0, 4);
            Tensor x = normals(scope, 9, 1, 20, 4);
            Tensor longer = normals(scope, 9, 50, 20, 4);
            Quantized out = run.quantizer.forward(Tape.inference(scope), x);
            assertArrayEquals(
                    out.codes().toIntArray(),
                    run.quantizer.forward(Tape.inference(scope), longer).codes().toIntArray());
            float[] q = out.q().toFloatArray();
            for (int i = 0; i < q.length; i += 2) {
                assertEquals(1, q[i] * q[i] + q[i + 1] * q[i + 1], 1e-5);
            }
        }
    }

    @Test
    void cosineLossIsDifferentiated() {
        VectorQuantizerConfig config = SMALL.withDims(2).withCodes(3).withCosine(true);
        float[] apart = {1, 0, -0.6f, 0.8f, -0.6f, -0.8f};
        Tensor x = scope.of(Shape.of(3, 2), 2, 0.5f, -1.4f, 1.1f, -0.3f, -1);
        VectorQuantizer averaging = Run.of(scope, config).quantizer;
        GradientCheck.check(
                scope,
                x,
                (tape, t) -> {
                    averaging.buffers().get("codebook").copyFrom(apart);
                    return averaging.forward(tape, t).loss();
                });
        VectorQuantizer descending =
                Run.of(scope, config.withLearning(Learning.GRADIENT).withBeta(0).withRevive(0))
                        .quantizer;
        Tensor codebook = descending.parameters().get("codebook");
        codebook.copyFrom(3, 0, -0.6f, 0.8f, -1.2f, -1.6f);
        GradientCheck.check(scope, codebook, (tape, e) -> descending.forward(tape, x).loss());
    }

    @Test
    void rotationKeepsTheAngleBetweenGradientAndVector() {
        VectorQuantizerConfig config =
                SMALL.withBeta(0).withRevive(0).withEstimator(Estimator.ROTATION);
        Run run = Run.of(scope, config);
        Tensor x = normals(scope, 4, 1, 10, 4);
        float[] q = run.quantizer.forward(Tape.inference(scope), x).q().toFloatArray();
        float[] values = x.toFloatArray();
        float[] dx = run.step(x).gradient(x).toFloatArray();
        for (int n = 0; n < 10; n++) {
            double xx = 0;
            double qq = 0;
            double gg = 0;
            double xg = 0;
            double q1 = 0;
            for (int i = 4 * n; i < 4 * n + 4; i++) {
                xx += values[i] * values[i];
                qq += q[i] * q[i];
                gg += dx[i] * dx[i];
                xg += values[i] * dx[i];
                q1 += q[i]; // q's gradient is 1 everywhere
            }
            double scale = Math.sqrt(qq / xx);
            assertEquals(scale * 2, Math.sqrt(gg), 1e-4);
            assertEquals(q1 / Math.sqrt(qq) / 2, xg / Math.sqrt(xx * gg), 1e-4);
        }
    }

    @Test
    void aDeadEntryTakesThePlaceOfAVectorAndStaysThere() {
        for (Learning learning : Learning.values()) {
            Run run = Run.of(scope, SMALL.withDims(1).withCodes(3).withLearning(learning));
            Tensor codebook = run.quantizer.state().get("codebook");
            codebook.copyFrom(0, 10, 1000);
            Tensor x = scope.of(Shape.of(6, 1), 0.1f, -0.1f, 0.2f, 9.4f, 10, 10.5f);
            run.step(x);
            assertEquals(1, run.quantizer.health().revived());
            float reborn = codebook.toFloatArray()[2];
            List<Float> rows = new ArrayList<>();
            for (float row : x.toFloatArray()) {
                rows.add(row);
            }
            // Adam has no gradient for it, and its first step is 1e-3 at most.
            assertTrue(rows.stream().anyMatch(r -> Math.abs(r - reborn) < 2e-3), "" + reborn);
            float[] counts = run.quantizer.buffers().get("averages.counts").toFloatArray();
            assertEquals(0.01 * 6 / 3, counts[2], 1e-6); // the mean share
            // Nothing is near to it now, and still it is not forgotten.
            float[] others = Arrays.copyOf(codebook.toFloatArray(), 2);
            run.step(scope.of(Shape.of(2, 1), others));
            assertEquals(reborn, codebook.toFloatArray()[2], 0.02);
            assertEquals(1, run.quantizer.health().revived());
            run.quantizer.clearHealth();
            assertEquals(0, run.quantizer.health().revived());
        }
    }

    /** Perplexity of 16 entries after 100 steps on vectors in 16 clusters. */
    private double perplexityOnClusters(float revive, boolean initialize) {
        Run run = Run.of(scope, SMALL.withDims(2).withCodes(16).withRevive(revive));
        if (initialize) {
            run.quantizer.initialize(scope, clusters(-1), 1);
        }
        for (int step = 0; step < 100; step++) {
            run.quantizer.clearHealth();
            run.step(clusters(step));
        }
        return run.quantizer.health().perplexity();
    }

    private Tensor clusters(int seed) {
        float[] centers = normals(scope, 1, 10, 16, 2).toFloatArray();
        float[] values = normals(scope, seed, 0.02, 160, 2).toFloatArray();
        for (int i = 0; i < values.length; i++) {
            values[i] += centers[i % centers.length];
        }
        return scope.of(Shape.of(160, 2), values);
    }

    @Test
    @Tag("slow-on-stubs")
    void clustersAreFoundByInitializingAndMostlyByRevival() {
        double neither = perplexityOnClusters(0, false);
        assertTrue(neither < 10, "neither: " + neither);
        double revived = perplexityOnClusters(0.2f, false);
        assertTrue(revived > 12, "revived: " + revived);
        assertEquals(16, perplexityOnClusters(0, true), 0.01);
        assertEquals(16, perplexityOnClusters(0.2f, true), 0.01);
    }

    @Test
    @Tag("slow-on-stubs")
    void vectorsThatAreAllAlikeAreNoError() {
        for (VectorQuantizerConfig config : ALL) {
            Run run = Run.of(scope, config);
            Tensor x = scope.filled(Shape.of(50, 4), 0.5f);
            run.quantizer.initialize(scope, x, 1);
            for (int i = 0; i < 3; i++) {
                run.step(x);
            }
            Quantized out = run.quantizer.forward(new Tape(scope), x);
            assertEquals(1, out.perplexity().item(), 1e-6, config.toString());
            assertEquals(0, out.loss().item(), 1e-4, config.toString());
        }
    }

    @Test
    void mistakesAreNamed() {
        for (VectorQuantizerConfig config : ALL) {
            VectorQuantizer quantizer = Run.of(scope, config).quantizer;
            Tensor wide = normals(scope, 1, 1, 3, 8);
            assertMessage(
                    "4 dims, got [3, 8]", () -> quantizer.forward(Tape.inference(scope), wide));
            assertMessage("4 dims, got [3, 8]", () -> quantizer.initialize(scope, wide, 1));
            assertMessage(
                    "at least one vector",
                    () -> quantizer.initialize(scope, scope.zeros(Shape.of(0, 4)), 1));
        }
        assertMessage("has 1 stage", () -> SMALL.withStages(2).withCosine(true));
        assertMessage("heads must divide dims, which are 4, got 3", () -> SMALL.withHeads(3));
        VectorQuantizer quantizer = Run.of(scope, SMALL.withHeads(2).withStages(3)).quantizer;
        assertMessage(
                "last axes must be [2, 3], got [5, 3, 2]",
                () -> quantizer.decode(scope, scope.ofInts(Shape.of(5, 3, 2), new int[30])));
    }

    @Test
    void badValuesAreNamedOrMarked() {
        VectorQuantizer quantizer = Run.of(scope, SMALL.withHeads(2).withStages(3)).quantizer;
        Tensor codes = scope.ofInts(Shape.of(2, 3), 0, 0, 0, 0, 6, 0);
        Tensor x = normals(scope, 1, 1, 3, 4);
        Tensor codebook = quantizer.buffers().get("codebook");
        assertEquals(Shape.of(2, 3, 6, 2), codebook.shape());
        float[] spoiled = codebook.toFloatArray();
        spoiled[(3 * 6 + 4) * 2] = Float.NaN;
        if (!TestDevice.refusesBadValues(device)) {
            float[] q = quantizer.decode(scope, codes).toFloatArray();
            assertTrue(Float.isFinite(q[1]) && Float.isNaN(q[2]), Arrays.toString(q));
            codebook.copyFrom(spoiled);
            int[] none = quantizer.forward(Tape.inference(scope), x).codes().toIntArray();
            assertTrue(Arrays.stream(none).allMatch(code -> code == -1), Arrays.toString(none));
            return;
        }
        assertMessage("is 6", () -> quantizer.decode(scope, codes));
        codebook.copyFrom(spoiled);
        assertMessage(
                "entry 22 of the codebook is not finite",
                () -> quantizer.decode(scope, scope.ofInts(Shape.of(2, 3), new int[6])));
        assertThrows(RuntimeException.class, () -> quantizer.forward(Tape.inference(scope), x));
    }

    private static void assertMessage(String part, Runnable body) {
        RuntimeException e = assertThrows(RuntimeException.class, body::run);
        assertTrue(e.getMessage().contains(part), e.getMessage());
    }
}
