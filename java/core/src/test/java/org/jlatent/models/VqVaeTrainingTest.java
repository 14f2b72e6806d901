package org.jlatent.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jlatent.Device;
import org.jlatent.OnEveryDevice;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.TestDevice;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.data.Sprites;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;
import org.jlatent.nn.VectorQuantizerConfig;
import org.jlatent.nn.VectorQuantizerConfig.Learning;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The objective of a VqVae, its gradients, and what training brings and tells. */
@OnEveryDevice
final class VqVaeTrainingTest {
    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    private VqVae model(ImageShape image, VqVaeConfig config) {
        return new VqVae(new Init(scope, 1), image, config, 1);
    }

    private Tensor images(int count, ImageShape shape) {
        return scope.of(Shape.of(count, shape.values()), VqVaeTest.pixels(count, shape));
    }

    /** Loss = likelihood in its unit, a mean over values, + the quantizer's loss. */
    @Test
    void theLossIsAMeanOverValuesInUnitsOfTheData() {
        ImageSet set = VqVaeTest.set(40, VqVaeTest.IMAGE);
        Tensor x = images(4, VqVaeTest.IMAGE);
        double mean = 0;
        double square = 0;
        float[] all = VqVaeTest.pixels(40, VqVaeTest.IMAGE);
        for (float value : all) {
            mean += (double) value / all.length;
            square += (double) value * value / all.length;
        }
        double variance = square - mean * mean;
        for (Likelihood likelihood :
                List.of(
                        Likelihoods.squaredError(),
                        Likelihoods.absoluteError(),
                        Likelihoods.bernoulli())) {
            VqVae model = model(VqVaeTest.IMAGE, VqVaeTest.small().withLikelihood(likelihood));
            model.prepare(set, 3);
            Model.Objective objective = model.objective(Tape.inference(scope), x);
            float[] given = x.toFloatArray();
            float[] made = model.reconstruct(scope, x);
            double loss = 0;
            for (int i = 0; i < made.length; i++) {
                double error = Math.abs(given[i] - made[i]);
                loss +=
                        switch (likelihood.name()) {
                            case "l2" -> error * error / variance;
                            case "l1" -> error / Math.sqrt(variance);
                            default ->
                                    -given[i] * Math.log(made[i])
                                            - (1 - given[i]) * Math.log1p(-made[i]);
                        };
            }
            float quantization = objective.metrics().get("quantization").item();
            assertTrue(quantization > 0);
            assertEquals(
                    loss / made.length + quantization,
                    objective.loss().item(),
                    1e-4,
                    likelihood.name());
            double rows = 0;
            for (float row : objective.metrics().get("reconstruction").toFloatArray()) {
                rows += row / 4;
            }
            assertEquals(loss / made.length, rows, 1e-4, "a mean over values, too");
        }
    }

    /**
     * The decoder's gradients are those of differences, with the codes as they are. The encoder's
     * is the decoder's for its input, straight through, and the commitment's: its last bias shifts
     * every vector, so that the mean gradient of the vectors is that of the bias.
     */
    @Test
    void gradientsReachEveryParameter() {
        for (ImageShape shape : List.of(VqVaeTest.IMAGE, VqVaeTest.CLIP)) {
            VqVaeConfig config =
                    VqVaeTest.small()
                            .withQuantizer(
                                    VqVaeTest.book().withLearning(Learning.GRADIENT).withRevive(0));
            VqVae model = model(shape, config);
            Tensor x = images(3, shape);
            Tape tape = new Tape(scope);
            model.watch(tape);
            tape.backward(model.objective(tape, x).loss());
            model.parameters()
                    .forEach(
                            (name, p) -> {
                                Tensor gradient = tape.gradient(p);
                                boolean moved = false;
                                for (float value : gradient.toFloatArray()) {
                                    moved |= value != 0;
                                }
                                assertTrue(moved, name + " of " + shape);
                            });
            double h = 1e-2;
            Tensor bias = model.parameters().get("decoder.4.bias");
            assertEquals(shape.channels(), bias.shape().elements(), "the last layer's");
            float[] values = bias.toFloatArray();
            for (int i = 0; i < values.length; i++) {
                float at = values[i];
                values[i] = (float) (at + h);
                bias.copyFrom(values);
                double above = model.objective(Tape.inference(scope), x).loss().item();
                values[i] = (float) (at - h);
                bias.copyFrom(values);
                double below = model.objective(Tape.inference(scope), x).loss().item();
                values[i] = at;
                bias.copyFrom(values);
                assertEquals(
                        (above - below) / (2 * h), tape.gradient(bias).toFloatArray()[i], 2e-3);
            }
        }
    }

