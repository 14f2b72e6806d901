package org.jlatent.models;

import static org.jlatent.models.PixelNetwork.CONDITION;
import static org.jlatent.models.PixelNetwork.INPUT;
import static org.jlatent.models.PixelNetwork.NONE;
import static org.jlatent.models.TinyPixelModels.small;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jlatent.Activation;
import org.jlatent.GradientCheck;
import org.jlatent.MaskedConvOps.Options;
import org.jlatent.MaskedConvOps.Taps;
import org.jlatent.OnEveryDevice;
import org.jlatent.Ops;
import org.jlatent.Shape;
import org.jlatent.ShapeOps;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.data.Sprites;
import org.jlatent.models.AutoregressiveModel.Draws;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;
import org.jlatent.train.Trainer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** A VAE with pixels that see each other: probabilities, gradients, draws, and mistakes. */
@OnEveryDevice
final class PixelVaeTest {
    private static final ImageShape BITS = new ImageShape(2, 2, 1);
    private static final ImageShape COLOURS = new ImageShape(2, 1, 3);
    private static final int MAP = 4;

    private final TinyPixelModels tiny = new TinyPixelModels();

    @AfterEach
    void close() {
        tiny.close();
    }

    private PixelVae vae(ImageShape image, VaeConfig config) {
        GatedPixelCnnConfig pixels = small().withKernels(3, 3).withConditionChannels(MAP);
        return new PixelVae(new Init(tiny.scope, 1), image, new PixelVaeConfig(config, pixels), 1);
    }

    private static VaeConfig config(int... channels) {
        return VaeConfig.defaults()
                .withChannels(channels)
                .withHidden(5)
                .withLatent(2)
                .withActivation(Activation.SILU);
    }

    private PixelVae vae(ImageShape image, Likelihood likelihood, int... channels) {
        return vae(image, config(channels).withLikelihood(likelihood));
    }

    /** The same z for every row. */
    private Tensor rows(long count, float... z) {
        return ShapeOps.repeat(tiny.scope, tiny.scope.of(Shape.of(z.length), z), 0, count);
    }

    private Tape inference() {
        return Tape.inference(tiny.scope);
    }

    // ---- probabilities ----

    private static final double DEVIATION = 2;

    /** Probabilities that are far from one half. */
    private void sharpen(AutoregressiveModel pixels, Tensor map) {
        double factor = DEVIATION / deviation(pixels, map);
        tiny.scale(pixels.parameters().get("network.out.weight"), factor);
        tiny.scale(pixels.parameters().get("network.out.bias"), factor);
        assertEquals(DEVIATION, deviation(pixels, map), 1e-3);
    }

    /** Of the logits of all images given a map. */
    private double deviation(AutoregressiveModel pixels, Tensor map) {
        float[] logits =
                pixels.logits(inference(), tiny.all(pixels), Condition.ofMap(map)).toFloatArray();
        double mean = 0;
        double square = 0;
        for (float logit : logits) {
            mean += (double) logit / logits.length;
            square += (double) logit * logit / logits.length;
        }
        return Math.sqrt(square - mean * mean);
    }

    /** p(x|z) of all images x, summed up. */
    private double total(PixelVae vae, Tensor z) {
        double sum = 0;
        for (float nll : vae.nll(tiny.scope, z, tiny.all(vae))) {
            sum += Math.exp(-nll);
        }
        return sum;
    }

    private void sumsToOne(PixelVae vae) {
        Tensor x = tiny.all(vae);
        vae.parameters().values().forEach(parameter -> tiny.scale(parameter, 4));
        List<float[]> all = new ArrayList<>();
        for (float[] one : new float[][] {{0.8f, -1.3f}, {-2, 0.5f}}) {
            Tensor z = rows(x.shape().get(0), one);
            sharpen(vae.pixels(), vae.decode(inference(), z));
            assertEquals(1, total(vae, z), 1e-5);
            all.add(vae.nll(tiny.scope, z, x));
        }
        assertFalse(Arrays.equals(all.get(0), all.get(1)), "z says nothing");
    }

    @Test
    void probabilitiesOfAllImagesGivenZSumToOne() {
        sumsToOne(vae(BITS, Likelihoods.bernoulli(), 3));
        sumsToOne(vae(BITS, Likelihoods.categorical(4), 3));
        sumsToOne(vae(BITS, Likelihoods.discretizedLogisticMixture(2, 4, 1)));
        sumsToOne(vae(COLOURS, Likelihoods.bernoulli()));
        sumsToOne(vae(COLOURS, Likelihoods.categorical(3)));
        sumsToOne(vae(COLOURS, Likelihoods.discretizedLogisticMixture(2, 3, 3)));
    }

