package org.jlatent.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.OptionalInt;
import org.jlatent.OnEveryDevice;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihoods;
import org.jlatent.train.Adam;
import org.jlatent.train.Trainer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What a PixelCNN++ learns, and mistakes; what it sees is tested with the others. */
@OnEveryDevice
final class PixelCnnPlusPlusTest {
    private static final ImageShape SHAPE = new ImageShape(4, 4, 3);

    private final TinyPixelModels tiny = new TinyPixelModels();

    @AfterEach
    void close() {
        tiny.close();
    }

    /** Half of every image, to the left, right, above or below, has one colour. */
    private record Halves(int size) implements ImageSet {
        @Override
        public String name() {
            return "halves";
        }

        @Override
        public ImageShape shape() {
            return SHAPE;
        }

        @Override
        public void read(int index, float[] destination, int offset) {
            for (int i = 0; i < SHAPE.values(); i++) {
                int y = i / 12;
                int x = i / 3 % 4;
                boolean first = (index % 2 == 0 ? y : x) < 2;
                int level = first == (index / 2 % 2 == 0) ? 200 - 60 * (i % 3) : 20;
                destination[offset + i] = level / 255f;
            }
        }

        @Override
        public OptionalInt label(int index) {
            return OptionalInt.of(index % 4);
        }
    }

    private static void train(PixelCnnPlusPlus model, int batch, int steps) {
        Trainer.of(model)
                .data(new Halves(32))
                .batchSize(batch)
                .steps(steps)
                .optimizer(Adam.Options.defaults().withLearningRate(0.02f))
                .train();
    }

    @Test
    @Tag("slow-on-stubs")
    void theLossFalls() {
        PixelCnnPlusPlusConfig config = TinyPixelModels.plusPlus(3).withDropout(0.1f);
        PixelCnnPlusPlus model = tiny.plusPlus(SHAPE, config.withClasses(4));
        double before = AutoregressiveEvaluation.of(model, new Halves(32), 16).nll();
        train(model, 16, 30);
        double after = AutoregressiveEvaluation.of(model, new Halves(32), 16).nll();
        assertTrue(after < 0.8 * before, "from " + before + " to " + after + " nats");
    }

    @Test
    void theSameSeedTrainsTheSameWeights() {
        PixelCnnPlusPlusConfig config = TinyPixelModels.plusPlus(3).withDropout(0.1f);
        PixelCnnPlusPlus one = tiny.plusPlus(SHAPE, config);
        PixelCnnPlusPlus two = tiny.plusPlus(SHAPE, config);
        train(one, 4, 3);
        train(two, 4, 3);
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

    @Test
    void configurationsAreChecked() {
        PixelCnnPlusPlusConfig config = PixelCnnPlusPlusConfig.defaults();
        fails("scales must be from 1 to 30, got 0", () -> config.withScales(0));
        fails("scales must be from 1 to 30, got 31", () -> config.withScales(31));
        fails("blocks must be at least 1, got 0", () -> config.withBlocks(0));
        fails("features must be at least 1, got 0", () -> config.withFeatures(0));
        fails("dropout must be in [0, 1), got 1.0", () -> config.withDropout(1));
        fails("dropout must be in [0, 1), got NaN", () -> config.withDropout(Float.NaN));
        fails("likelihood", () -> config.withLikelihood(null));
        fails("classes must be at least 0, got -1", () -> config.withClasses(-1));
        fails(
                "multiples of 4, which they are divided by at 3 scales, got 4x6x3",
                () -> model(6, config));
        fails(
                "draws whole pixels: choose a logistic-mixture, or images of 1 channel, got a"
                        + " categorical likelihood of 3 channels",
                () -> model(4, config.withLikelihood(Likelihoods.categorical(256))));
        fails(
                "needs a likelihood of levels",
                () -> model(4, config.withLikelihood(Likelihoods.gaussian(1))));
    }

    private PixelCnnPlusPlus model(int width, PixelCnnPlusPlusConfig config) {
        ImageShape shape = new ImageShape(4, width, 3);
        return new PixelCnnPlusPlus(new Init(tiny.scope, 1), shape, config, 1);
    }
}
