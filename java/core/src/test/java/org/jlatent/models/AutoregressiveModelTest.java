package org.jlatent.models;

import static org.jlatent.models.TinyPixelModels.rows;
import static org.jlatent.models.TinyPixelModels.small;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.function.BiConsumer;
import org.jlatent.GradientCheck;
import org.jlatent.OnEveryDevice;
import org.jlatent.Ops;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.Functions;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihoods;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** No value depends on those after it, every one of those before it is seen, and gradients. */
@OnEveryDevice
final class AutoregressiveModelTest {
    private final TinyPixelModels tiny = new TinyPixelModels();

    @AfterEach
    void close() {
        tiny.close();
    }

    // ---- causality ----

    private static final int IMAGES = 2;

    private float[] logits(AutoregressiveModel model, float[] x, Condition condition) {
        Tensor images = tiny.scope.of(Shape.of(IMAGES, model.image().values()), x);
        return model.logits(Tape.inference(tiny.scope), images, condition).toFloatArray();
    }

    /**
     * Later pixels become NaN, and what follows in the pixel itself large numbers: not a bit of a
     * value's logits changes.
     */
    private void seesNothingLater(AutoregressiveModel model, Condition condition) {
        int values = model.image().values();
        int channels = model.image().channels();
        float[] x = tiny.bits(IMAGES, model.image()).toFloatArray();
        float[] expected = logits(model, x, condition);
        for (int value = 0; value < values; value++) {
            for (float large : new float[] {3e4f, -1e4f}) {
                float[] filled = x.clone();
                for (int image = 0; image < IMAGES; image++) {
                    int from = image * values + value;
                    int pixel = image * values + (value / channels + 1) * channels;
                    Arrays.fill(filled, from, pixel, large);
                    Arrays.fill(filled, pixel, (image + 1) * values, Float.NaN);
                }
                float[] actual = logits(model, filled, condition);
                for (int i = value; i < actual.length; i += values) {
                    assertEquals(
                            Float.floatToRawIntBits(expected[i]),
                            Float.floatToRawIntBits(actual[i]),
                            "value " + value + " of " + model.image() + ": " + actual[i]);
                }
            }
        }
    }

    private static final List<ImageShape> SHAPES =
            List.of(
                    new ImageShape(1, 1, 1),
                    new ImageShape(1, 5, 1),
                    new ImageShape(5, 1, 3),
                    new ImageShape(5, 4, 3),
                    new ImageShape(4, 9, 1));

    @Test
    void pixelCnnSeesNothingLater() {
        for (ImageShape shape : SHAPES) {
            for (int[] kernels : new int[][] {{7, 3}, {3, 3}, {3, 5}, {5, 1}}) {
                seesNothingLater(tiny.plain(shape, kernels[0], kernels[1], 2), Condition.none());
            }
        }
    }

    @Test
    void gatedPixelCnnSeesNothingLater() {
        for (ImageShape shape : SHAPES) {
            for (int[] kernels : new int[][] {{7, 3}, {3, 3}, {3, 5}, {5, 1}}) {
                GatedPixelCnnConfig config = small().withKernels(kernels[0], kernels[1]);
                seesNothingLater(tiny.gated(shape, config), Condition.none());
                seesNothingLater(
                        tiny.gated(shape, config.withClasses(3).withConditionChannels(2)),
                        new Condition(new int[] {2, 0}, tiny.map(IMAGES, shape, 2)));
            }
        }
    }

    @Test
    void attentionSeesNothingLater() {
        for (ImageShape shape : SHAPES) {
            GatedPixelCnnConfig config = small().withAttention(2);
            if (shape.channels() == 1) {
                seesNothingLater(tiny.gated(shape, config), Condition.none());
                seesNothingLater(tiny.gated(shape, config.withLayers(2)), Condition.none());
                continue;
            }
            // Channels in groups would see each other's levels; drawn together they do not.
            IllegalArgumentException e =
                    assertThrows(IllegalArgumentException.class, () -> tiny.gated(shape, config));
            assertTrue(e.getMessage().contains("drawn whole"), e.getMessage());
            tiny.gated(
                    shape,
                    config.withLikelihood(
                            Likelihoods.discretizedLogisticMixture(2, 256, shape.channels())));
        }
    }

    @Test
    void pixelRnnSeesNothingLater() {
        for (ImageShape shape : SHAPES) {
            for (int first : new int[] {3, 7}) {
                seesNothingLater(
                        tiny.recurrent(shape, rows().withFirstKernel(first)), Condition.none());
            }
        }
    }

