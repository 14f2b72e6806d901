package org.jlatent.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.OptionalInt;
import java.util.function.UnaryOperator;
import org.jlatent.Device;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.models.AutoregressiveModel.Draws;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;
import org.jlatent.train.Adam;
import org.jlatent.train.Trainer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What autoregressive models learn, what they are asked for, and mistakes. */
final class AutoregressiveTrainingTest {
    private static final ImageShape SHAPE = new ImageShape(4, 5, 1);
    private static final int CLASSES = 4;

    private final Device device = Device.cpu();
    private final Scope scope = new Scope(device);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    /**
     * Image i is of class i % classes, and as many of its rows are white, from one of three columns
     * on.
     */
    private record Stripes(int size, int classes, float white) implements ImageSet {
        @Override
        public String name() {
            return "stripes";
        }

        @Override
        public ImageShape shape() {
            return SHAPE;
        }

        @Override
        public void read(int index, float[] destination, int offset) {
            int from = index * 7 % 11 % 3;
            for (int i = 0; i < SHAPE.values(); i++) {
                boolean inside = i / 5 < index % classes && i % 5 >= from;
                destination[offset + i] = inside ? white : 0;
            }
        }

        @Override
        public OptionalInt label(int index) {
            return classes == 1 ? OptionalInt.empty() : OptionalInt.of(index % classes);
        }
    }

    private static final ImageSet STRIPES = new Stripes(101, CLASSES, 1);

    private GatedPixelCnn gated(UnaryOperator<GatedPixelCnnConfig> change) {
        GatedPixelCnnConfig config =
                GatedPixelCnnConfig.defaults().withLayers(2).withFeatures(8).withHead(8);
        return new GatedPixelCnn(new Init(scope, 1), SHAPE, change.apply(config), 1);
    }

    private PixelCnn plain() {
        PixelCnnConfig config = PixelCnnConfig.defaults().withBlocks(2).withFeatures(8).withHead(8);
        return new PixelCnn(new Init(scope, 1), SHAPE, config, 1);
    }

    private PixelRnn recurrent() {
        PixelRnnConfig config = PixelRnnConfig.defaults().withLayers(2).withFeatures(8).withHead(8);
        return new PixelRnn(new Init(scope, 1), SHAPE, config, 1);
    }

    private double trained(AutoregressiveModel model) {
        double before = AutoregressiveEvaluation.of(model, STRIPES, 32).nll();
        assertEquals(SHAPE.values() * Math.log(2), before, 2);
        Trainer.of(model)
                .data(STRIPES)
                .validation(STRIPES)
                .batchSize(25)
                .steps(150)
                .optimizer(Adam.Options.defaults().withLearningRate(0.01f))
                .train();
        return AutoregressiveEvaluation.of(model, STRIPES, 32).nll();
    }

    /** Of 4 classes and 3 columns, 10 images: log 10 nats, and log 3 for most given the class. */
    @Test
    void modelsLearnWhatThereIsAndClassesHelp() {
        double alone = trained(gated(c -> c));
        double classes = trained(gated(c -> c.withClasses(CLASSES)));
        assertEquals(Math.log(10), alone, 0.7);
        assertEquals(0.75 * Math.log(3), classes, 0.7);
        assertTrue(classes < alone - 0.7, classes + " given the class, " + alone + " without");
        assertEquals(Math.log(10), trained(plain()), 0.7);
        assertEquals(Math.log(10), trained(recurrent()), 0.7);
    }

    @Test
    void classesAreDrawnAsAskedFor() {
        GatedPixelCnn model = gated(c -> c.withClasses(CLASSES));
        trained(model);
        int[] labels = new int[200];
        Arrays.setAll(labels, i -> i % CLASSES);
        float[] drawn = model.sample(labels.length, Condition.ofLabels(labels), Draws.of(5));
        int right = 0;
        for (int i = 0; i < labels.length; i++) {
            int rows = 0;
            for (int row = 0; row < 4; row++) {
                rows += drawn[i * SHAPE.values() + 5 * row + 4] == 1 ? 1 : 0;
            }
            right += rows == labels[i] ? 1 : 0;
        }
        assertTrue(right > 180, right + " of 200 have as many rows as their class");
    }

