package org.jlatent.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.jlatent.Device;
import org.jlatent.GradientCheck;
import org.jlatent.OnEveryDevice;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.TestDevice;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.data.WrappedImageSet;
import org.jlatent.models.AutoregressiveModel.Draws;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;
import org.jlatent.train.Adam;
import org.jlatent.train.Trainer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Priors over codes: their losses and figures, images that come of them, several maps. */
@OnEveryDevice
final class CodePriorTest {
    private static final ImageShape IMAGE = new ImageShape(8, 12, 1); // codes are 2x3
    private static final int IMAGES = 5;

    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    private VqVae codec(VqVaeConfig config) {
        VqVae model = new VqVae(new Init(scope, 1), IMAGE, config, 1);
        model.prepare(images(), 1);
        return model;
    }

    private static GatedPixelCnnConfig small() {
        return GatedPixelCnnConfig.defaults()
                .withLayers(2)
                .withFeatures(6)
                .withHead(12)
                .withKernels(3, 3);
    }

    private CodePrior prior(List<CodeMap> maps, GatedPixelCnnConfig config) {
        return new CodePrior(new Init(scope, 2), maps, config, 1);
    }

    /** Waves in classes 0, 1, 2, 0, 1. */
    private static ImageSet images() {
        return labelled(VqVaeTest.set(IMAGES, IMAGE));
    }

    private static ImageSet labelled(ImageSet set) {
        return new WrappedImageSet(set) {
            @Override
            public OptionalInt label(int index) {
                return OptionalInt.of(index % 3);
            }
        };
    }

    private Tensor batch(ImageSet set) {
        return ImageModel.batch(scope, set, 0, set.size());
    }

    private static void fails(Executable mistake, String words) {
        String message = assertThrows(RuntimeException.class, mistake).getMessage();
        assertEquals(1, message.lines().count(), message);
        assertTrue(message.contains(words), "'" + words + "' is not in: " + message);
    }

    // ---- codes ----

    /** The set holds what the model makes, in its order, and the model makes images of it again. */
    @Test
    void aSetOfCodesIsWhatTheModelEncodes() {
        for (VqVaeConfig config :
                List.of(
                        VqVaeTest.small(),
                        VqVaeTest.small()
                                .withQuantizer(
                                        VqVaeTest.book().withDims(6).withHeads(3).withStages(2)))) {
            VqVae codec = codec(config);
            CodeMap map = codec.codeMaps().get(0);
            int books = (int) codec.quantizer().books().elements();
            assertEquals(new CodeMap("codes", new ImageShape(2, 3, books), 7), map);
            CodeSet set = CodeSet.of(codec, images(), 2);
            int[] all = codec.encode(images(), IMAGES);
            int length = map.shape().values();
            for (int i = 0; i < IMAGES; i++) {
                int[] codes = Arrays.copyOfRange(all, i * length, (i + 1) * length);
                assertArrayEquals(codes, set.codes(i));
                float[] values = new float[length + 2];
                set.read(i, values, 1);
                for (int j = 0; j < length; j++) {
                    assertEquals(codes[j] / 6.0, values[j + 1], 1e-7);
                }
                assertEquals(OptionalInt.of(i % 3), set.label(i));
            }
            assertTrue(Arrays.stream(all).distinct().count() > 1);
            assertEquals(map.shape(), set.shape());
            float[] decoded = codec.decodeMaps(scope, codec.encodeMaps(scope, batch(images())));
            assertArrayEquals(codec.reconstruct(scope, batch(images())), decoded);
        }
        assertTrue(
                CodeSet.of(codec(VqVaeTest.small()), VqVaeTest.set(1, IMAGE), 1)
                        .label(0)
                        .isEmpty());
    }

    // ---- one map ----

