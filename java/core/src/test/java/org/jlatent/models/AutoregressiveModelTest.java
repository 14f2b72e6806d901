package org.jlatent.models;

import static org.jlatent.models.PixelNetwork.INPUT;
import static org.jlatent.models.PixelNetwork.NONE;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.function.BiConsumer;
import org.jlatent.Device;
import org.jlatent.GradientCheck;
import org.jlatent.MaskedConvOps.Options;
import org.jlatent.MaskedConvOps.Taps;
import org.jlatent.Ops;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.Functions;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * What makes an autoregressive model one: no value depends on those after it, so that the
 * probabilities of all images sum to 1.
 */
final class AutoregressiveModelTest {
    private static final ImageShape BITS = new ImageShape(2, 2, 1);
    private static final ImageShape COLOURS = new ImageShape(2, 1, 3);

    private final Device device = Device.cpu();
    private final Scope scope = new Scope(device);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    private PixelCnn plain(ImageShape image, int first, int others, int blocks) {
        PixelCnnConfig config =
                PixelCnnConfig.defaults()
                        .withBlocks(blocks)
                        .withFeatures(6)
                        .withHead(9)
                        .withKernels(first, others);
        return new PixelCnn(new Init(scope, 1), image, config, 1);
    }

    private static GatedPixelCnnConfig small() {
        return GatedPixelCnnConfig.defaults().withLayers(3).withFeatures(6).withHead(9);
    }

    private GatedPixelCnn gated(ImageShape image, GatedPixelCnnConfig config) {
        return new GatedPixelCnn(new Init(scope, 2), image, config, 1);
    }