    @Test
    void anEvaluationIsTheMeanOverAllImages() {
        GatedPixelCnn model = gated(c -> c.withClasses(CLASSES));
        AutoregressiveEvaluation whole = AutoregressiveEvaluation.of(model, STRIPES, 200);
        AutoregressiveEvaluation parts = AutoregressiveEvaluation.of(model, STRIPES, 7);
        assertEquals(whole.nll(), parts.nll(), 1e-5);
        assertEquals(whole.nll() / (20 * Math.log(2)), whole.bitsPerDim(), 1e-9);
        double sum = 0;
        for (int i = 0; i < STRIPES.size(); i++) {
            scope.clear();
            GatedPixelCnn same = gated(c -> c.withClasses(CLASSES));
            Tensor x = ImageModel.batch(scope, STRIPES, i, 1);
            Tape tape = Tape.inference(scope);
            sum += same.objective(tape, x, new int[] {i % CLASSES}).loss().item();
        }
        assertEquals(whole.nll(), sum / STRIPES.size(), 1e-5);
    }

    /** Trained again the weights are the same bits. */
    @Test
    void theSameSeedTrainsTheSameWeights() {
        theSameWeights(plain(), plain());
        theSameWeights(recurrent(), recurrent());
    }

    private void theSameWeights(AutoregressiveModel one, AutoregressiveModel two) {
        for (AutoregressiveModel model : new AutoregressiveModel[] {one, two}) {
            Trainer.of(model).data(STRIPES).batchSize(16).steps(5).seed(3).train();
        }
        one.parameters()
                .forEach(
                        (name, parameter) ->
                                assertArrayEquals(
                                        parameter.toFloatArray(),
                                        two.parameters().get(name).toFloatArray(),
                                        name));
    }

    // ---- mistakes ----

    private static void fails(String words, Executable call) {
        RuntimeException e = assertThrows(RuntimeException.class, call);
        assertTrue(e.getMessage().contains(words), e::getMessage);
    }

    private static Likelihood mixture(int channels) {
        return Likelihoods.discretizedLogisticMixture(2, 256, channels);
    }

    @Test
    void configurationsAreChecked() {
        GatedPixelCnnConfig config = GatedPixelCnnConfig.defaults();
        fails("kernel must be odd, got 4", () -> config.withKernels(7, 4));
        fails("firstKernel must be odd and at least 3", () -> config.withKernels(6, 3));
        fails("firstKernel must be odd and at least 3", () -> config.withKernels(1, 3));
        fails("layers must be at least 1, got 0", () -> config.withLayers(0));
        fails("features must be at least 1, got 0", () -> config.withFeatures(0));
        fails("head must be at least 1, got 0", () -> config.withHead(0));
        fails("classes must be at least 0, got -1", () -> config.withClasses(-1));
        fails("conditionChannels must be at least 0", () -> config.withConditionChannels(-1));
        fails("attention must be at least 0, got -1", () -> config.withAttention(-1));
        fails("features into heads of at most 128, got 5", () -> config.withAttention(5));
        fails("heads of at most 128, got 1", () -> config.withFeatures(129).withAttention(1));
        fails(
                "with attention, layers must be at least 2, got 1",
                () -> config.withLayers(1).withAttention(2));
        fails("likelihood", () -> config.withLikelihood(null));
        PixelCnnConfig plain = PixelCnnConfig.defaults();
        fails("kernel must be odd, got 2", () -> plain.withKernels(7, 2));
        fails("firstKernel must be odd", () -> plain.withKernels(8, 3));
        fails("blocks must be at least 0, got -1", () -> plain.withBlocks(-1));
        PixelRnnConfig rows = PixelRnnConfig.defaults();
        fails("layers must be at least 1, got 0", () -> rows.withLayers(0));
        fails("features must be at least 1, got -3", () -> rows.withFeatures(-3));
        fails("firstKernel must be odd and at least 3", () -> rows.withFirstKernel(1));
        fails("head must be at least 1, got 0", () -> rows.withHead(0));
        ImageShape colours = new ImageShape(4, 5, 3);
        fails(
                "features must be a multiple of the image's 3 channels, got 32",
                () -> new GatedPixelCnn(new Init(scope, 1), colours, config, 1));
        fails(
                "head must be a multiple of the image's 3 channels, got 32",
                () -> new PixelCnn(new Init(scope, 1), colours, plain.withFeatures(15), 1));
        fails(
                "features must be a multiple of the image's 3 channels, got 16",
                () -> new PixelRnn(new Init(scope, 1), colours, rows, 1));
        fails(
                "needs a likelihood of levels: bernoulli, categorical or logistic-mixture, got gaussian",
                () -> gated(c -> c.withLikelihood(Likelihoods.gaussian(1))));
        fails("does not fit images of 1", () -> gated(c -> c.withLikelihood(mixture(3))));
    }