    /** The loss is a GatedPixelCnn's in nats a code; training on images has the same. */
    @Test
    void theLossIsThatOfAGatedPixelCnn() {
        VqVae codec = codec(VqVaeTest.small());
        CodeSet set = CodeSet.of(codec, images(), 2);
        GatedPixelCnnConfig config = small().withClasses(3);
        CodePrior prior = prior(codec.codeMaps(), config);
        GatedPixelCnn network =
                new GatedPixelCnn(
                        new Init(scope, 2),
                        set.shape(),
                        config.withLikelihood(Likelihoods.categorical(7)).withCodes(true),
                        1);
        AutoregressiveEvaluation expected = AutoregressiveEvaluation.of(network, set, 2);
        int[] labels = {0, 1, 2, 0, 1};
        Model.Objective objective = prior.objective(Tape.inference(scope), batch(set), labels);
        assertEquals(expected.nll() / 6, objective.loss().item(), 1e-5);
        double bits = 0;
        for (float row : objective.metrics().get("bits_per_code").toFloatArray()) {
            bits += row / IMAGES;
        }
        assertEquals(expected.bitsPerDim(), bits, 1e-5);
        assertEquals(List.of("bits_per_code"), List.copyOf(objective.metrics().keySet()));
        assertEquals(
                expected.bitsPerDim(), CodePriorEvaluation.of(prior, set, 2).bitsPerCode(), 1e-5);

        TwoStageModel both = new TwoStageModel(codec, prior);
        assertEquals(
                objective.loss().item(),
                both.objective(Tape.inference(scope), batch(images()), labels).loss().item());
        assertTrue(
                both.state().keySet().stream().allMatch(name -> name.startsWith("prior.codes.")));
    }

    /** Frequencies are those of the training set, each book's for itself, one added to each. */
    @Test
    void theHistogramIsThatOfTheTrainingCodes() {
        VqVae codec = codec(VqVaeTest.small().withQuantizer(VqVaeTest.book().withStages(2)));
        CodeSet set = CodeSet.of(codec, images(), 2);
        CodePrior prior = prior(codec.codeMaps(), small());
        assertEquals(
                Math.log(7) / Math.log(2),
                CodePriorEvaluation.of(prior, set, 2).histogramBitsPerCode(),
                1e-9);
        prior.prepare(set.range(0, 3), 1); // which is no CodeSet itself
        double[][] counts = new double[2][7];
        for (int i = 0; i < 3; i++) {
            for (int j = 0; j < 12; j++) {
                counts[j % 2][set.codes(i)[j]]++;
            }
        }
        double bits = 0;
        for (int i = 0; i < IMAGES; i++) {
            for (int j = 0; j < 12; j++) {
                double p = (counts[j % 2][set.codes(i)[j]] + 1) / (3 * 6 + 7);
                bits -= Math.log(p) / Math.log(2) / (IMAGES * 12);
            }
        }
        assertEquals(bits, CodePriorEvaluation.of(prior, set, 2).histogramBitsPerCode(), 1e-9);
    }

    /** What is drawn are codes of the prior, and images what the first stage makes of them. */
    @Test
    void imagesAreDecodedDraws() {
        VqVae codec = codec(VqVaeTest.small().withQuantizer(VqVaeTest.book().withStages(2)));
        CodePrior prior = prior(codec.codeMaps(), small());
        TwoStageModel model = new TwoStageModel(codec, prior);
        Draws draws = Draws.of(5);
        Tensor codes = prior.sample(scope, 4, Condition.none(), draws).get(0);
        assertEquals(Shape.of(4, 2, 3, 2), codes.shape());
        float[] images = model.sample(4, Condition.none(), draws);
        assertArrayEquals(codec.decode(codes.toIntArray(), IMAGE, 4), images, 1e-6f);
        assertArrayEquals(images, model.sample(4, 5));
        int values = IMAGE.values();
        assertArrayEquals(
                Arrays.copyOf(images, 2 * values), model.sample(2, 5), 1e-6f, "any count");
        assertFalse(Arrays.equals(images, model.sample(4, 6)));
        // Of the likeliest code alone nothing is left to chance.
        Draws likeliest = draws.withTopK(1);
        assertArrayEquals(
                model.sample(1, Condition.none(), likeliest),
                model.sample(1, Condition.none(), new Draws(1, 1, 77)));
        // More than are decoded at once.
        assertEquals(70 * values, model.sample(70, 5).length);
    }

    @Test
    void classesChangeWhatIsDrawn() {
        VqVae codec = codec(VqVaeTest.small());
        TwoStageModel model =
                new TwoStageModel(codec, prior(codec.codeMaps(), small().withClasses(3)));
        assertEquals(3, model.classes());
        assertFalse(model.prior().isRecordable());
        float[] first = model.sample(6, Condition.ofLabels(0, 0, 0, 0, 0, 0), Draws.of(1));
        float[] second = model.sample(6, Condition.ofLabels(1, 1, 1, 1, 1, 1), Draws.of(1));
        assertFalse(Arrays.equals(first, second));
        fails(() -> model.sample(2, 1), "conditioned on 3 classes, got no labels");
        fails(() -> model.sample(1, Condition.ofLabels(3), Draws.of(1)), "from 0 to 2, got 3");
        model.check(images());
        fails(() -> model.check(VqVaeTest.set(2, IMAGE)), "image 0 has none");
        CodePrior two = prior(codec.codeMaps(), small().withClasses(2));
        fails(() -> two.check(CodeSet.of(codec, images(), 2)), "image 2 is of class 2");
    }

