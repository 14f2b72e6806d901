package org.jlatent.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Random;
import org.jlatent.Device;
import org.jlatent.FiniteScalarQuantizeOps;
import org.jlatent.GradientCheck;
import org.jlatent.LookupFreeQuantizeOps;
import org.jlatent.OnEveryDevice;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.TestDevice;
import org.jlatent.nn.Quantizer.Quantized;
import org.jlatent.train.Adam;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Quantizers without a codebook; their operations are tested in kernels/. */
@OnEveryDevice
final class ScalarQuantizersTest {
    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);
    private final Init init = new Init(scope, 3);
    private final Random random = new Random(7);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    private Tensor normals(double scale, long... shape) {
        Shape s = Shape.of(shape);
        float[] values = new float[(int) s.elements()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (scale * random.nextGaussian());
        }
        return scope.of(s, values);
    }

    private Quantizer finite() {
        return new FiniteScalarQuantizer(init, 5, 4, 3);
    }

    private Quantizer lookupFree() {
        return new LookupFreeQuantizer(init, 3, 0.25f, 0.1f);
    }

    @Test
    void codesDecodeToWhatForwardGave() {
        for (Quantizer quantizer : List.of(finite(), lookupFree())) {
            Quantized out = quantizer.forward(Tape.inference(scope), normals(2, 4, 5, 3));
            assertEquals(Shape.of(4, 5), out.codes().shape());
            assertEquals(Shape.of(), quantizer.books());
            assertEquals(3, quantizer.dims());
            assertNull(out.perplexity());
            Tensor decoded = quantizer.decode(scope, out.codes());
            assertEquals(out.q().shape(), decoded.shape());
            assertArrayEquals(out.q().toFloatArray(), decoded.toFloatArray());
        }
    }

    @Test
    void gradientsAreTheOperations() {
        Tensor x = normals(1, 6, 3);
        Tensor weight = normals(1, 6, 3);
        Tape tape = new Tape(scope);
        tape.watch(x);
        Quantized out = finite().forward(tape, x);
        assertNull(out.loss());
        tape.backward(Functions.sum(tape, Functions.multiply(tape, out.q(), weight)));
        assertArrayEquals(
                FiniteScalarQuantizeOps.backward(scope, x, weight, 5, 4, 3).toFloatArray(),
                tape.gradient(x).toFloatArray());

        tape = new Tape(scope);
        tape.watch(x);
        out = lookupFree().forward(tape, x);
        tape.backward(
                Functions.add(
                        tape,
                        Functions.sum(tape, Functions.multiply(tape, out.q(), weight)),
                        out.loss()));
        Tensor beta = scope.scalar(0.25f);
        LookupFreeQuantizeOps.Result r = LookupFreeQuantizeOps.forward(scope, x, 1, beta, null);
        assertEquals(r.commitment().item() + 0.1 * r.penalty().item(), out.loss().item(), 1e-6);
        assertArrayEquals(
                LookupFreeQuantizeOps.backward(
                                scope,
                                x,
                                1,
                                beta,
                                null,
                                r,
                                new LookupFreeQuantizeOps.Gradients(
                                        weight, scope.scalar(1), scope.scalar(0.1f)))
                        .toFloatArray(),
                tape.gradient(x).toFloatArray());
    }

    @Test
    void lookupFreeLossIsDifferentiated() {
        Tensor x = scope.of(Shape.of(3, 2), 0.5f, -1, -0.3f, 0.2f, 0.9f, 0.4f); // not near 0
        Quantizer quantizer = new LookupFreeQuantizer(init, 2, 0.25f, 0.8f);
        GradientCheck.check(scope, x, (tape, t) -> quantizer.forward(tape, t).loss());
    }

    /** Perplexity after descending the loss from rows that nearly all have one code. */
    private float perplexityAfterDescent(float entropyWeight) {
        Quantizer quantizer = new LookupFreeQuantizer(init, 3, 0.25f, entropyWeight);
        Tensor x = normals(0.3, 200, 3);
        float[] values = x.toFloatArray();
        for (int i = 0; i < values.length; i++) {
            values[i] += 1;
        }
        x.copyFrom(values);
        Adam.Options options = Adam.Options.defaults().withLearningRate(0.02f);
        Adam adam = new Adam(scope, Map.of("x", x), options);
        for (int i = 0; i < 200; i++) {
            Tape tape = new Tape(scope);
            tape.watch(x);
            tape.backward(quantizer.forward(tape, x).loss());
            adam.step(tape);
        }
        return quantizer.forward(new Tape(scope), x).perplexity().item();
    }

    @Test
    void theEntropyPenaltySpreadsCodes() {
        assertEquals(1, perplexityAfterDescent(0), 0.1);
        assertTrue(perplexityAfterDescent(1) > 4);
    }

    @Test
    void healthIsSinceItWasCleared() {
        Tensor x = scope.of(Shape.of(4, 3), 1, 1, 1, -1, 1, 1, 1, 1, 1, -1, 1, 1);
        for (Quantizer quantizer : List.of(finite(), lookupFree())) {
            quantizer.forward(Tape.inference(scope), x);
            assertEquals(new CodebookHealth(quantizer.codes(), 0, 0, 0), quantizer.health());
            Quantized out = quantizer.forward(new Tape(scope), x);
            assertEquals(2, out.perplexity().item(), 1e-6);
            assertEquals(2, quantizer.health().perplexity(), 1e-6);
            assertEquals(quantizer.codes() - 2, quantizer.health().dead());
            quantizer.clearHealth();
            assertEquals(0, quantizer.health().usage());
        }
    }

    @Test
    void mistakesAreNamed() {
        assertMessage("at least 2", () -> new FiniteScalarQuantizer(init, 5, 1));
        assertMessage(
                "2^24 at most, got 33554432", () -> new FiniteScalarQuantizer(init, 8192, 4096));
        assertMessage(
                "bits must be in [1, 24], got 0", () -> new LookupFreeQuantizer(init, 0, 1, 1));
        assertMessage(
                "bits must be in [1, 24], got 25", () -> new LookupFreeQuantizer(init, 25, 1, 1));
        assertMessage(
                "beta must be finite and at least 0, got -1.0",
                () -> new LookupFreeQuantizer(init, 3, -1, 1));
        assertMessage(
                "entropyWeight must be finite and at least 0, got NaN",
                () -> new LookupFreeQuantizer(init, 3, 1, Float.NaN));
        badCodeIsNamedOrMarked(finite(), 60);
        badCodeIsNamedOrMarked(lookupFree(), 8);
        assertMessage("[4, 2]", () -> finite().forward(Tape.inference(scope), normals(1, 4, 2)));
        assertMessage(
                "[4, 2]", () -> lookupFree().forward(Tape.inference(scope), normals(1, 4, 2)));
    }

    private void badCodeIsNamedOrMarked(Quantizer quantizer, int code) {
        Tensor codes = scope.ofInts(Shape.of(1), code);
        if (TestDevice.refusesBadValues(device)) {
            assertMessage(Integer.toString(code), () -> quantizer.decode(scope, codes));
        } else {
            for (float q : quantizer.decode(scope, codes).toFloatArray()) {
                assertTrue(Float.isNaN(q));
            }
        }
    }

    private static void assertMessage(String part, Runnable body) {
        RuntimeException e = assertThrows(RuntimeException.class, body::run);
        assertTrue(e.getMessage().contains(part), e.getMessage());
    }
}