    /** Codes cannot be NaN: any other ones serve. */
    @Test
    void embeddedCodesSeeNothingLater() {
        GatedPixelCnn model = tiny.gated(new ImageShape(3, 3, 3), small().withCodes(true));
        int values = model.image().values();
        float[] x = tiny.bits(IMAGES, model.image()).toFloatArray();
        float[] expected = logits(model, x, Condition.none());
        for (int value = 0; value < values; value++) {
            float[] other = x.clone();
            for (int i = 0; i < x.length; i++) {
                other[i] = i % values < value ? x[i] : 1 - x[i];
            }
            float[] actual = logits(model, other, Condition.none());
            int all = 0;
            for (int i = 0; i < actual.length; i++) {
                if (i % values <= value) {
                    assertEquals(expected[i], actual[i], "value " + i);
                } else {
                    all += expected[i] == actual[i] ? 0 : 1;
                }
            }
            assertTrue(value == values - 1 || all > 0, "nothing depends on value " + value);
        }
    }

    /** The pixel itself and those after it become NaN: not a bit of its parameters changes. */
    private void pixelsSeeNothingLater(AutoregressiveModel model, Condition condition) {
        int values = model.image().values();
        int channels = model.image().channels();
        float[] x = tiny.bits(IMAGES, model.image()).toFloatArray();
        float[] expected = logits(model, x, condition);
        int parameters = expected.length / (x.length / channels); // of a pixel
        for (int pixel = 0; pixel < values / channels; pixel++) {
            float[] filled = x.clone();
            for (int image = 0; image < IMAGES; image++) {
                Arrays.fill(
                        filled, image * values + pixel * channels, (image + 1) * values, Float.NaN);
            }
            float[] actual = logits(model, filled, condition);
            for (int image = 0; image < IMAGES; image++) {
                int from = (image * values / channels + pixel) * parameters;
                for (int i = from; i < from + parameters; i++) {
                    assertEquals(
                            Float.floatToRawIntBits(expected[i]),
                            Float.floatToRawIntBits(actual[i]),
                            "pixel " + pixel + " of " + model.image() + ": " + actual[i]);
                }
            }
        }
    }

    @Test
    void pixelCnnPlusPlusSeesNothingLater() {
        for (ImageShape shape :
                List.of(
                        new ImageShape(2, 2, 1),
                        new ImageShape(4, 6, 1),
                        new ImageShape(4, 4, 3))) {
            PixelCnnPlusPlusConfig config = TinyPixelModels.plusPlus(shape.channels());
            pixelsSeeNothingLater(tiny.plusPlus(shape, config), Condition.none());
            pixelsSeeNothingLater(
                    tiny.plusPlus(shape, config.withClasses(3)), Condition.ofLabels(2, 0));
        }
        PixelCnnPlusPlusConfig three = TinyPixelModels.plusPlus(1).withScales(3).withBlocks(2);
        pixelsSeeNothingLater(tiny.plusPlus(new ImageShape(8, 4, 1), three), Condition.none());
    }

    // ---- receptive field ----

    /** The pixels that the logits of one pixel 'o' depend on: '#'. */
    private String field(AutoregressiveModel model, int y, int x) {
        ImageShape shape = model.image();
        Tensor images = tiny.bits(1, shape);
        Tape tape = new Tape(tiny.scope);
        tape.watch(images);
        Tensor logits = model.logits(tape, images, Condition.none());
        float[] selected = new float[shape.values()];
        int at = y * shape.width() + x;
        selected[at] = 1;
        Tensor weights = tiny.scope.of(logits.shape(), selected);
        tape.backward(Functions.sum(tape, Functions.multiply(tape, logits, weights)));
        float[] gradient = tape.gradient(images).toFloatArray();
        StringBuilder picture = new StringBuilder();
        for (int i = 0; i < gradient.length; i++) {
            picture.append(i == at ? 'o' : gradient[i] == 0 ? '.' : '#');
            picture.append(i % shape.width() == shape.width() - 1 ? "\n" : "");
        }
        return picture.toString();
    }

    @Test
    void onlyTheGatedStacksSeeAllThatComesBefore() {
        ImageShape shape = new ImageShape(6, 9, 1);
        String gated = field(tiny.gated(shape, small().withLayers(5).withKernels(3, 3)), 4, 4);
        String plain = field(tiny.plain(shape, 3, 3, 4), 4, 4);
        System.out.println("Gated PixelCNN sees\n" + gated + "PixelCNN sees\n" + plain);
        assertEquals(
                """
                #########
                #########
                #########
                #########
                ####o....
                .........
                """,
                gated);
        assertEquals(
                """
                #########
                ########.
                #######..
                ######...
                ####o....
                .........
                """,
                plain);
    }

    @Test
    void smallMapsSeeAllThatComesBeforeToo() {
        PixelCnnPlusPlus model =
                tiny.plusPlus(new ImageShape(8, 8, 1), TinyPixelModels.plusPlus(1));
        assertEquals(
                """
                ########
                ########
                ########
                ########
                ########
                ###o....
                ........
                ........
                """,
                field(model, 5, 3));
    }

