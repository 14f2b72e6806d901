package org.jlatent.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.jlatent.Device;
import org.jlatent.GradientCheck;
import org.jlatent.OnEveryDevice;
import org.jlatent.Ops;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.TestDevice;
import org.jlatent.io.Safetensors;
import org.jlatent.nn.Quantizer.Quantized;
import org.jlatent.nn.VectorQuantizerConfig.Learning;
import org.jlatent.train.Adam;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The operation itself is tested in kernels/vector_quantize; this is what the module adds. */
@OnEveryDevice
final class VectorQuantizerTest {
    private static final VectorQuantizerConfig SMALL =
            VectorQuantizerConfig.defaults().withCodes(5).withDims(2).withRevive(0);

    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);
    private final java.util.Random numbers = new java.util.Random(7);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    private VectorQuantizer quantizer(VectorQuantizerConfig config) {
        return new VectorQuantizer(new Init(scope, 3), config, new Random(scope, 5), 0);
    }

    private Tensor normals(long... shape) {
        Shape s = Shape.of(shape);
        float[] values = new float[(int) s.elements()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) numbers.nextGaussian();
        }
        return scope.of(s, values);
    }

    /** One step of training with an output whose gradient is 1 everywhere. */
    private Tape step(VectorQuantizer quantizer, Tensor x) {
        Tape tape = new Tape(scope);
        quantizer.watch(tape);
        tape.watch(x);
        Quantized out = quantizer.forward(tape, x);
        tape.backward(Functions.add(tape, Functions.sum(tape, out.q()), out.loss()));
        return tape;
    }

    @Test
    void straightThroughIsTheOutputsGradientAndTheCommitment() {
        VectorQuantizer quantizer = quantizer(SMALL);
        Tensor x = normals(2, 3, 2);
        Quantized before = quantizer.forward(Tape.inference(scope), x);
        assertEquals(x.shape(), before.q().shape());
        assertEquals(Shape.of(2, 3), before.codes().shape());
        assertNull(before.perplexity());
        float[] q = before.q().toFloatArray();
        float[] dx = step(quantizer, x).gradient(x).toFloatArray();
        float[] values = x.toFloatArray();
        double error = 0;
        for (int i = 0; i < dx.length; i++) {
            // beta * 2 (x - q) / elements
            assertEquals(1 + 0.25 * 2 * (values[i] - q[i]) / 12, dx[i], 1e-6);
            error += (values[i] - q[i]) * (values[i] - q[i]);
        }
        assertEquals(0.25 * error / 12, before.loss().item(), 1e-6);
    }

    private static final float[] CROSS = {-3, 0, 3, 0, 0, 3, 0, -3, 9, 9};

    private Tensor nearTheCross() {
        return scope.of(Shape.of(4, 2), -2.5f, 0.4f, 3.3f, -0.2f, 0.1f, 2.2f, 0.3f, -2.9f);
    }

    @Test
    void gradientsOfTheLossAreDifferences() {
        VectorQuantizer averaging = quantizer(SMALL);
        GradientCheck.check(
                scope,
                nearTheCross(),
                (tape, x) -> {
                    averaging.state().get("codebook").copyFrom(CROSS); // the step before moved it
                    return averaging.forward(tape, x).loss();
                });
        // With beta the differences would see the commitment, too, which is none of the codebook's.
        VectorQuantizer descending = quantizer(SMALL.withLearning(Learning.GRADIENT).withBeta(0));
        Tensor codebook = descending.parameters().get("codebook");
        codebook.copyFrom(CROSS);
        GradientCheck.check(
                scope, codebook, (tape, e) -> descending.forward(tape, nearTheCross()).loss());
    }

    @Test
    void betaIsOnTheCommitmentOnly() {
        float[][] gradients = new float[2][];
        for (int i = 0; i < 2; i++) {
            VectorQuantizer quantizer =
                    quantizer(SMALL.withLearning(Learning.GRADIENT).withBeta(7 * i));
            quantizer.parameters().get("codebook").copyFrom(CROSS);
            Tape tape = step(quantizer, nearTheCross());
            gradients[i] = tape.gradient(quantizer.parameters().get("codebook")).toFloatArray();
        }
        assertArrayEquals(gradients[0], gradients[1]);
        assertEquals(2 * (-3 + 2.5f) / 8, gradients[0][0], 1e-6);
        assertEquals(0, gradients[0][8], 1e-9); // an entry that nothing is near to
    }

    @Test
    void aCodebookMovesDownItsGradient() {
        VectorQuantizer quantizer = quantizer(SMALL.withLearning(Learning.GRADIENT));
        Tensor codebook = quantizer.parameters().get("codebook");
        float[] start = codebook.toFloatArray();
        Adam adam =
                new Adam(
                        scope,
                        quantizer.parameters(),
                        Adam.Options.defaults().withLearningRate(0.02f));
        Tensor x = normals(64, 2);
        float first = 0;
        float last = 0;
        for (int i = 0; i < 100; i++) {
            Tape tape = new Tape(scope);
            quantizer.watch(tape); // not x: its loss can only fall as the codebook moves
            Tensor loss = quantizer.forward(tape, x).loss();
            tape.backward(loss);
            adam.step(tape);
            first = i == 0 ? loss.item() : first;
            last = loss.item();
        }
        assertTrue(last < 0.6 * first, first + " to " + last);
        float[] end = codebook.toFloatArray();
        double moved = 0;
        for (int i = 0; i < end.length; i++) {
            moved = Math.max(moved, Math.abs(end[i] - start[i]));
        }
        assertTrue(moved > 0.3, "moved " + moved);
    }

    @Test
    void averagesAreTheTextbooks() {
        VectorQuantizer quantizer = quantizer(SMALL.withDecay(0.9f));
        Tensor codebook = quantizer.buffers().get("codebook");
        double[] counts = new double[5];
        double[][] sums = new double[5][2];
        for (int t = 1; t <= 20; t++) {
            Tensor x = normals(30, 2);
            int[] codes = quantizer.forward(Tape.inference(scope), x).codes().toIntArray();
            float[] before = codebook.toFloatArray();
            step(quantizer, x);
            float[] rows = x.toFloatArray();
            double[] n = new double[5];
            double[][] m = new double[5][2];
            for (int i = 0; i < 30; i++) {
                n[codes[i]]++;
                m[codes[i]][0] += rows[2 * i];
                m[codes[i]][1] += rows[2 * i + 1];
            }
            double decay = 0.9f;
            double debias = 1 - Math.pow(decay, t);
            double total = 0;
            for (int k = 0; k < 5; k++) {
                counts[k] = decay * counts[k] + (1 - decay) * n[k];
                total += counts[k] / debias;
            }
            float[] after = codebook.toFloatArray();
            for (int k = 0; k < 5; k++) {
                double smooth = (counts[k] / debias + 1e-5) / (total + 5 * 1e-5) * total;
                for (int d = 0; d < 2; d++) {
                    sums[k][d] = decay * sums[k][d] + (1 - decay) * m[k][d];
                    double expected =
                            counts[k] == 0 ? before[2 * k + d] : sums[k][d] / debias / smooth;
                    assertEquals(
                            expected, after[2 * k + d], 1e-6 * Math.max(1, Math.abs(expected)));
                }
            }
        }
    }

    @Test
    void averagesLearnWithoutAGradientForXToo() {
        VectorQuantizer quantizer = quantizer(SMALL);
        VectorQuantizer other = quantizer(SMALL);
        Tensor x = normals(30, 2);
        step(quantizer, x);
        other.forward(new Tape(scope), x);
        assertSame(quantizer, other);
    }

    @Test
    void inferenceChangesNothing() {
        VectorQuantizer quantizer = quantizer(SMALL);
        quantizer.forward(Tape.inference(scope), normals(30, 2));
        assertSame(quantizer(SMALL), quantizer);
    }

    private static void assertSame(Quantizer expected, Quantizer actual) {
        expected.state()
                .forEach(
                        (name, tensor) ->
                                assertArrayEquals(
                                        Safetensors.Entry.of(name, tensor).data().array(),
                                        Safetensors.Entry.of(name, actual.state().get(name))
                                                .data()
                                                .array(),
                                        name));
    }

    @Test
    void healthIsSinceItWasCleared() {
        VectorQuantizer quantizer = quantizer(SMALL);
        quantizer.buffers().get("codebook").copyFrom(CROSS);
        assertEquals(new CodebookHealth(5, 0, 0, 0), quantizer.health());
        Quantized out = quantizer.forward(new Tape(scope), nearTheCross());
        assertEquals(4, out.perplexity().item(), 1e-5);
        assertEquals(4, quantizer.health().perplexity(), 1e-5);
        assertEquals(0.8, quantizer.health().usage(), 1e-6);
        assertEquals(1, quantizer.health().dead());
        quantizer.clearHealth();
        assertEquals(new CodebookHealth(5, 0, 0, 0), quantizer.health());
    }

    /** Points about {@code count} places on a circle of radius 10. */
    private Tensor circle(int count, int rows) {
        float[] values = new float[2 * rows];
        for (int i = 0; i < rows; i++) {
            double angle = 2 * Math.PI * (i % count) / count;
            values[2 * i] = (float) (10 * Math.cos(angle) + 0.1 * numbers.nextGaussian());
            values[2 * i + 1] = (float) (10 * Math.sin(angle) + 0.1 * numbers.nextGaussian());
        }
        return scope.of(Shape.of(rows, 2), values);
    }

    @Test
    void initializedEntriesAreTheClustersAndStayWhileTheyLearn() {
        VectorQuantizer quantizer = quantizer(SMALL.withCodes(12));
        quantizer.initialize(scope, circle(12, 240), 1);
        assertEquals(0, quantizer.health().usage());
        for (int step = 0; step < 5; step++) {
            assertEquals(
                    12,
                    quantizer.forward(new Tape(scope), circle(12, 240)).perplexity().item(),
                    1e-3);
        }
        // Averages take the vectors it was initialized with as their first batch.
        float sum = Ops.sum(scope, quantizer.buffers().get("averages.counts")).item();
        assertEquals(240 * (1 - Math.pow(0.99, 6)), sum, 1e-3);
    }

    @Test
    void initializingForgetsWhatWasLearnt() {
        Tensor vectors = circle(4, 40);
        VectorQuantizer used = quantizer(SMALL);
        step(used, normals(30, 2));
        used.initialize(scope, vectors, 1);
        VectorQuantizer fresh = quantizer(SMALL);
        fresh.initialize(scope, vectors, 1);
        assertSame(fresh, used);
    }

    @Test
    void codesDecodeToWhatForwardGave() {
        VectorQuantizer quantizer = quantizer(SMALL);
        Quantized out = quantizer.forward(Tape.inference(scope), normals(3, 4, 2));
        Tensor decoded = quantizer.decode(scope, out.codes());
        assertEquals(out.q().shape(), decoded.shape());
        assertArrayEquals(out.q().toFloatArray(), decoded.toFloatArray());
    }

    @Test
    void mistakesAreNamed() {
        assertMessage("codes must be at least 1, got 0", () -> SMALL.withCodes(0));
        assertMessage("dims must be at least 1, got 0", () -> SMALL.withDims(0));
        assertMessage("heads must divide dims, which are 2, got 3", () -> SMALL.withHeads(3));
        VectorQuantizer quantizer = quantizer(SMALL);
        assertMessage("I32", () -> quantizer.decode(scope, scope.zeros(Shape.of(1))));
    }

    @Test
    void badValuesAreNamedOrMarked() {
        VectorQuantizer quantizer = quantizer(SMALL);
        Tensor code = scope.ofInts(Shape.of(1), 5);
        Tensor x = normals(3, 2);
        Tensor book = quantizer.buffers().get("codebook");
        float[] spoiled = {0, 0, 0, 0, 0, Float.NaN, 0, 0, 0, 0};
        if (!TestDevice.refusesBadValues(device)) {
            assertTrue(Float.isNaN(quantizer.decode(scope, code).toFloatArray()[0]));
            book.copyFrom(spoiled);
            int[] codes = quantizer.forward(Tape.inference(scope), x).codes().toIntArray();
            assertArrayEquals(new int[] {-1, -1, -1}, codes);
            return;
        }
        assertMessage("is 5", () -> quantizer.decode(scope, code));
        book.copyFrom(spoiled);
        assertMessage(
                "codebook[2] is not finite", () -> quantizer.forward(Tape.inference(scope), x));
        assertMessage(
                "entry 2 of the codebook is not finite",
                () -> quantizer.decode(scope, scope.ofInts(Shape.of(1), 0)));
    }

    private static void assertMessage(String part, Runnable body) {
        RuntimeException e = assertThrows(RuntimeException.class, body::run);
        assertTrue(e.getMessage().contains(part), e.getMessage());
    }
}