    /**
     * Adding to the encoder's output what turns z into q leaves the loss's decoder part as it is.
     */
    @Test
    void theGradientPassesStraightThrough() {
        VqVae model =
                model(
                        VqVaeTest.IMAGE,
                        VqVaeTest.small()
                                .withQuantizer(VqVaeTest.book().withBeta(0).withRevive(0)));
        Tensor x = images(2, VqVaeTest.IMAGE);
        Tensor q = model.code(scope, x);
        Tape tape = new Tape(scope);
        model.watch(tape);
        tape.backward(model.objective(tape, x).loss());
        // The same decoder, from q as a leaf: the sum of q's gradients over vectors is the bias's.
        Tape ofDecoder = new Tape(scope);
        ofDecoder.watch(q);
        Likelihood.Loss loss =
                model.likelihood()
                        .loss(
                                ofDecoder,
                                model.decode(ofDecoder, q),
                                x,
                                scope.scalar(1.0f / (2 * VqVaeTest.IMAGE.values())));
        ofDecoder.backward(loss.total());
        float[] dq = ofDecoder.gradient(q).toFloatArray();
        double[] expected = new double[5];
        for (int i = 0; i < dq.length; i++) {
            expected[i % 5] += dq[i];
        }
        String last =
                model.parameters().keySet().stream()
                        .filter(name -> name.startsWith("encoder") && name.endsWith("bias"))
                        .reduce((a, b) -> b)
                        .orElseThrow();
        float[] bias = tape.gradient(model.parameters().get(last)).toFloatArray();
        for (int d = 0; d < 5; d++) {
            assertEquals(expected[d], bias[d], 1e-5);
        }
    }

    // ---- training ----

    /** Codes that k-means starts from are all in use; preparing again changes nothing. */
    @Test
    @Tag("slow-on-stubs")
    void preparingStartsTheCodebookAndMeasuresTheData() {
        ImageSet sprites = Sprites.splits().train().range(0, 600);
        VqVaeConfig config = VqVaeTest.small().withQuantizer(VqVaeTest.book().withCodes(16));
        VqVae model = new VqVae(new Init(scope, 1), sprites.shape(), config, 1);
        assertEquals(1, model.buffers().get("errorScale").item());
        model.prepare(sprites, 1);
        float[] book = model.state().get("quantizer.codebook").toFloatArray();
        assertTrue(model.buffers().get("errorScale").item() > 1);
        VqVaeEvaluation evaluation = VqVaeEvaluation.of(model, sprites, 100);
        assertEquals(1, evaluation.usage());
        assertTrue(evaluation.perplexity() > 3, evaluation::toString);
        assertEquals(4.0 / 16, evaluation.bitsPerValue(), 1e-6); // 4 bits for 4x4 pixels
        model.prepare(sprites.range(300, 600), 2);
        assertArrayEquals(book, model.state().get("quantizer.codebook").toFloatArray());
        VqVae other =
                new VqVae(new Init(scope, 1), sprites.shape(), config.withInitialize(false), 1);
        float[] random = other.state().get("quantizer.codebook").toFloatArray();
        other.prepare(sprites, 1);
        assertArrayEquals(random, other.state().get("quantizer.codebook").toFloatArray());
        ImageSet flat = VqVaeTest.set(1, new ImageShape(4, 4, 3));
        VqVae third = model(flat.shape(), VqVaeTest.small());
        third.prepare(flat, 1); // a single image is enough
        assertNotEquals(0, third.buffers().get("prepared").toIntArray()[0]);
    }

    /** Perplexity and usage of a set are those of all of its codes together. */
    @Test
    void figuresAreOfTheWholeSet() {
        ImageSet set = VqVaeTest.set(9, VqVaeTest.IMAGE);
        VqVae model = model(VqVaeTest.IMAGE, VqVaeTest.small());
        VqVaeEvaluation e = VqVaeEvaluation.of(model, set, 4);
        int[] codes = model.encode(set, 9);
        double entropy = 0;
        long used = 0;
        for (int k = 0; k < 7; k++) {
            int code = k;
            double p = (double) IntStream.of(codes).filter(c -> c == code).count() / codes.length;
            entropy -= p > 0 ? p * Math.log(p) : 0;
            used += p > 0 ? 1 : 0;
        }
        assertEquals(Math.exp(entropy), e.perplexity(), 1e-9);
        assertEquals(used / 7.0, e.usage(), 1e-9);
        float[] x = VqVaeTest.pixels(9, VqVaeTest.IMAGE);
        float[] made = model.decode(codes, VqVaeTest.IMAGE, 9);
        double squared = 0;
        for (int i = 0; i < x.length; i++) {
            squared += Math.pow(x[i] - made[i], 2) / x.length;
        }
        assertEquals(squared, e.squaredError(), 1e-6);
        assertEquals(squared, e.reconstruction(), 1e-5);
        assertEquals(
                15 * Math.log(7) / Math.log(2) / VqVaeTest.IMAGE.values(), e.bitsPerValue(), 1e-9);
    }

