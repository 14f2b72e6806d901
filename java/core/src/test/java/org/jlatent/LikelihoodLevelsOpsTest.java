package org.jlatent;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import org.jlatent.LikelihoodLevelsOps.Distribution;
import org.jlatent.LikelihoodLevelsOps.Options;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

@OnEveryDevice
final class LikelihoodLevelsOpsTest {
    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    @Test
    void categoricalOfCodesInTheirOwnShape() {
        Tensor logits = scope.of(Shape.of(2, 1, 2, 3), 1, 2, 3, 0, 0, 0, -1, 5, 2, 4, 4, 1);
        Tensor codes = scope.ofInts(Shape.of(2, 1, 2), 2, 0, 1, 1);
        LikelihoodOps.Result r =
                LikelihoodLevelsOps.nll(
                        scope, Options.categorical(3), logits, codes, null, null, true);
        double first = Math.log(Math.exp(-2) + Math.exp(-1) + 1) + Math.log(3);
        double second = Math.log(Math.exp(-6) + 1 + Math.exp(-3)) + Math.log(2 + Math.exp(-3));
        assertArrayEquals(
                new float[] {(float) first, (float) second}, r.nllRows().toFloatArray(), 1e-6f);
        assertEquals(first + second, r.nllTotal().toFloatArray()[0], 1e-6);
        assertEquals(logits.shape(), r.dParameters().shape());
        assertEquals(1.0 / 3 - 1, r.dParameters().toFloatArray()[3], 1e-6);
    }

    /** A scale far below a bin's width: all the probability is its mean's level's. */
    @Test
    void mixtureWithoutSpreadIsItsMean() {
        Options options = Options.logisticMixture(2, 5, 1);
        // logit; means, the second level of five and 0; scales; the first one's pull on the second
        float[] pixel = {0, -0.5f, 0, -7, -7, (float) (0.5 * Math.log(3))}; // tanh = 1/2
        Tensor parameters = scope.of(Shape.of(1, 6), pixel);
        Tensor x = scope.ofInts(Shape.of(1, 2), 1, 2); // 0 - 0.5 / 2 lies on an edge: half of 2
        LikelihoodOps.Result r =
                LikelihoodLevelsOps.nll(scope, options, parameters, x, null, null, false);
        assertEquals(Math.log(2), r.nllTotal().toFloatArray()[0], 1e-3);
        Random random = new Random(scope, 1);
        int[] drawn =
                LikelihoodLevelsOps.draw(
                                scope, options, parameters, Shape.of(1, 2), random, 0, 1, 0)
                        .toIntArray();
        assertEquals(1, drawn[0]);
        assertTrue(drawn[1] == 1 || drawn[1] == 2, "got " + drawn[1]);
    }

    @Test
    void drawsAreTheSameForTheSameStateAndKeepToTheTop() {
        float[] logits = new float[200 * 4];
        for (int i = 0; i < logits.length; i++) {
            logits[i] = i % 4;
        }
        Tensor parameters = scope.of(Shape.of(2, 10, 10, 4), logits);
        Random random = new Random(scope, 7);
        Shape shape = Shape.of(2, 10, 10);
        Options options = Options.categorical(4);
        int[] all =
                LikelihoodLevelsOps.draw(scope, options, parameters, shape, random, 1, 1, 0)
                        .toIntArray();
        int[] again =
                LikelihoodLevelsOps.draw(scope, options, parameters, shape, random, 1, 1, 4)
                        .toIntArray();
        int[] top =
                LikelihoodLevelsOps.draw(scope, options, parameters, shape, random, 1, 1, 2)
                        .toIntArray();
        int[] cold =
                LikelihoodLevelsOps.draw(scope, options, parameters, shape, random, 1, 0.01f, 0)
                        .toIntArray();
        assertArrayEquals(all, again);
        boolean[] seen = new boolean[4];
        for (int i = 0; i < 200; i++) {
            seen[all[i]] = true;
            assertTrue(top[i] >= 2, "outside the two largest: " + top[i]);
            assertEquals(3, cold[i]);
        }
        assertArrayEquals(new boolean[] {true, true, true, true}, seen);
        Tensor coins = scope.of(Shape.of(1, 3), 20, -20, Float.NaN);
        assertArrayEquals(
                new int[] {1, 0, -1},
                LikelihoodLevelsOps.draw(
                                scope, Options.bernoulli(), coins, Shape.of(1, 3), random, 1, 1, 0)
                        .toIntArray());
    }