    /** The test before notices if z is another one for every image. */
    @Test
    void aCodeThatTellsTheImageIsNoticed() {
        PixelVae vae = vae(BITS, Likelihoods.bernoulli(), 3);
        vae.parameters().values().forEach(parameter -> tiny.scale(parameter, 4));
        Tensor x = tiny.all(vae);
        Tensor z = ShapeOps.slice(tiny.scope, x, 1, 0, 2);
        sharpen(vae.pixels(), vae.decode(inference(), z));
        assertNotEquals(1, total(vae, z), 1e-2);
    }

    /** And if a value sees itself. */
    @Test
    void aLeakyMaskIsNoticed() {
        assertEquals(1, total(Taps.RASTER_A), 1e-5);
        assertNotEquals(1, total(Taps.RASTER_B), 1e-2);
    }

    /** The same sum for pixels of another network on the map. */
    private double total(Taps taps) {
        PixelNetwork net = new PixelNetwork(new Init(tiny.scope, 3), 1, MAP, 0);
        Options linear = Options.of(Taps.RASTER_B, 1);
        int map = net.convolve("map", linear, 6, CONDITION, NONE);
        int seen = net.convolve("first", Options.of(taps, 3), 6, INPUT, map);
        net.convolve("out", linear, 1, seen, NONE);
        AutoregressiveModel pixels =
                new AutoregressiveModel(
                        new Init(tiny.scope, 3), BITS, Likelihoods.bernoulli(), null, net, 1) {};
        PixelVae vae = vae(BITS, Likelihoods.bernoulli(), 3);
        pixels.parameters().values().forEach(parameter -> tiny.scale(parameter, 4));
        Tensor x = tiny.all(pixels);
        Tensor decoded = vae.decode(inference(), rows(x.shape().get(0), 0.8f, -1.3f));
        sharpen(pixels, decoded);
        Tensor logits = pixels.logits(inference(), x, Condition.ofMap(decoded));
        double sum = 0;
        for (float nll :
                pixels.likelihood().loss(inference(), logits, x, null).rows().toFloatArray()) {
            sum += Math.exp(-nll);
        }
        return sum;
    }

    @Test
    void valuesSeeThoseBeforeThemAndZ() {
        PixelVae vae = vae(new ImageShape(4, 3, 3), Likelihoods.bernoulli(), 3);
        int values = vae.image().values();
        float[] x = tiny.bits(1, vae.image()).toFloatArray();
        float[] expected = logits(vae, x, 0.8f, -1.3f);
        for (int value = 0; value < values; value++) {
            float[] other = x.clone();
            for (int i = value; i < values; i++) {
                other[i] = 1 - x[i];
            }
            float[] actual = logits(vae, other, 0.8f, -1.3f);
            int changed = 0;
            for (int i = 0; i < values; i++) {
                assertTrue(i > value || expected[i] == actual[i], value + " changes " + i);
                changed += expected[i] == actual[i] ? 0 : 1;
            }
            assertTrue(value >= values - 3 || changed > 0, "nothing depends on " + value);
        }
        float[] moved = logits(vae, x, 0.8f, 1);
        for (int i = 0; i < values; i++) {
            assertNotEquals(expected[i], moved[i], "value " + i + " does not see z");
        }
    }

    private float[] logits(PixelVae vae, float[] x, float... z) {
        Tensor images = tiny.scope.of(Shape.of(1, x.length), x);
        Tensor map = vae.decode(inference(), rows(1, z));
        return vae.pixels().logits(inference(), images, Condition.ofMap(map)).toFloatArray();
    }

    /** More draws of z than are looked at together, of two images. */
    @Test
    void manyDrawsAreMeasuredInParts() {
        PixelVae vae = vae(BITS, Likelihoods.bernoulli(), 3);
        Tensor x = tiny.bits(2, BITS);
        Tensor z = vae.prior(tiny.scope, 300, 5);
        float[] parts = vae.nll(tiny.scope, z, x);
        float[] whole = vae.reconstruction(inference(), z, x, null).rows().toFloatArray();
        assertArrayEquals(whole, parts, 1e-5f);
        Tensor second = ShapeOps.slice(tiny.scope, x, 0, 1, 2);
        for (int row : new int[] {150, 299}) {
            Tensor draw = ShapeOps.slice(tiny.scope, z, 0, row, row + 1);
            assertEquals(vae.nll(tiny.scope, draw, second)[0], parts[row], 1e-5f);
        }
    }

    // ---- gradients ----

