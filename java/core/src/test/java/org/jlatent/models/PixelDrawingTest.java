package org.jlatent.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import org.jlatent.JlatentException;
import org.jlatent.OnEveryDevice;
import org.jlatent.Tensor;
import org.jlatent.data.ImageShape;
import org.jlatent.models.AutoregressiveModel.Draws;
import org.jlatent.nn.Likelihoods;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Images drawn in one call are those that whole forward passes draw. */
@OnEveryDevice
final class PixelDrawingTest {
    private static final ImageShape GREY = new ImageShape(6, 5, 1);
    private static final ImageShape COLOUR = new ImageShape(4, 5, 3);

    private final TinyPixelModels models = new TinyPixelModels();

    @AfterEach
    void close() {
        models.close();
    }

    /** Weights whose distributions are far from uniform, so that the draws depend on each other. */
    private AutoregressiveModel scaled(AutoregressiveModel model) {
        for (Tensor p : model.parameters().values()) {
            models.scale(p, 1.5);
        }
        return model;
    }

    /**
     * Naive draws are the same, but for a few within rounding of an edge between two levels; from
     * there on the two go on with the same values.
     */
    private static void assertDrawnNaively(
            AutoregressiveModel model,
            float[] images,
            boolean[] given,
            Condition condition,
            Draws how) {
        float[] naive = model.completeNaively(images, given, condition, how);
        float[] from = images.clone();
        boolean[] known = given.clone();
        int values = model.image().values();
        int channels = model.image().channels();
        double level = 1.001 / (AutoregressiveModel.levels(model.likelihood()) - 1);
        int edges = 0;
        for (int at = 0; at >= 0; ) {
            float[] drawn = model.complete(from, known, condition, how);
            at = Arrays.mismatch(naive, drawn);
            if (at >= 0) {
                assertEquals(naive[at], drawn[at], level, "at " + at);
                assertTrue(++edges <= 1 + naive.length / 100, edges + " of " + naive.length);
                int image = at / values * values;
                int end = at / channels * channels + channels;
                System.arraycopy(naive, image, from, image, end - image);
                Arrays.fill(known, image, end, true);
            }
        }
    }

    private static void compare(AutoregressiveModel model, Condition condition, int count) {
        for (Draws how : new Draws[] {Draws.of(3), Draws.of(4).withTemperature(0.7f)}) {
            int length = count * model.image().values();
            float[] none = new float[length];
            boolean[] given = new boolean[length];
            float[] drawn = model.sample(count, condition, how);
            assertDrawnNaively(model, none, given, condition, how);
            int values = model.image().values();
            int changes = 0; // from a value to the next, in the first image
            for (int i = 1; i < values; i++) {
                changes += drawn[i] == drawn[i - 1] ? 0 : 1;
            }
            assertTrue(changes > values / 8, changes + " changes");

            int channels = model.image().channels();
            for (int i = 0; i < length; i++) {
                given[i] = i / channels % 3 != 1;
            }
            float[] rest = model.complete(drawn, given, condition, Draws.of(8));
            assertDrawnNaively(model, drawn, given, condition, Draws.of(8));
            assertFalse(Arrays.equals(drawn, rest));
        }
    }

    @Test
    void plain() {
        compare(scaled(models.plain(GREY, 5, 3, 2)), Condition.none(), 4);
    }

    @Test
    void recurrent() {
        compare(scaled(models.recurrent(GREY, TinyPixelModels.rows())), Condition.none(), 4);
        compare(scaled(models.recurrent(COLOUR, TinyPixelModels.rows())), Condition.none(), 2);
    }

    @Test
    void gatedWithClassesAndMap() {
        GatedPixelCnnConfig config =
                TinyPixelModels.small().withClasses(3).withConditionChannels(2);
        Condition condition = new Condition(new int[] {2, 0, 1}, models.map(3, GREY, 2));
        compare(scaled(models.gated(GREY, config)), condition, 3);
    }

    @Test
    void withAttention() {
        GatedPixelCnnConfig config = TinyPixelModels.small().withAttention(2);
        compare(scaled(models.gated(GREY, config)), Condition.none(), 3);
        GatedPixelCnnConfig codes =
                config.withLikelihood(Likelihoods.categorical(7)).withCodes(true).withAttention(3);
        compare(scaled(models.gated(new ImageShape(3, 9, 1), codes)), Condition.none(), 2);
        GatedPixelCnnConfig wholePixels =
                config.withLikelihood(Likelihoods.discretizedLogisticMixture(2, 256, 3));
        compare(scaled(models.gated(COLOUR, wholePixels)), Condition.none(), 2);
    }

    @Test
    void channelsOneAfterTheOther() {
        compare(scaled(models.gated(COLOUR, TinyPixelModels.small())), Condition.none(), 2);
        compare(
                scaled(
                        models.gated(
                                COLOUR,
                                TinyPixelModels.small()
                                        .withLikelihood(Likelihoods.categorical(4)))),
                Condition.none(),
                2);
    }

    @Test
    void wholePixels() {
        compare(
                scaled(
                        models.gated(
                                COLOUR,
                                TinyPixelModels.small()
                                        .withLikelihood(
                                                Likelihoods.discretizedLogisticMixture(
                                                        2, 256, 3)))),
                Condition.none(),
                2);
    }

    @Test
    void mapsOfHalfTheSize() {
        ImageShape grey = new ImageShape(4, 6, 1);
        PixelCnnPlusPlusConfig bits = TinyPixelModels.plusPlus(1);
        compare(scaled(models.plusPlus(grey, bits.withDropout(0.5f))), Condition.none(), 3);
        compare(models.plusPlus(grey, bits.withClasses(3)), Condition.ofLabels(2, 0, 1), 3);
        ImageShape colour = new ImageShape(4, 4, 3);
        PixelCnnPlusPlusConfig levels = TinyPixelModels.plusPlus(3).withScales(3);
        compare(scaled(models.plusPlus(colour, levels)), Condition.none(), 2);
    }

    @Test
    void codes() {
        GatedPixelCnnConfig config =
                TinyPixelModels.small().withLikelihood(Likelihoods.categorical(7)).withCodes(true);
        compare(scaled(models.gated(GREY, config)), Condition.none(), 2);
    }

    @Test
    void theLikeliestLevelAloneIsThatOfTheLargestLogit() {
        GatedPixelCnnConfig config =
                TinyPixelModels.small().withLikelihood(Likelihoods.categorical(7));
        AutoregressiveModel model = scaled(models.gated(GREY, config));
        // or the first pixel's logits would all be 0
        model.parameters().get("network.out.bias").copyFrom(0, 1, 2, 0, 1, 2, 3);
        float[] first = model.sample(2, Condition.none(), Draws.of(1).withTopK(1));
        assertArrayEquals(first, model.sample(2, Condition.none(), Draws.of(2).withTopK(1)));
        assertEquals(2 * GREY.values(), first.length);
    }

    @Test
    void whatIsGivenHasALevel() {
        AutoregressiveModel model = models.plain(GREY, 5, 3, 1);
        float[] images = new float[GREY.values()];
        boolean[] given = new boolean[images.length];
        images[3] = 7;
        given[3] = true;
        JlatentException e =
                assertThrows(
                        JlatentException.class,
                        () -> model.complete(images, given, Condition.none(), Draws.of(1)));
        assertTrue(e.getMessage().contains("is none of"), e.getMessage());
    }
}
