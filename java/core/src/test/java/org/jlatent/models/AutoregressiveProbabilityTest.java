package org.jlatent.models;

import static org.jlatent.models.PixelNetwork.INPUT;
import static org.jlatent.models.PixelNetwork.NONE;
import static org.jlatent.models.TinyPixelModels.rows;
import static org.jlatent.models.TinyPixelModels.small;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.function.BiConsumer;
import org.jlatent.MaskedConvOps.Options;
import org.jlatent.MaskedConvOps.Taps;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageShape;
import org.jlatent.models.AutoregressiveModel.Draws;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The probabilities of all images sum to 1, and images are drawn as often as they are probable. */
final class AutoregressiveProbabilityTest {
    private static final ImageShape BITS = new ImageShape(2, 2, 1);
    private static final ImageShape COLOURS = new ImageShape(2, 1, 3);
    private static final ImageShape MANY = new ImageShape(4, 4, 1); // 65,536 images of bits

    private final TinyPixelModels tiny = new TinyPixelModels();

    @AfterEach
    void close() {
        tiny.close();
    }

    // ---- probabilities ----

    private static final double DEVIATION = 2;

    /** Larger weights than a model starts with, for probabilities that are far from one half. */
    private void sharpen(AutoregressiveModel model, Condition condition) {
        model.parameters().values().forEach(parameter -> tiny.scale(parameter, 4));
        double factor = DEVIATION / deviation(model, condition);
        tiny.scale(model.parameters().get("network.out.weight"), factor);
        tiny.scale(model.parameters().get("network.out.bias"), factor);
        assertEquals(DEVIATION, deviation(model, condition), 1e-3);
    }

    /** Of the logits of all images. */
    private double deviation(AutoregressiveModel model, Condition condition) {
        double[] sums = new double[3]; // of powers 0, 1, 2
        forBatches(
                model,
                (scope, x) -> {
                    Tensor logits = model.logits(Tape.inference(scope), x, condition);
                    for (float logit : logits.toFloatArray()) {
                        sums[0]++;
                        sums[1] += logit;
                        sums[2] += (double) logit * logit;
                    }
                });
        double mean = sums[1] / sums[0];
        return Math.sqrt(sums[2] / sums[0] - mean * mean);
    }

    private static final int BATCH = 4096; // images at a time, where there are more

    /** For all images there are; a condition is for as many at a time. */
    private void forBatches(AutoregressiveModel model, BiConsumer<Scope, Tensor> use) {
        int count = TinyPixelModels.count(model);
        for (int first = 0; first < count; first += BATCH) {
            try (Scope scope = new Scope(tiny.scope.device())) {
                use.accept(
                        scope,
                        TinyPixelModels.some(scope, model, first, Math.min(BATCH, count - first)));
            }
        }
    }

    private double[] probabilities(AutoregressiveModel model, Tensor x, Condition condition) {
        return probabilities(tiny.scope, model, x, condition);
    }

    private static double[] probabilities(
            Scope scope, AutoregressiveModel model, Tensor x, Condition condition) {
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
        double[] total = new double[1];
        forBatches(
                model,
                (scope, x) -> {
                    double[] p = probabilities(scope, model, x, condition);
                    total[0] += Arrays.stream(p).sum();
                });
        return total[0];
    }

    private Condition condition(ImageShape shape, int channels) {
        int count = 1 << shape.values();
        int[] labels = new int[count];
        Arrays.fill(labels, 1);
        float[] one = tiny.map(1, shape, channels).toFloatArray(); // the same for all
        float[] maps = new float[count * one.length];
        for (int i = 0; i < maps.length; i++) {
            maps[i] = one[i % one.length];
        }
        Shape of = Shape.of(count, shape.height(), shape.width(), channels);
        return new Condition(labels, tiny.scope.of(of, maps));
    }