    @Test
    void gradientsAreDifferences() {
        ImageShape shape = new ImageShape(3, 2, 1);
        VaeConfig small = config(2).withHidden(3).withSamples(2).withBeta(0.5f);
        GatedPixelCnnConfig pixels =
                small().withLayers(2)
                        .withFeatures(3)
                        .withHead(3)
                        .withKernels(3, 3)
                        .withConditionChannels(2);
        PixelVae vae =
                new PixelVae(new Init(tiny.scope, 2), shape, new PixelVaeConfig(small, pixels), 1);
        tiny.keepOffKinks(vae);
        Tensor x = tiny.bits(2, shape);
        Tensor third = tiny.scope.scalar(1 / 3f); // losses of order 1
        for (Map.Entry<String, Tensor> parameter : vae.parameters().entrySet()) {
            GradientCheck.check(
                    tiny.scope,
                    parameter.getValue(),
                    (tape, t) -> {
                        Tensor loss = vae.objective(tape, x).loss();
                        return tape.record(
                                "third",
                                loss,
                                Ops.scale(tape.scope(), loss, third),
                                d -> Ops.scale(tape.scope(), d, third));
                    });
        }
    }

    /** Without a KL term its gradient comes from the pixels alone, through the map and z. */
    @Test
    void theEncoderLearnsFromThePixels() {
        PixelVae vae = vae(new ImageShape(4, 3, 1), config(3).withBeta(0));
        Tape tape = new Tape(tiny.scope);
        vae.watch(tape);
        tape.backward(vae.objective(tape, tiny.bits(3, vae.image())).loss());
        vae.parameters()
                .forEach(
                        (name, parameter) -> {
                            float largest = 0;
                            for (float d : tape.gradient(parameter).toFloatArray()) {
                                largest = Math.max(largest, Math.abs(d));
                            }
                            assertTrue(largest > 0, name + " does not learn");
                        });
    }

    // ---- draws ----

    private void drawsAsNaively(PixelVae vae, Draws how) {
        vae.parameters().values().forEach(parameter -> tiny.scale(parameter, 2));
        int length = 3 * vae.image().values();
        Tensor z = vae.prior(tiny.scope, 3, how.seed());
        Condition condition = Condition.ofMap(vae.decode(inference(), z));
        float[] naive =
                vae.pixels()
                        .completeNaively(new float[length], new boolean[length], condition, how);
        assertArrayEquals(naive, vae.draw(tiny.scope, z, how));
        assertArrayEquals(naive, vae.sample(3, Condition.none(), how));
        Draws other = new Draws(how.temperature(), how.topK(), how.seed() + 1);
        assertFalse(Arrays.equals(naive, vae.sample(3, Condition.none(), other)), "another seed");
        assertFalse(Arrays.equals(naive, vae.draw(tiny.scope, z, other)), "another seed, same z");
    }

    @Test
    void imagesAreDrawnAsNaively() {
        ImageShape colours = new ImageShape(4, 3, 3);
        drawsAsNaively(vae(colours, Likelihoods.bernoulli(), 3), Draws.of(3));
        drawsAsNaively(
                vae(new ImageShape(3, 5, 1), Likelihoods.categorical(7)),
                Draws.of(4).withTemperature(0.7f).withTopK(3));
        Likelihood mixture = Likelihoods.discretizedLogisticMixture(2, 256, 3);
        drawsAsNaively(vae(colours, mixture, 3), Draws.of(5).withTemperature(1.3f));
    }

    @Test
    void imagesOfCodesAreTheSameEveryTime() {
        PixelVae vae = vae(new ImageShape(6, 5, 1), config(3));
        Tensor x = tiny.bits(2, vae.image());
        float[] made = vae.reconstruct(tiny.scope, x);
        assertEquals(2 * vae.image().values(), made.length);
        assertArrayEquals(made, vae.reconstruct(tiny.scope, x));
        for (float value : made) {
            assertTrue(value == 0 || value == 1, "a mean is drawn: " + value);
        }
    }

    // ---- mistakes ----

    private static void fails(String words, Executable call) {
        RuntimeException e = assertThrows(RuntimeException.class, call);
        assertTrue(e.getMessage().contains(words), e::getMessage);
    }

    @Test
    void whatDoesNotFitIsNamed() {
        PixelVaeConfig config = PixelVaeConfig.defaults();
        fails("at least 1 channel, got 0", () -> config.withPixels(small()));
        fails("no classes, got 2", () -> config.withPixels(config.pixels().withClasses(2)));
        fails("needs a likelihood of levels", () -> vae(BITS, Likelihoods.gaussian(1)));
        fails("leave nothing of images", () -> vae(COLOURS, config(3)));
        ImageSet greys = new Sprites(8).range(0, 4);
        PixelVae vae = vae(greys.shape(), config(3));
        fails("binarize them", () -> VaeEvaluation.of(vae, greys, 1, 2, 1));
        fails("binarize them", () -> Trainer.of(vae).data(greys).steps(1).train());
        Likelihood mixture = Likelihoods.discretizedLogisticMixture(2, 256, 1);
        assertEquals(
                mixture,
                config.withVae(config.vae().withLikelihood(mixture)).pixels().likelihood());
    }
}
