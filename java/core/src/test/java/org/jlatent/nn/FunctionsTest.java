package org.jlatent.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.function.BiFunction;
import org.jlatent.CausalAttentionOps;
import org.jlatent.Device;
import org.jlatent.DeviceException;
import org.jlatent.EmbeddingOps;
import org.jlatent.GradientCheck;
import org.jlatent.NormOps;
import org.jlatent.OnEveryDevice;
import org.jlatent.Ops;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.ShapeOps;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.TestDevice;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Recorded functions and the layers made of them: values by hand, gradients by differences. */
@OnEveryDevice
final class FunctionsTest {
    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);
    private final Init init = new Init(scope, 3);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    private Tensor input(long... extents) {
        return values(scope, 1.3, extents);
    }

    private static Tensor values(Scope scope, double step, long... extents) {
        Shape shape = Shape.of(extents);
        float[] values = new float[(int) shape.elements()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) Math.sin(step * i + 0.4);
        }
        return scope.of(shape, values);
    }

    /** 0, 1, 2, ... */
    private Tensor counting(long... extents) {
        Shape shape = Shape.of(extents);
        float[] values = new float[(int) shape.elements()];
        for (int i = 0; i < values.length; i++) {
            values[i] = i;
        }
        return scope.of(shape, values);
    }

    /** sum of w y^2 with a weight of its own for every element: no two gradients are alike. */
    private static Tensor loss(Tape tape, Tensor y) {
        Tensor w = values(tape.scope(), 0.7, y.shape().toArray());
        return Functions.sum(tape, Functions.multiply(tape, w, Functions.multiply(tape, y, y)));
    }

    private void check(Tensor x, BiFunction<Tape, Tensor, Tensor> f) {
        GradientCheck.check(scope, x, (tape, t) -> loss(tape, f.apply(tape, t)));
    }

    private Tape inference() {
        return Tape.inference(scope);
    }

    @Test
    void addAndMultiply() {
        Tensor a = input(2, 3);
        Tensor b = values(scope, 0.9, 2, 3);
        check(a, (tape, t) -> Functions.add(tape, t, b));
        check(a, (tape, t) -> Functions.add(tape, b, t));
        check(a, (tape, t) -> Functions.multiply(tape, t, b));
        check(a, (tape, t) -> Functions.multiply(tape, b, t));
        Tensor product = Functions.multiply(inference(), counting(3), counting(3));
        assertArrayEquals(new float[] {0, 1, 4}, product.toFloatArray());
        Tape tape = new Tape(scope);
        tape.watch(a);
        tape.backward(loss(tape, Functions.multiply(tape, a, b)));
        assertNull(tape.gradient(b), "nothing is computed for what is not tracked");
    }

    @Test
    void sumAndMeanAlongEveryAxis() {
        Tensor x = counting(2, 3, 2);
        Tape tape = inference();
        assertEquals(66, Functions.sum(tape, x).item());
        assertEquals(5.5f, Functions.mean(tape, x).item());
        Tensor middle = Functions.sum(tape, x, 1);
        assertEquals(Shape.of(2, 2), middle.shape());
        assertArrayEquals(new float[] {6, 9, 24, 27}, middle.toFloatArray());
        assertArrayEquals(new float[] {2, 3, 8, 9}, Functions.mean(tape, x, -2).toFloatArray());
        assertArrayEquals(new float[] {6, 8, 10, 12, 14, 16}, Ops.sum(scope, x, 0).toFloatArray());
        assertArrayEquals(new float[] {1, 5, 9, 13, 17, 21}, Ops.sum(scope, x, -1).toFloatArray());
        assertEquals(Shape.of(1), Ops.sum(scope, counting(4), 0).shape());
        assertArrayEquals(new float[2], Ops.sum(scope, counting(2, 0), 1).toFloatArray());
        Tensor y = input(2, 3, 4);
        for (int axis : new int[] {0, 1, 2, -1, -3}) {
            check(y, (t, v) -> Functions.sum(t, v, axis));
            check(y, (t, v) -> Functions.mean(t, v, axis));
        }
        check(y, Functions::mean);
        check(input(5), (t, v) -> Functions.sum(t, v, 0));
    }

    @Test
    void concatAndSliceAlongEveryAxis() {
        Tape tape = inference();
        Tensor joined = Functions.concat(tape, 1, counting(2, 1), counting(2, 2), counting(2, 1));
        assertArrayEquals(new float[] {0, 0, 1, 0, 1, 2, 3, 1}, joined.toFloatArray());
        Tensor cut = Functions.slice(tape, counting(2, 3, 2), 1, 1, 3);
        assertEquals(Shape.of(2, 2, 2), cut.shape());
        assertArrayEquals(new float[] {2, 3, 4, 5, 8, 9, 10, 11}, cut.toFloatArray());
        Tensor codes = scope.ofInts(Shape.of(2, 2), 7, -1, 0, 1 << 30);
        assertArrayEquals(
                new int[] {-1, 1 << 30}, ShapeOps.slice(scope, codes, 1, 1, 2).toIntArray());
        assertEquals(Shape.of(0, 3), ShapeOps.slice(scope, counting(2, 3), 0, 1, 1).shape());
        assertArrayEquals(
                new float[] {0, 1, 2},
                ShapeOps.concat(scope, 0, counting(0), counting(3)).toFloatArray());
        Tensor x = input(2, 3, 2);
        for (int axis = -3; axis < 3; axis++) {
            int along = axis;
            long extent = x.shape().get(axis);
            check(x, (t, v) -> Functions.slice(t, v, along, 1, extent));
            check(x, (t, v) -> Functions.slice(t, v, along, 0, 1));
            // Once in the middle, once at the end: both gradients add up.
            Tensor other = values(scope, 0.3, 2, 3, 2);
            check(x, (t, v) -> Functions.concat(t, along, other, v, other, v));
        }
    }

    @Test
    void repeatIsTheTransposeOfSum() {
        assertArrayEquals(
                new float[] {0, 1, 0, 1, 2, 3, 2, 3},
                ShapeOps.repeat(scope, counting(2, 2), 1, 2).toFloatArray());
        assertArrayEquals(
                new float[] {0, 0, 0, 1, 1, 1},
                ShapeOps.repeat(scope, counting(2), 1, 3).toFloatArray());
        assertEquals(Shape.of(0, 2), ShapeOps.repeat(scope, counting(2), 0, 0).shape());
    }

    @Test
    void reshapeAndSoftmax() {
        Tensor x = input(2, 6);
        check(x, (tape, t) -> Functions.reshape(tape, t, Shape.of(3, 4)));
        check(x, Functions::softmax);
        check(x, Functions::logSoftmax);
        Tensor p = Functions.softmax(inference(), scope.of(Shape.of(1, 2), 0, (float) Math.log(3)));
        assertArrayEquals(new float[] {0.25f, 0.75f}, p.toFloatArray(), 1e-6f);
        Tensor log = Functions.logSoftmax(inference(), scope.of(Shape.of(2), 1e30f, -1e30f));
        assertArrayEquals(new float[] {0, -2e30f}, log.toFloatArray(), 1e24f);
    }

    @Test
    void causalAttentionWeighsWhatCameBefore() {
        check(input(1, 2, 2, 12), (tape, t) -> Functions.causalAttention(tape, t, 2));
        check(input(2, 5, 3), (tape, t) -> Functions.causalAttention(tape, t, 1));
        // Keys are 0, so values so far have the same weight; each head has its own.
        Tensor qkv =
                scope.of(
                        Shape.of(1, 3, 6), 5, 7, 0, 0, 1, 10, 5, 7, 0, 0, 3, 20, 5, 7, 0, 0, 5, 60);
        Tensor y = Functions.causalAttention(inference(), qkv, 2);
        assertEquals(Shape.of(1, 3, 2), y.shape());
        assertArrayEquals(new float[] {1, 10, 2, 15, 3, 30}, y.toFloatArray(), 1e-5f);
        // A key that fits: e^(log 3) against e^0.
        float key = (float) Math.log(3);
        Tensor fits = scope.of(Shape.of(1, 2, 3), 1, 0, 0, 1, key, 4);
        assertArrayEquals(
                new float[] {0, 3},
                Functions.causalAttention(inference(), fits, 1).toFloatArray(),
                1e-6f);
        for (int heads : new int[] {0, -1, 3}) {
            fails(
                    "got 12 channels and " + heads + " heads",
                    () -> Functions.causalAttention(inference(), input(1, 2, 12), heads));
        }
        fails("got 387 channels", () -> CausalAttentionOps.forward(scope, input(1, 387), 1, false));
        fails("got [3]", () -> CausalAttentionOps.forward(scope, input(3), 1, false));
        CausalAttentionOps.Result r = CausalAttentionOps.forward(scope, qkv, 2, true);
        fails(
                "dy must be [1, 3, 2], got [3, 2]",
                () -> CausalAttentionOps.backward(scope, qkv, 2, r, input(3, 2)));
        CausalAttentionOps.Result none = CausalAttentionOps.forward(scope, qkv, 2, false);
        assertThrows(
                IllegalArgumentException.class,
                () -> CausalAttentionOps.backward(scope, qkv, 2, none, y));
    }

    @Test
    void causalAttentionIsTheSameOnAnyNumberOfThreads() {
        float[] one = attentionGradient(1);
        for (int threads : new int[] {2, 3}) {
            assertArrayEquals(one, attentionGradient(threads));
        }
    }

    private static float[] attentionGradient(int threads) {
        try (Device cpu = Device.cpu().threads(threads);
                Scope owned = new Scope(cpu)) {
            Tensor qkv = values(owned, 1.3, 2, 150, 18);
            CausalAttentionOps.Result r = CausalAttentionOps.forward(owned, qkv, 2, true);
            return CausalAttentionOps.backward(owned, qkv, 2, r, r.y()).toFloatArray();
        }
    }

    @Test
    void l2NormalizeMakesRowsOfLengthOne() {
        check(input(2, 3, 4), Functions::l2Normalize);
        Tensor x = scope.of(Shape.of(2, 2), 3, -4, 0, 0);
        Tensor y = Functions.l2Normalize(inference(), x);
        assertArrayEquals(new float[] {0.6f, -0.8f, 0, 0}, y.toFloatArray(), 1e-7f);
        NormOps.l2NormalizeInPlace(x);
        assertArrayEquals(y.toFloatArray(), x.toFloatArray());
        fails("no axis -1", () -> Functions.l2Normalize(inference(), scope.zeros(Shape.of())));
        fails("must be [2, 2]", () -> NormOps.l2NormalizeBackward(scope, x, input(2, 3)));
    }

    @Test
    void upsampleRepeatsPixels() {
        Tensor y = new Upsample(2, 3).forward(inference(), counting(1, 1, 2, 1));
        assertEquals(Shape.of(1, 2, 6, 1), y.shape());
        assertArrayEquals(new float[] {0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1}, y.toFloatArray());
        check(input(2, 2, 3, 2), (tape, t) -> Functions.upsample(tape, t, 2, 3));
    }

    @Test
    void subsampleTakesEverySecondPixel() {
        Tensor y = Functions.subsample(inference(), counting(1, 2, 4, 2));
        assertEquals(Shape.of(1, 1, 2, 2), y.shape());
        assertArrayEquals(new float[] {0, 1, 4, 5}, y.toFloatArray());
        y = Functions.subsample(inference(), counting(2, 4, 2, 1));
        assertArrayEquals(new float[] {0, 4, 8, 12}, y.toFloatArray());
        check(input(2, 4, 6, 3), Functions::subsample);
        fails("got [1, 3, 4, 1]", () -> Functions.subsample(inference(), input(1, 3, 4, 1)));
        fails("got [2, 6]", () -> Functions.subsample(inference(), input(2, 6)));
    }

    @Test
    void concatEluKeepsBothSigns() {
        Tensor y = Functions.concatElu(inference(), scope.of(Shape.of(2, 2), 1, -2, 0, 3));
        float[] below = {0, -0.86466473f, -0.63212055f, -0.95021296f}; // e^-x - 1
        assertArrayEquals(
                new float[] {1, below[1], below[2], 2, 0, 3, 0, below[3]}, y.toFloatArray(), 1e-6f);
        check(input(2, 3, 5), Functions::concatElu);
        check(input(7), Functions::concatElu);
        fails("scalar", () -> Functions.concatElu(inference(), scope.zeros(Shape.of())));
        Tensor x = input(2, 3);
        fails("must be [2, 6], got [2, 3]", () -> Ops.concatEluBackward(scope, x, x));
    }

    @Test
    void dropoutIsForTrainingOnly() {
        Random random = new Random(scope, 9);
        Dropout dropout = new Dropout(random, 4, 0.5f);
        Tensor x = scope.filled(Shape.of(1000), 1);
        assertSame(x, dropout.forward(inference(), x));
        Tape tape = new Tape(scope);
        tape.watch(x);
        Tensor y = dropout.forward(tape, x);
        tape.backward(Functions.sum(tape, y));
        int kept = 0;
        for (float value : y.toFloatArray()) {
            assertTrue(value == 0 || value == 2, "dropped, or scaled by 1 / (1 - drop): " + value);
            kept += value == 2 ? 1 : 0;
        }
        assertEquals(500, kept, 80, "five standard deviations");
        assertArrayEquals(y.toFloatArray(), tape.gradient(x).toFloatArray());
        random.advance();
        Tensor later = dropout.forward(new Tape(scope), x);
        assertFalse(
                Arrays.equals(later.toFloatArray(), y.toFloatArray()), "a new step, a new mask");
        for (float value : Ops.dropout(scope, x, random, 4, 0.5f, false).toFloatArray()) {
            assertTrue(value == 0 || value == 1, "a mask does not scale: " + value);
        }
        assertSame(x, new Dropout(random, 4, 0).forward(new Tape(scope), x));
    }

    @Test
    void embeddingLooksUpAndLearnsItsRows() {
        Embedding embedding = new Embedding(init, 5, 3);
        Tensor weight = embedding.parameters().get("weight");
        Tensor codes = scope.ofInts(Shape.of(2, 3), 4, 0, 4, 1, 4, 0);
        Tensor y = embedding.forward(inference(), codes);
        assertEquals(Shape.of(2, 3, 3), y.shape());
        float[] table = weight.toFloatArray();
        float[] values = y.toFloatArray();
        int[] code = codes.toIntArray();
        for (int i = 0; i < values.length; i++) {
            assertEquals(table[3 * code[i / 3] + i % 3], values[i]);
        }
        GradientCheck.check(scope, weight, (tape, t) -> loss(tape, embedding.forward(tape, codes)));
        assertEquals(0, embedding.outOfRange());
    }

    @Test
    void normalInitHasItsDeviation() {
        double square = 0;
        float[] values = new Init(scope, 1).normal(Shape.of(100, 100), 0.5).toFloatArray();
        for (float v : values) {
            square += v * v;
        }
        assertEquals(0.25, square / values.length, 5 * 0.25 * Math.sqrt(2.0 / values.length));
    }

    @Test
    void badInputsAreNamed() {
        Tensor x = input(2, 3);
        Tensor codes = scope.ofInts(Shape.of(2), 0, 4);
        fails("[2, 3] has no axis 2", () -> Ops.sum(scope, x, 2));
        fails("no axis -3", () -> Ops.mean(scope, x, -3));
        fails("has no elements", () -> Ops.mean(scope, counting(2, 0), 1));
        fails("must be [2, 3], got [3, 2]", () -> Ops.multiply(scope, x, input(3, 2)));
        fails("at least one", () -> ShapeOps.concat(scope, 0));
        fails("[2, 3] and [3, 2] differ", () -> ShapeOps.concat(scope, 0, x, input(3, 2)));
        fails("[2, 3] and [2] differ", () -> ShapeOps.concat(scope, 0, x, input(2)));
        fails("[1, 4) is not within axis 1 of [2, 3]", () -> ShapeOps.slice(scope, x, 1, 1, 4));
        fails("[2, 1)", () -> ShapeOps.slice(scope, x, -1, 2, 1));
        fails("an axis 3 of 2", () -> ShapeOps.repeat(scope, x, 3, 2));
        fails("got [2, 3]", () -> ShapeOps.upsample(scope, x, 2, 2));
        fails("0 and 2", () -> new Upsample(0, 2));
        fails(
                "must be [1, 2, 4, 1], got [1, 3, 4, 1]",
                () -> ShapeOps.upsampleBackward(scope, input(1, 3, 4, 1), 2, 2));
        fails("codes must be I32", () -> EmbeddingOps.forward(scope, x, x, null));
        fails("got [3]", () -> EmbeddingOps.forward(scope, input(3), codes, null));
        fails("0 and 3", () -> new Embedding(init, 0, 3));
        fails("F32", () -> Ops.softmax(scope, codes));
        fails("[] has no axis -1", () -> Ops.softmax(scope, scope.zeros(Shape.of())));
        Random random = new Random(scope, 1);
        for (float drop : new float[] {1, -0.1f, Float.NaN}) {
            assertThrows(IllegalArgumentException.class, () -> new Dropout(random, 0, drop));
            assertThrows(
                    IllegalArgumentException.class,
                    () -> Ops.dropout(scope, x, random, 0, drop, true));
        }
    }

    @Test
    void codesOutOfRangeAreRefusedOrMarked() {
        Embedding embedding = new Embedding(init, 5, 2);
        Tensor codes = scope.ofInts(Shape.of(3), 0, 5, 1);
        if (TestDevice.refusesBadValues(device)) {
            DeviceException refused =
                    assertThrows(
                            DeviceException.class, () -> embedding.forward(inference(), codes));
            assertTrue(
                    refused.getMessage().contains("codes[1] is 5, but the table has 5 rows"),
                    refused.getMessage());
            return;
        }
        float[] y = embedding.forward(inference(), codes).toFloatArray();
        assertTrue(Float.isNaN(y[2]) && Float.isNaN(y[3]) && !Float.isNaN(y[1]));
        assertEquals(1, embedding.outOfRange());
    }

    private static void fails(String part, Runnable action) {
        String message = assertThrows(ShapeException.class, action::run).getMessage();
        assertTrue(message.contains(part), message);
    }
}