    /** Codes that are always the same are soon known, and drawn. */
    @Test
    void trainingLearnsTheCodes() {
        VqVae codec = codec(VqVaeTest.small());
        CodeSet set = CodeSet.of(codec, images().range(0, 1), 1);
        CodePrior prior = prior(codec.codeMaps(), small());
        Trainer.of(prior)
                .data(set)
                .batchSize(1)
                .steps(100)
                .optimizer(Adam.Options.defaults().withLearningRate(0.02f))
                .train();
        CodePriorEvaluation e = CodePriorEvaluation.of(prior, set, 1);
        assertTrue(e.bitsPerCode() < 0.05, "bits: " + e.bitsPerCode());
        assertTrue(e.histogramBitsPerCode() > 1, "bits: " + e.histogramBitsPerCode());
        assertArrayEquals(
                codec.reconstruct(scope, batch(images().range(0, 1))),
                new TwoStageModel(codec, prior)
                        .sample(1, Condition.none(), Draws.of(1).withTopK(1)),
                1e-6f);
    }

    @Test
    void otherCodesAreNamed() {
        VqVae codec = codec(VqVaeTest.small());
        VqVae other = codec(VqVaeTest.small().withQuantizer(VqVaeTest.book().withCodes(9)));
        CodePrior prior = prior(codec.codeMaps(), small());
        CodeSet theirs = CodeSet.of(other, images(), 2);
        fails(() -> new TwoStageModel(other, prior), "codes 2x3x1 of 7 codes], the model has");
        fails(() -> Trainer.of(prior).data(theirs).train(), "2x3x1 of 9 codes");
        fails(() -> CodePriorEvaluation.of(prior, theirs, 2), "2x3x1 of 9 codes");
        fails(() -> prior.check(images()), "waves holds 8x12x1");
        fails(
                () -> CodeSet.of(codec, VqVaeTest.set(2, VqVaeTest.IMAGE), 2),
                "of images of 8x12x1, waves has 12x20x3");
        fails(() -> CodeSet.of(codec, images(), 0), "batchSize");
        for (int codes : new int[] {1, 65537}) {
            List<CodeMap> maps = List.of(new CodeMap("codes", new ImageShape(2, 3, 1), codes));
            fails(() -> prior(maps, small()), "2 to 65536 codes, got codes 2x3x1 of " + codes);
        }
        fails(() -> prior(List.of(), small()), "at least one map");
        List<CodeMap> books = List.of(new CodeMap("codes", new ImageShape(2, 3, 4), 5));
        fails(() -> prior(books, small()), "multiple of the image's 4 channels, got 6");
    }

    // ---- several maps ----

    /** Images of squares of one of 4 greys: a map of the squares, and one of all pixels. */
    private final class Squares implements CodedModel {
        @Override
        public ImageShape image() {
            return new ImageShape(4, 6, 1);
        }

        @Override
        public Likelihood likelihood() {
            return Likelihoods.squaredError();
        }

        @Override
        public Device device() {
            return device;
        }

        @Override
        public List<CodeMap> codeMaps() {
            return List.of(
                    new CodeMap("top", new ImageShape(2, 3, 1), 5),
                    new CodeMap("bottom", new ImageShape(4, 6, 1), 4));
        }

        @Override
        public List<Tensor> encodeMaps(Scope to, Tensor x) {
            float[] values = x.toFloatArray();
            int count = values.length / 24;
            int[] bottom = new int[values.length];
            int[] top = new int[values.length / 4];
            for (int i = 0; i < values.length; i++) {
                bottom[i] = Math.round(3 * values[i]);
                int y = i / 6;
                top[y / 2 * 3 + i % 6 / 2] = bottom[i] + 1;
            }
            return List.of(
                    to.ofInts(Shape.of(count, 2, 3, 1), top),
                    to.ofInts(Shape.of(count, 4, 6, 1), bottom));
        }

        @Override
        public float[] decodeMaps(Scope to, List<Tensor> codes) {
            int[] bottom = codes.get(1).toIntArray();
            float[] values = new float[bottom.length];
            for (int i = 0; i < values.length; i++) {
                values[i] = bottom[i] / 3f;
            }
            return values;
        }