    /** However the codebook learns, a few epochs bring the error down; figures come along. */
    @Test
    @Tag("slow-on-stubs")
    void trainingLowersTheErrorAndTellsOfItsCodes() {
        ImageSet train = Sprites.splits().train().range(0, 1500);
        for (Learning learning : Learning.values()) {
            VqVaeConfig config =
                    VqVaeConfig.defaults()
                            .withHidden(16)
                            .withResidual(1, 8)
                            .withQuantizer(
                                    VectorQuantizerConfig.defaults()
                                            .withCodes(32)
                                            .withDims(8)
                                            .withLearning(learning));
            VqVae model = new VqVae(new Init(scope, 1), train.shape(), config, 1);
            List<Map<String, Double>> epochs = VqVaeTest.train(model, train);
            Map<String, Double> first = epochs.get(0);
            Map<String, Double> last = epochs.get(2);
            assertTrue(
                    last.get("reconstruction") < 0.7 * first.get("reconstruction"),
                    () -> learning + ": " + epochs);
            for (Map<String, Double> figures : List.of(first, last)) {
                assertTrue(figures.get("perplexity") >= 1 && figures.get("perplexity") <= 32);
                assertTrue(figures.get("usage") > 0 && figures.get("usage") <= 1);
                assertEquals(32 * (1 - figures.get("usage")), figures.get("dead"), 1e-4);
            }
            // Counted anew in every epoch: now there is nothing.
            assertEquals(0, model.epochFigures().get("usage"));
        }
    }

    /** The perplexity of an epoch is that of all of its codes together, not a mean over batches. */
    @Test
    void figuresOfAnEpochAreOfAllItsBatches() {
        ImageSet set = VqVaeTest.set(40, VqVaeTest.IMAGE);
        VqVae model = model(VqVaeTest.IMAGE, VqVaeTest.small());
        model.prepare(set, 1);
        model.beginEpoch();
        float[] x = VqVaeTest.pixels(40, VqVaeTest.IMAGE);
        for (int half = 0; half < 2; half++) {
            Tape tape = new Tape(scope);
            model.watch(tape); // what learns does so in backward
            int from = half * x.length / 2;
            float[] batch = Arrays.copyOfRange(x, from, from + x.length / 2);
            model.objective(tape, scope.of(Shape.of(20, VqVaeTest.IMAGE.values()), batch));
        }
        VqVaeEvaluation both = VqVaeEvaluation.of(model, set, 40);
        Map<String, Double> figures = model.epochFigures();
        assertEquals(both.perplexity(), figures.get("perplexity"), 1e-4);
        assertEquals(both.usage(), figures.get("usage"), 1e-6);
        assertEquals(0, figures.get("revived"));
    }

    /** Images of one grey have one code of many. */
    @Test
    void fewCodesInUseAreWarnedOfWithWhatHelps() {
        VqVaeConfig config =
                VqVaeTest.small().withQuantizer(VqVaeTest.book().withCodes(64).withRevive(0));
        ImageShape shape = new ImageShape(8, 8, 1);
        VqVae model = model(shape, config.withInitialize(false));
        assertFalse(model.epochWarning().isPresent(), "nothing was counted yet");
        Tape tape = new Tape(scope);
        model.watch(tape);
        model.objective(tape, scope.filled(Shape.of(3, 64), 0.5f));
        String warning = model.epochWarning().orElseThrow();
        assertTrue(warning.contains("of the 64 codes are in use"), warning);
        assertTrue(warning.contains("revive above 0"), warning);
        VqVae random =
                model(
                        shape,
                        config.withQuantizer(VqVaeTest.book().withCodes(64)).withInitialize(false));
        Tape other = new Tape(scope);
        random.watch(other);
        random.objective(other, scope.filled(Shape.of(3, 64), 0.5f));
        assertTrue(random.epochWarning().orElseThrow().contains("initialize"));
    }
}