    private static float[] wave(int count, double frequency) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) Math.sin(frequency * i + 0.4);
        }
        return values;
    }

    private Tensor bits(int count, ImageShape image) {
        float[] values = wave(count * image.values(), 1.3);
        for (int i = 0; i < values.length; i++) {
            values[i] = values[i] > 0 ? 1 : 0;
        }
        return scope.of(Shape.of(count, image.values()), values);
    }

    private Tensor map(int count, ImageShape image, int channels) {
        Shape shape = Shape.of(count, image.height(), image.width(), channels);
        return scope.of(shape, wave((int) shape.elements(), 0.7));
    }

    // ---- causality ----

    private static final int IMAGES = 2;

    private float[] logits(AutoregressiveModel model, float[] x, Condition condition) {
        Tensor images = scope.of(Shape.of(IMAGES, model.image().values()), x);
        return model.logits(Tape.inference(scope), images, condition).toFloatArray();
    }

    /**
     * Later pixels become NaN, and what follows in the pixel itself large numbers: not a bit of a
     * value's logits changes.
     */
    private void seesNothingLater(AutoregressiveModel model, Condition condition) {
        int values = model.image().values();
        int channels = model.image().channels();
        float[] x = bits(IMAGES, model.image()).toFloatArray();
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
                seesNothingLater(plain(shape, kernels[0], kernels[1], 2), Condition.none());
            }
        }
    }

    @Test
    void gatedPixelCnnSeesNothingLater() {
        for (ImageShape shape : SHAPES) {
            for (int[] kernels : new int[][] {{7, 3}, {3, 3}, {3, 5}, {5, 1}}) {
                GatedPixelCnnConfig config = small().withKernels(kernels[0], kernels[1]);
                seesNothingLater(gated(shape, config), Condition.none());
                seesNothingLater(
                        gated(shape, config.withClasses(3).withConditionChannels(2)),
                        new Condition(new int[] {2, 0}, map(IMAGES, shape, 2)));
            }
        }
    }

    /** Codes cannot be NaN: any other ones serve. */
    @Test
    void embeddedCodesSeeNothingLater() {
        GatedPixelCnn model = gated(new ImageShape(3, 3, 3), small().withCodes(true));
        int values = model.image().values();
        float[] x = bits(IMAGES, model.image()).toFloatArray();
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

    // ---- receptive field ----

    /** The pixels that the logits of one pixel 'o' depend on: '#'. */
    private String field(AutoregressiveModel model, int y, int x) {
        ImageShape shape = model.image();
        Tensor images = bits(1, shape);
        Tape tape = new Tape(scope);
        tape.watch(images);
        Tensor logits = model.logits(tape, images, Condition.none());
        float[] selected = new float[shape.values()];
        int at = y * shape.width() + x;
        selected[at] = 1;
        Tensor weights = scope.of(logits.shape(), selected);
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
        String gated = field(gated(shape, small().withLayers(5).withKernels(3, 3)), 4, 4);
        String plain = field(plain(shape, 3, 3, 4), 4, 4);
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

    // ---- probabilities ----

    private static final double DEVIATION = 2;

    /** Larger weights than a model starts with, for probabilities that are far from one half. */
    private void sharpen(AutoregressiveModel model, Condition condition) {
        model.parameters().values().forEach(parameter -> scale(parameter, 4));
        double factor = DEVIATION / deviation(model, condition);
        scale(model.parameters().get("network.out.weight"), factor);
        scale(model.parameters().get("network.out.bias"), factor);
        assertEquals(DEVIATION, deviation(model, condition), 1e-3);
    }

    private void scale(Tensor parameter, double factor) {
        Tensor by = scope.scalar((float) factor);
        parameter.copyFrom(Ops.scale(scope, parameter, by).toFloatArray());
    }

    /** Of the logits of all images. */
    private double deviation(AutoregressiveModel model, Condition condition) {
        Tensor x = all(model);
        float[] logits = model.logits(Tape.inference(scope), x, condition).toFloatArray();
        double mean = 0;
        double square = 0;
        for (float logit : logits) {
            mean += (double) logit / logits.length;
            square += (double) logit * logit / logits.length;
        }
        return Math.sqrt(square - mean * mean);
    }

    /** All images there are, {@code [levels^values, values]}. */
    private Tensor all(AutoregressiveModel model) {
        int values = model.image().values();
        int levels = AutoregressiveModel.levels(model.likelihood());
        int count = (int) Math.pow(levels, values);
        float[] x = new float[count * values];
        for (int image = 0; image < count; image++) {
            for (int i = 0, rest = image; i < values; i++, rest /= levels) {
                x[image * values + i] = (float) (rest % levels) / (levels - 1);
            }
        }
        return scope.of(Shape.of(count, values), x);
    }

    private double[] probabilities(AutoregressiveModel model, Tensor x, Condition condition) {
        Tape tape = Tape.inference(scope);
        Tensor logits = model.logits(tape, x, condition);
        float[] nll = model.likelihood().loss(tape, logits, x, null).rows().toFloatArray();
        double[] p = new double[nll.length];
        Arrays.setAll(p, i -> Math.exp(-nll[i]));
        return p;
    }

    /** The sum over all images, of a model that knows what it wants. */
    private double total(AutoregressiveModel model, Condition condition) {
        sharpen(model, condition);
        return Arrays.stream(probabilities(model, all(model), condition)).sum();
    }

    private Condition condition(ImageShape shape, int channels) {
        int count = 1 << shape.values();
        int[] labels = new int[count];
        Arrays.fill(labels, 1);
        float[] one = map(1, shape, channels).toFloatArray(); // the same for all
        float[] maps = new float[count * one.length];
        for (int i = 0; i < maps.length; i++) {
            maps[i] = one[i % one.length];
        }
        Shape of = Shape.of(count, shape.height(), shape.width(), channels);
        return new Condition(labels, scope.of(of, maps));
    }

    @Test
    void probabilitiesOfAllImagesSumToOne() {
        for (ImageShape shape : List.of(BITS, COLOURS, new ImageShape(1, 2, 3))) {
            assertEquals(1, total(plain(shape, 3, 3, 2), Condition.none()), 1e-5);
            assertEquals(1, total(gated(shape, small()), Condition.none()), 1e-5);
            GatedPixelCnnConfig conditional = small().withClasses(3).withConditionChannels(2);
            assertEquals(1, total(gated(shape, conditional), condition(shape, 2)), 1e-5);
            assertEquals(1, total(gated(shape, small().withCodes(true)), Condition.none()), 1e-5);
        }
    }

    @Test
    void probabilitiesOfLevelsSumToOne() {
        Likelihood four = Likelihoods.categorical(4);
        Likelihood three = Likelihoods.categorical(3);
        List<GatedPixelCnnConfig> configs =
                List.of(
                        small().withLikelihood(four),
                        small().withLikelihood(four).withCodes(true),
                        small().withLikelihood(Likelihoods.discretizedLogisticMixture(2, 4, 1)));
        for (GatedPixelCnnConfig config : configs) {
            assertEquals(1, total(gated(BITS, config), Condition.none()), 1e-5);
        }
        assertEquals(
                1, total(gated(COLOURS, small().withLikelihood(three)), Condition.none()), 1e-5);
        // 8 features are no multiple of 3: a mixture's channels are no groups of the network.
        Likelihood mixture = Likelihoods.discretizedLogisticMixture(3, 3, 3);
        GatedPixelCnnConfig coupled = small().withFeatures(8).withLikelihood(mixture);
        assertEquals(1, total(gated(COLOURS, coupled), Condition.none()), 1e-5);
        PixelCnnConfig plain = PixelCnnConfig.defaults().withBlocks(1).withHead(9).withFeatures(6);
        for (Likelihood likelihood : List.of(three, mixture)) {
            Init init = new Init(scope, 4);
            PixelCnnConfig config = plain.withLikelihood(likelihood);
            PixelCnn model = new PixelCnn(init, COLOURS, config, 1);
            assertEquals(1, total(model, Condition.none()), 1e-5);
        }
    }

    /** Some network of a first layer and an output. */
    private AutoregressiveModel model(ImageShape shape, Options first, Options out) {
        PixelNetwork net = new PixelNetwork(new Init(scope, 3), shape.channels(), 0, 0);
        int x = net.convolve("first", first, 6, INPUT, NONE);
        net.convolve("out", out, shape.channels(), x, NONE);
        return new AutoregressiveModel(
                new Init(scope, 3), shape, Likelihoods.bernoulli(), null, net, 1) {};
    }

    /** The test before notices if a value sees itself, or a later channel. */
    @Test
    void aLeakyMaskIsNoticed() {
        Options linear = Options.of(Taps.RASTER_B, 1);
        Options tight = Options.of(Taps.RASTER_A, 3);
        assertEquals(1, total(model(BITS, tight, linear), Condition.none()), 1e-5);
        AutoregressiveModel itself = model(BITS, Options.of(Taps.RASTER_B, 3), linear);
        assertNotEquals(1, total(itself, Condition.none()), 1e-2);
        Options grouped = tight.withGroups(3);
        Options linears = linear.withGroups(3);
        assertEquals(1, total(model(COLOURS, grouped, linears), Condition.none()), 1e-5);
        AutoregressiveModel later = model(COLOURS, grouped, linear);
        assertNotEquals(1, total(later, Condition.none()), 1e-2);
    }

    // ---- sampling ----

    @Test
    void imagesAreDrawnAsOftenAsTheyAreProbable() {
        ImageShape pixel = new ImageShape(1, 1, 3);
        GatedPixelCnnConfig config = small();
        Likelihood mixture = Likelihoods.discretizedLogisticMixture(2, 2, 3);
        for (AutoregressiveModel model :
                List.of(
                        gated(BITS, config),
                        gated(pixel, config.withLikelihood(Likelihoods.categorical(3))),
                        gated(COLOURS, config.withLikelihood(mixture)))) {
            sharpen(model, Condition.none());
            double[] p = probabilities(model, all(model), Condition.none());
            int count = 20_000;
            float[] drawn = model.sample(count, Condition.none(), 7);
            // Expected 1, with a deviation of 0.37 and less.
            assertEquals(1, chiSquare(model, drawn, p) / (p.length - 1), 0.95);
            assertArrayEquals(drawn, model.sample(count, Condition.none(), 7));
            float[] first = model.sample(3, Condition.none(), 7);
            assertArrayEquals(Arrays.copyOf(drawn, first.length), first);
            float[] other = model.sample(count, Condition.none(), 8);
            assertFalse(Arrays.equals(drawn, other), "another seed draws the same");
        }
    }

    /** Of all images that there are, in the order of {@link #all}. */
    private static double chiSquare(AutoregressiveModel model, float[] drawn, double[] p) {
        int values = model.image().values();
        int levels = AutoregressiveModel.levels(model.likelihood());
        int count = drawn.length / values;
        int[] seen = new int[p.length];
        for (int image = 0; image < count; image++) {
            int index = 0;
            for (int i = values - 1; i >= 0; i--) {
                index = index * levels + Math.round(drawn[image * values + i] * (levels - 1));
            }
            seen[index]++;
        }
        double sum = 0;
        for (int i = 0; i < p.length; i++) {
            double expected = count * p[i];
            double off = seen[i] - expected;
            assertTrue(expected > 0 || seen[i] == 0, "image " + i + " is impossible");
            sum += expected == 0 ? 0 : off * off / expected;
        }
        return sum;
    }

    /** Given values stay; those after them are drawn given them. */
    @Test
    void imagesAreCompleted() {
        AutoregressiveModel model = gated(COLOURS, small().withClasses(2));
        Condition ofAll = Condition.ofLabels(new int[64]);
        sharpen(model, ofAll);
        int count = 20_000;
        Condition condition = Condition.ofLabels(new int[count]);
        boolean[] given = new boolean[count * 6];
        float[] images = new float[count * 6];
        for (int i = 0; i < count; i++) {
            given[6 * i] = true;
            given[6 * i + 2] = true;
            images[6 * i] = 1;
            images[6 * i + 1] = Float.NaN; // does not matter
        }
        float[] drawn = model.complete(images, given, condition, 3);
        double[] p = probabilities(model, all(model), ofAll);
        // Not p(x1, x3 .. x5 | x0, x2): x1 is drawn before x2 is seen.
        double[] expected = new double[64];
        for (int i = 0; i < 64; i++) {
            boolean fits = (i & 5) == 1;
            expected[i] = fits ? p(p, 3, i) / p(p, 1, i) * p[i] / p(p, 7, i) : 0;
        }
        assertEquals(1, Arrays.stream(expected).sum(), 1e-4);
        assertEquals(1, chiSquare(model, drawn, expected) / 15, 0.95);
        for (int i = 0; i < count; i++) {
            assertEquals(1, drawn[6 * i]);
            assertEquals(0, drawn[6 * i + 2]);
        }
    }

    /** Probability that an image is as image i where the mask has a 1. */
    private static double p(double[] p, int mask, int i) {
        double sum = 0;
        for (int j = 0; j < p.length; j++) {
            sum += ((i ^ j) & mask) == 0 ? p[j] : 0;
        }
        return sum;
    }

    // ---- gradients ----

    /** Every second feature before a ReLU well above 0, the others well below. */
    private void keepOffKinks(AutoregressiveModel model) {
        String before = ".*(first|narrow|masked|wide|skip|head)";
        model.parameters()
                .forEach(
                        (name, parameter) -> {
                            if (name.matches(before + ".weight")) {
                                scale(parameter, 0.4);
                            } else if (name.matches(before + ".bias")) {
                                float[] values = new float[(int) parameter.shape().get(0)];
                                for (int i = 0; i < values.length; i++) {
                                    values[i] = i % 2 == 0 ? 3 : -3;
                                }
                                parameter.copyFrom(values);
                            }
                        });
    }

    private void gradientsAreDifferences(AutoregressiveModel model, Condition condition) {
        Tensor x = bits(2, model.image());
        keepOffKinks(model);
        BiConsumer<String, Tensor> check =
                (name, parameter) ->
                        GradientCheck.check(
                                scope,
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
                gated(shape, config), new Condition(new int[] {1, 0}, map(2, shape, 2)));
        gradientsAreDifferences(
                gated(shape, config.withClasses(0).withConditionChannels(0).withCodes(true)),
                Condition.none());
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
                new PixelCnn(new Init(scope, 4), shape, config, 1), Condition.none());
    }

    @Test
    void everyParameterOfPixelCnnLearns() {
        AutoregressiveModel model = plain(new ImageShape(5, 4, 3), 3, 3, 2);
        Tape tape = new Tape(scope);
        model.watch(tape);
        tape.backward(model.objective(tape, bits(8, model.image())).loss());
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