        /** Squares of pseudo-random greys. */
        ImageSet images(int count) {
            float[] values = new float[count * 24];
            for (int i = 0; i < values.length; i++) {
                int square = i / 24 * 6 + i / 12 % 2 * 3 + i % 6 / 2;
                values[i] = (square * 7919 % 104729 * 31 % 101 % 4) / 3f;
            }
            return VqVaeTest.set("squares", image(), values);
        }
    }

    /** Pixels of a square are known from the map of squares: only that takes bits. */
    @Test
    void aMapKnowsThoseBeforeIt() {
        Squares squares = new Squares();
        CodeSet set = CodeSet.of(squares, squares.images(40), 7);
        assertEquals(new ImageShape(1, 30, 1), set.shape());
        CodePrior prior = prior(squares.codeMaps(), small());
        Trainer.of(prior)
                .data(set)
                .batchSize(20)
                .steps(80)
                .optimizer(Adam.Options.defaults().withLearningRate(0.03f))
                .train();
        Model.Objective objective = prior.objective(Tape.inference(scope), batch(set));
        double top = mean(objective, "top_bits_per_code");
        double bottom = mean(objective, "bottom_bits_per_code");
        assertTrue(top > 0.8 && top < 2.5, "bits of top: " + top);
        assertTrue(bottom < 0.1, "bits of bottom: " + bottom);
        double all = (6 * top + 24 * bottom) / 30;
        assertEquals(all, mean(objective, "bits_per_code"), 1e-4);
        assertEquals(all * Math.log(2), objective.loss().item(), 1e-4);

        TwoStageModel model = new TwoStageModel(squares, prior);
        float[] drawn = model.sample(50, 3);
        int[] top50 = prior.sample(scope, 50, Condition.none(), Draws.of(3)).get(0).toIntArray();
        int same = 0;
        for (int i = 0; i < drawn.length; i++) {
            int square = top50[i / 12 * 3 + i % 6 / 2];
            same += Math.round(3 * drawn[i]) == square - 1 ? 1 : 0;
        }
        assertTrue(same > 0.95 * drawn.length, same + " of " + drawn.length);
    }

    private static double mean(Model.Objective objective, String metric) {
        float[] rows = objective.metrics().get(metric).toFloatArray();
        return IntStream.range(0, rows.length).mapToDouble(i -> rows[i]).average().orElseThrow();
    }

    @Test
    void gradientsOfWhatAMapSeesOfThoseBeforeIt() {
        Squares squares = new Squares();
        CodeSet set = CodeSet.of(squares, squares.images(2), 2);
        CodePrior prior = prior(squares.codeMaps(), small().withLayers(1).withFeatures(3));
        Tensor x = batch(set);
        prior.parameters()
                .forEach(
                        (name, p) -> {
                            // Gradients stand out from the rounding of a loss of about 1, gates
                            // are open, and no ReLU has a kink nearby.
                            boolean isMap = name.matches(".*\\.map\\.weight");
                            boolean isHead = name.matches(".*(skip|head)\\.bias");
                            boolean isBlock = name.matches("bottom\\.top\\.network\\.[012].*bias");
                            change(p, isMap ? 4 : 1, isHead ? 3 : isBlock ? 1 : 0);
                        });
        Tape tape = new Tape(scope);
        prior.watch(tape);
        tape.backward(prior.objective(tape, x).loss());
        prior.parameters()
                .forEach(
                        (name, parameter) -> {
                            double largest = 0;
                            for (float d : tape.gradient(parameter).toFloatArray()) {
                                largest = Math.max(largest, Math.abs(d));
                            }
                            boolean checked = name.startsWith("bottom.top.");
                            assertTrue(largest > (checked ? 3e-3 : 0), name + ": " + largest);
                            if (checked) {
                                GradientCheck.check(
                                        scope,
                                        parameter,
                                        (t, p) -> prior.objective(t, x).loss(),
                                        2e-4);
                            }
                        });
    }

    private static void change(Tensor parameter, float factor, float more) {
        float[] values = parameter.toFloatArray();
        for (int i = 0; i < values.length; i++) {
            values[i] = factor * values[i] + more;
        }
        parameter.copyFrom(values);
    }

    @Test
    void mapsThatDoNotFitAreNamed() {
        CodeMap top = new CodeMap("top", new ImageShape(3, 3, 1), 5);
        CodeMap bottom = new CodeMap("bottom", new ImageShape(6, 8, 1), 5);
        fails(
                () -> prior(List.of(top, bottom), small()),
                "bottom 6x8x1 of 5 codes must be multiples of those of a map before it,"
                        + " got top 3x3x1");
        fails(() -> prior(List.of(top, top), small()), "registered twice");
    }
}