    @Test
    void conditionsAreChecked() {
        Tensor x = ImageModel.batch(scope, STRIPES, 0, 2);
        Tape tape = Tape.inference(scope);
        GatedPixelCnn alone = gated(c -> c);
        GatedPixelCnn classes = gated(c -> c.withClasses(CLASSES));
        GatedPixelCnn map = gated(c -> c.withConditionChannels(2));
        fails("not conditioned on classes", () -> alone.logits(tape, x, Condition.ofLabels(1, 2)));
        fails("got no labels", () -> classes.logits(tape, x, Condition.none()));
        fails("got no labels", () -> classes.objective(tape, x));
        fails(
                "a label must be from 0 to 3, got 4",
                () -> classes.logits(tape, x, Condition.ofLabels(0, 4)));
        fails("got -1", () -> classes.objective(tape, x, new int[] {0, -1}));
        fails("2 images and 1 labels", () -> classes.logits(tape, x, Condition.ofLabels(0)));
        fails("a map [2, 4, 5, 2], got none", () -> map.logits(tape, x, Condition.none()));
        Tensor other = scope.zeros(Shape.of(2, 4, 5, 3));
        fails("got [2, 4, 5, 3]", () -> map.logits(tape, x, Condition.ofMap(other)));
        fails("no map, got", () -> alone.logits(tape, x, Condition.ofMap(other)));
        fails("reshape", () -> alone.logits(tape, scope.zeros(Shape.of(2, 21)), Condition.none()));
        fails(
                "cannot be completed",
                () ->
                        alone.complete(
                                new float[20], new boolean[19], Condition.none(), Draws.of(1)));
        alone.parameters().get("network.out.bias").copyFrom(Float.NaN);
        fails("no distribution to draw from", () -> alone.sample(1, Condition.none(), Draws.of(1)));
        ImageShape colours = new ImageShape(1, 1, 3);
        GatedPixelCnnConfig config = GatedPixelCnnConfig.defaults().withLikelihood(mixture(3));
        GatedPixelCnn pixels = new GatedPixelCnn(new Init(scope, 1), colours, config, 1);
        boolean[] red = {true, false, false};
        fails(
                "draws whole pixels",
                () -> pixels.complete(new float[3], red, Condition.none(), Draws.of(1)));
    }

    @Test
    void imagesAreCheckedBeforeTraining() {
        GatedPixelCnn alone = gated(c -> c);
        fails("a value given others is 0 or 1", () -> train(alone, new Stripes(8, 4, 0.5f)));
        GatedPixelCnn classes = gated(c -> c.withClasses(3));
        fails("image 3 is of class 3", () -> train(classes, STRIPES));
        fails("image 0 has none", () -> train(classes, new Stripes(8, 1, 1)));
        fails("there are no images", () -> evaluate(alone, new Stripes(0, 4, 1)));
        fails("a value given others is 0 or 1", () -> evaluate(alone, new Stripes(8, 4, 0.5f)));
    }

    private static void train(AutoregressiveModel model, ImageSet images) {
        Trainer.of(model).data(images).steps(1).train();
    }

    private static void evaluate(AutoregressiveModel model, ImageSet images) {
        AutoregressiveEvaluation.of(model, images, 4);
    }
}