    @Test
    void probabilitiesOfAllImagesSumToOne() {
        for (ImageShape shape : List.of(BITS, COLOURS, new ImageShape(1, 2, 3))) {
            assertEquals(1, total(tiny.plain(shape, 3, 3, 2), Condition.none()), 1e-5);
            assertEquals(1, total(tiny.gated(shape, small()), Condition.none()), 1e-5);
            assertEquals(1, total(tiny.recurrent(shape, rows()), Condition.none()), 1e-5);
            GatedPixelCnnConfig conditional = small().withClasses(3).withConditionChannels(2);
            assertEquals(1, total(tiny.gated(shape, conditional), condition(shape, 2)), 1e-5);
            assertEquals(
                    1, total(tiny.gated(shape, small().withCodes(true)), Condition.none()), 1e-5);
        }
        for (ImageShape shape : List.of(BITS, new ImageShape(3, 2, 1))) {
            GatedPixelCnnConfig attentive = small().withAttention(2);
            assertEquals(1, total(tiny.gated(shape, attentive), Condition.none()), 1e-5);
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
            assertEquals(1, total(tiny.gated(BITS, config), Condition.none()), 1e-5);
        }
        assertEquals(
                1,
                total(tiny.gated(COLOURS, small().withLikelihood(three)), Condition.none()),
                1e-5);
        GatedPixelCnnConfig attentive = small().withLikelihood(four).withAttention(3);
        assertEquals(1, total(tiny.gated(BITS, attentive.withCodes(true)), Condition.none()), 1e-5);
        // 8 features are no multiple of 3: a mixture's channels are no groups of the network.
        Likelihood mixture = Likelihoods.discretizedLogisticMixture(3, 3, 3);
        GatedPixelCnnConfig coupled = small().withFeatures(8).withLikelihood(mixture);
        assertEquals(1, total(tiny.gated(COLOURS, coupled), Condition.none()), 1e-5);
        assertEquals(
                1, total(tiny.gated(COLOURS, coupled.withAttention(2)), Condition.none()), 1e-5);
        PixelCnnConfig plain = PixelCnnConfig.defaults().withBlocks(1).withHead(9).withFeatures(6);
        for (Likelihood likelihood : List.of(three, mixture)) {
            Init init = new Init(tiny.scope, 4);
            PixelCnnConfig config = plain.withLikelihood(likelihood);
            PixelCnn model = new PixelCnn(init, COLOURS, config, 1);
            assertEquals(1, total(model, Condition.none()), 1e-5);
            PixelRnnConfig rows = rows().withLikelihood(likelihood);
            assertEquals(1, total(tiny.recurrent(COLOURS, rows), Condition.none()), 1e-5);
        }
    }

    @Test
    void probabilitiesGivenSmallMapsSumToOne() {
        PixelCnnPlusPlusConfig config = TinyPixelModels.plusPlus(1);
        ImageShape wide = new ImageShape(2, 4, 1);
        assertEquals(1, total(tiny.plusPlus(wide, config), Condition.none()), 1e-5);
        int[] labels = new int[BATCH];
        Arrays.fill(labels, 2);
        assertEquals(
                1,
                total(
                        tiny.plusPlus(MANY, config.withScales(3).withClasses(3)),
                        Condition.ofLabels(labels)),
                1e-5);
        Likelihood mixture = Likelihoods.discretizedLogisticMixture(2, 2, 3);
        PixelCnnPlusPlusConfig coupled = config.withLikelihood(mixture);
        ImageShape colours = new ImageShape(2, 2, 3);
        assertEquals(1, total(tiny.plusPlus(colours, coupled), Condition.none()), 1e-5);
    }

    /** A map of half the size, of which every pixel stands for four. */
    private AutoregressiveModel halved(Taps first, Taps second) {
        PixelNetwork net = new PixelNetwork(new Init(tiny.scope, 3), 1, 0, 0);
        int x = net.convolve("first", Options.of(first, 3), 6, INPUT, NONE);
        int small = net.add(new PixelSteps.Subsample(x), 6);
        int y = net.convolve("second", Options.of(second, 3), 6, small, NONE);
        int large = net.add(new PixelSteps.Upsample(y), 6);
        net.convolve("out", Options.of(Taps.RASTER_B, 1), 1, large, NONE);
        return new AutoregressiveModel(
                new Init(tiny.scope, 3), MANY, Likelihoods.bernoulli(), null, net, 1) {};
    }

    /** The test before notices if a small map's pixel sees itself, or what is right of it. */
    @Test
    void aLeakySmallMapIsNoticed() {
        assertEquals(1, total(halved(Taps.RASTER_A, Taps.RASTER_B), Condition.none()), 1e-5);
        AutoregressiveModel itself = halved(Taps.RASTER_B, Taps.RASTER_B);
        assertNotEquals(1, total(itself, Condition.none()), 1e-2);
        AutoregressiveModel right = halved(Taps.RASTER_A, Taps.VERTICAL_B);
        assertNotEquals(1, total(right, Condition.none()), 1e-2);
    }

    /** Some network of a first layer and an output. */
    private AutoregressiveModel model(ImageShape shape, Options first, Options out) {
        PixelNetwork net = new PixelNetwork(new Init(tiny.scope, 3), shape.channels(), 0, 0);
        int x = net.convolve("first", first, 6, INPUT, NONE);
        net.convolve("out", out, shape.channels(), x, NONE);
        return new AutoregressiveModel(
                new Init(tiny.scope, 3), shape, Likelihoods.bernoulli(), null, net, 1) {};
    }