    @Test
    void whatDoesNotFitIsNamed() {
        Options four = Options.categorical(4);
        Tensor logits = scope.zeros(Shape.of(2, 8));
        Tensor x = scope.ofInts(Shape.of(2, 2), 0, 1, 2, 3);
        Random random = new Random(scope, 1);
        assertMessage(
                ShapeException.class,
                "need 4 parameters a pixel, got [2, 8]",
                () -> nll(four, logits, scope.ofInts(Shape.of(2, 3), 0, 0, 0, 0, 0, 0)));
        assertMessage(
                ShapeException.class,
                "do not share 3 rows",
                () -> nll(four, logits, scope.ofInts(Shape.of(3, 2), 0, 0, 0, 0, 0, 0)));
        assertMessage(
                ShapeException.class,
                "x must be I32",
                () -> nll(four, logits, scope.zeros(Shape.of(2, 2))));
        if (TestDevice.refusesBadValues(device)) {
            assertMessage(
                    DeviceException.class,
                    "x[1] is 4, but there are 4 levels",
                    () -> nll(four, logits, scope.ofInts(Shape.of(2, 2), 0, 4, 2, 3)));
            assertMessage(
                    DeviceException.class,
                    "x[2] is -1",
                    () -> nll(four, logits, scope.ofInts(Shape.of(2, 2), 0, 1, -1, 3)));
        } else {
            Tensor bad = scope.ofInts(Shape.of(2, 2), 0, 4, 2, 3);
            float[] rows =
                    LikelihoodLevelsOps.nll(scope, four, logits, bad, null, null, false)
                            .nllRows()
                            .toFloatArray();
            assertTrue(Float.isNaN(rows[0]) && Float.isFinite(rows[1]), Arrays.toString(rows));
        }
        assertMessage(
                IllegalArgumentException.class,
                "Bernoulli",
                () -> nll(Options.bernoulli(), x, scope.ofInts(Shape.of(2, 2), 0, 0, 0, 0)));
        for (float temperature : new float[] {0, -1, Float.NaN, Float.POSITIVE_INFINITY}) {
            assertMessage(
                    IllegalArgumentException.class,
                    "temperature must be positive and finite, got " + temperature,
                    () -> draw(four, logits, random, temperature, 0));
        }
        for (int topK : new int[] {-1, 5}) {
            assertMessage(
                    IllegalArgumentException.class,
                    "to 4, got " + topK,
                    () -> draw(four, logits, random, 1, topK));
        }
        assertMessage(
                IllegalArgumentException.class,
                "got 1 for a LOGISTIC_MIXTURE",
                () -> draw(Options.logisticMixture(1, 4, 1), logits, random, 1, 1));
        assertMessage(
                IllegalArgumentException.class,
                "levels must be from 2",
                () -> Options.categorical(1));
        assertMessage(
                IllegalArgumentException.class,
                "got 35 components of 3 channels",
                () -> Options.logisticMixture(3, 256, 35));
        assertMessage(
                IllegalArgumentException.class,
                "from 1 to 1, got 3",
                () -> new Options(Distribution.CATEGORICAL, 3, 256, 1));
        Tensor none = scope.of(Shape.of(2), 0.5f, 1.5f);
        if (TestDevice.refusesBadValues(device)) {
            assertMessage(
                    DeviceException.class,
                    "values[1] is 1.5",
                    () -> LikelihoodLevelsOps.ofValues(scope, none, 256));
        } else {
            assertEquals(-1, LikelihoodLevelsOps.ofValues(scope, none, 256).toIntArray()[1]);
        }
        assertArrayEquals(
                new int[] {0, 128, 255},
                LikelihoodLevelsOps.ofValues(scope, scope.of(Shape.of(3), 0, 128 / 255.0f, 1), 256)
                        .toIntArray());
    }

    private void nll(Options options, Tensor parameters, Tensor x) {
        LikelihoodLevelsOps.nll(scope, options, parameters, x, null, null, false);
    }

    private void draw(
            Options options, Tensor parameters, Random random, float temperature, int topK) {
        LikelihoodLevelsOps.draw(
                scope, options, parameters, Shape.of(2, 2), random, 0, temperature, topK);
    }

    private static void assertMessage(
            Class<? extends RuntimeException> type, String part, Runnable action) {
        String message = assertThrows(type, action::run).getMessage();
        assertTrue(message.contains(part), message);
    }
}