    /** A row LSTM sees a triangle, all the way to the first row. */
    @Test
    void aRowLstmSeesATriangle() {
        ImageShape shape = new ImageShape(6, 13, 1);
        assertEquals(
                """
                ###########..
                .#########...
                ..#######....
                ...#####.....
                ....##o......
                .............
                """,
                field(tiny.recurrent(shape, rows().withLayers(1)), 4, 6));
    }

    /**
     * What some pixel up to its own sees by two convolutions: all, but a row's last pixel, which is
     * near only to pixels yet to come.
     */
    @Test
    void attentionSeesFurtherThanItsConvolutions() {
        ImageShape shape = new ImageShape(6, 9, 1);
        GatedPixelCnnConfig near = small().withLayers(2).withKernels(3, 3);
        assertEquals(
                """
                .........
                .........
                ..#####..
                ..#####..
                ..##o....
                .........
                """,
                field(tiny.gated(shape, near), 4, 4));
        assertEquals(
                """
                #########
                #########
                #########
                ########.
                ####o....
                .........
                """,
                field(tiny.gated(shape, near.withAttention(3)), 4, 4));
    }

    // ---- gradients ----

    private void gradientsAreDifferences(AutoregressiveModel model, Condition condition) {
        Tensor x = tiny.bits(2, model.image());
        tiny.keepOffKinks(model);
        BiConsumer<String, Tensor> check =
                (name, parameter) ->
                        GradientCheck.check(
                                tiny.scope,
                                parameter,
                                (tape, t) -> {
                                    Tensor loss = model.objective(tape, x, condition).loss();
                                    Tensor tenth = tape.scope().scalar(0.1f);
                                    return tape.record(
                                            "tenth",
                                            loss,
                                            Ops.scale(tape.scope(), loss, tenth),
                                            d -> Ops.scale(tape.scope(), d, tenth));
                                });
        model.parameters().forEach(check);
    }

    @Test
    void gradientsOfTheGatedStacks() {
        ImageShape shape = new ImageShape(3, 4, 3);
        GatedPixelCnnConfig config =
                small().withLayers(2)
                        .withFeatures(3)
                        .withHead(3)
                        .withKernels(3, 3)
                        .withClasses(2)
                        .withConditionChannels(2);
        gradientsAreDifferences(
                tiny.gated(shape, config), new Condition(new int[] {1, 0}, tiny.map(2, shape, 2)));
        gradientsAreDifferences(
                tiny.gated(shape, config.withClasses(0).withConditionChannels(0).withCodes(true)),
                Condition.none());
    }

    @Test
    void gradientsOfAttention() {
        ImageShape shape = new ImageShape(3, 4, 1);
        GatedPixelCnnConfig config =
                small().withLayers(2)
                        .withFeatures(4)
                        .withHead(3)
                        .withKernels(3, 3)
                        .withAttention(2);
        gradientsAreDifferences(tiny.gated(shape, config), Condition.none());
    }

    @Test
    void gradientsOfResidualBlocks() {
        ImageShape shape = new ImageShape(3, 4, 3);
        PixelCnnConfig config =
                PixelCnnConfig.defaults()
                        .withBlocks(2)
                        .withFeatures(3)
                        .withHead(3)
                        .withKernels(3, 3);
        gradientsAreDifferences(
                new PixelCnn(new Init(tiny.scope, 4), shape, config, 1), Condition.none());
    }

    @Test
    @Tag("slow-on-stubs")
    void gradientsOfSmallAndLargeMaps() {
        ImageShape shape = new ImageShape(4, 2, 1);
        PixelCnnPlusPlusConfig config = TinyPixelModels.plusPlus(1).withFeatures(2);
        gradientsAreDifferences(
                tiny.plusPlus(shape, config.withClasses(2)), Condition.ofLabels(1, 0));
    }

    @Test
    void gradientsOfRowLstms() {
        PixelRnnConfig config = rows().withFeatures(3).withHead(3);
        gradientsAreDifferences(tiny.recurrent(new ImageShape(3, 4, 3), config), Condition.none());
    }

    @Test
    void everyParameterLearns() {
        ImageShape shape = new ImageShape(5, 4, 3);
        everyParameterLearns(tiny.plain(shape, 3, 3, 2));
        everyParameterLearns(tiny.recurrent(shape, rows()));
    }

    private void everyParameterLearns(AutoregressiveModel model) {
        Tape tape = new Tape(tiny.scope);
        model.watch(tape);
        tape.backward(model.objective(tape, tiny.bits(8, model.image())).loss());
        model.parameters()
                .forEach(
                        (name, parameter) -> {
                            float[] d = tape.gradient(parameter).toFloatArray();
                            double sum = 0;
                            for (float value : d) {
                                sum += Math.abs(value);
                            }
                            assertTrue(sum > 0 && Double.isFinite(sum), name + ": " + sum);
                        });
    }
}