    /** Attention to what some first layer makes of the image. */
    private AutoregressiveModel attentive(ImageShape shape, Options first) {
        PixelNetwork net = new PixelNetwork(new Init(tiny.scope, 3), shape.channels(), 0, 0);
        int qkv = net.convolve("first", first, 18, INPUT, NONE);
        Options linear = Options.of(Taps.RASTER_B, 1);
        net.convolve("out", linear, shape.channels(), net.attend(qkv, 2), NONE);
        return new AutoregressiveModel(
                new Init(tiny.scope, 3), shape, Likelihoods.bernoulli(), null, net, 1) {};
    }

    /** Some network of a first layer, a row LSTM of so many groups, and an output. */
    private AutoregressiveModel rowLstm(Options first, int groups) {
        PixelNetwork net = new PixelNetwork(new Init(tiny.scope, 3), 3, 0, 0);
        int x = net.recur("lstm", groups, 6, net.convolve("first", first, 6, INPUT, NONE));
        net.convolve("out", Options.of(Taps.RASTER_B, 1).withGroups(3), 3, x, NONE);
        return new AutoregressiveModel(
                new Init(tiny.scope, 3), COLOURS, Likelihoods.bernoulli(), null, net, 1) {};
    }

    /** The test before notices if a value sees itself, or a later channel. */
    @Test
    void aLeakyMaskIsNoticed() {
        Options linear = Options.of(Taps.RASTER_B, 1);
        Options tight = Options.of(Taps.RASTER_A, 3);
        assertEquals(1, total(model(BITS, tight, linear), Condition.none()), 1e-5);
        AutoregressiveModel itself = model(BITS, Options.of(Taps.RASTER_B, 3), linear);
        assertNotEquals(1, total(itself, Condition.none()), 1e-2);
        assertEquals(1, total(attentive(BITS, tight), Condition.none()), 1e-5);
        AutoregressiveModel attended = attentive(BITS, Options.of(Taps.RASTER_B, 3));
        assertNotEquals(1, total(attended, Condition.none()), 1e-2);
        Options grouped = tight.withGroups(3);
        Options linears = linear.withGroups(3);
        assertEquals(1, total(model(COLOURS, grouped, linears), Condition.none()), 1e-5);
        AutoregressiveModel later = model(COLOURS, grouped, linear);
        assertNotEquals(1, total(later, Condition.none()), 1e-2);
        assertEquals(1, total(rowLstm(grouped, 3), Condition.none()), 1e-5);
        assertNotEquals(1, total(rowLstm(grouped, 1), Condition.none()), 1e-2);
        Options own = Options.of(Taps.RASTER_B, 3).withGroups(3);
        assertNotEquals(1, total(rowLstm(own, 3), Condition.none()), 1e-2);
    }

    // ---- sampling ----

    @Test
    void imagesAreDrawnAsOftenAsTheyAreProbable() {
        ImageShape pixel = new ImageShape(1, 1, 3);
        GatedPixelCnnConfig config = small();
        Likelihood mixture = Likelihoods.discretizedLogisticMixture(2, 2, 3);
        for (AutoregressiveModel model :
                List.of(
                        tiny.gated(BITS, config),
                        tiny.recurrent(BITS, rows()),
                        tiny.gated(pixel, config.withLikelihood(Likelihoods.categorical(3))),
                        tiny.gated(COLOURS, config.withLikelihood(mixture)))) {
            sharpen(model, Condition.none());
            double[] p = probabilities(model, tiny.all(model), Condition.none());
            int count = 20_000;
            float[] drawn = model.sample(count, Condition.none(), Draws.of(7));
            // Expected 1, with a deviation of 0.37 and less.
            assertEquals(1, chiSquare(model, drawn, p) / (p.length - 1), 0.95);
            assertArrayEquals(drawn, model.sample(count, Condition.none(), Draws.of(7)));
            float[] first = model.sample(3, Condition.none(), Draws.of(7));
            assertArrayEquals(Arrays.copyOf(drawn, first.length), first);
            float[] other = model.sample(count, Condition.none(), Draws.of(8));
            assertFalse(Arrays.equals(drawn, other), "another seed draws the same");
        }
    }

    /** Of all images that there are, in the order of {@link TinyPixelModels#all}. */
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
        AutoregressiveModel model = tiny.gated(COLOURS, small().withClasses(2));
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
        float[] drawn = model.complete(images, given, condition, Draws.of(3));
        double[] p = probabilities(model, tiny.all(model), ofAll);
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
}
