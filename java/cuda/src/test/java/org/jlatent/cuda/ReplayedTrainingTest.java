package org.jlatent.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.BiFunction;
import java.util.stream.Stream;
import org.jlatent.Device;
import org.jlatent.Precision;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.models.Autoencoder;
import org.jlatent.models.AutoencoderConfig;
import org.jlatent.models.GatedPixelCnnConfig;
import org.jlatent.models.Model;
import org.jlatent.models.PixelRnn;
import org.jlatent.models.PixelRnnConfig;
import org.jlatent.models.PixelVae;
import org.jlatent.models.PixelVaeConfig;
import org.jlatent.models.Vae;
import org.jlatent.models.VaeConfig;
import org.jlatent.models.VqVae;
import org.jlatent.models.VqVae2;
import org.jlatent.models.VqVae2Config;
import org.jlatent.models.VqVaeConfig;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihoods;
import org.jlatent.nn.VectorQuantizerConfig;
import org.jlatent.train.Adam;
import org.jlatent.train.Callback;
import org.jlatent.train.Progress;
import org.jlatent.train.Schedule;
import org.jlatent.train.Trainer;
import org.jlatent.train.TrainingException;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Training replayed from graphs is eager training, bit for bit. */
@Tag("cuda")
final class ReplayedTrainingTest {
    private static final ImageSet IMAGES =
            new ImageSet() {
                @Override
                public String name() {
                    return "waves";
                }

                @Override
                public int size() {
                    return 40;
                }

                @Override
                public ImageShape shape() {
                    return new ImageShape(8, 8, 1);
                }

                @Override
                public void read(int index, float[] destination, int offset) {
                    for (int i = 0; i < 64; i++) {
                        double wave = 0.5 + 0.5 * Math.sin(index + 0.3 * i);
                        destination[offset + i] = Math.round(3 * wave) / 3f; // one of 4 levels
                    }
                }
            };

    private interface Maker extends BiFunction<Init, ImageShape, Model> {}

    /** Another model that is trained in some other way. */
    private static class Guise extends Model {
        final Model model;
        private final boolean recordable;

        Guise(Model model, boolean recordable) {
            this.model = child("model", model);
            this.recordable = recordable;
        }

        @Override
        public boolean isRecordable() {
            return recordable;
        }

        @Override
        public Objective objective(Tape tape, Tensor x) {
            return model.objective(tape, x);
        }

        @Override
        public Random random() {
            return model.random();
        }

        @Override
        public void prepare(ImageSet images, long seed) {
            model.prepare(images, seed);
        }

        @Override
        public Map<String, Double> epochFigures() {
            return model.epochFigures();
        }

        @Override
        public Optional<String> epochWarning() {
            return model.epochWarning();
        }

        @Override
        public void beginEpoch() {
            model.beginEpoch();
        }
    }

    private record Trained(
            List<float[]> state, List<Progress> steps, long warmUp, long allocations) {}

    private static Trained train(Maker maker, int count, Adam.Options adam, Schedule schedule) {
        return train(maker, count, adam, schedule, Precision.F32);
    }

    private static Trained train(
            Maker maker, int count, Adam.Options adam, Schedule schedule, Precision precision) {
        try (Device device = Device.cuda();
                Scope scope = new Scope(device)) {
            Model model = maker.apply(new Init(scope, 1), IMAGES.shape());
            List<Progress> steps = new ArrayList<>();
            List<Long> allocations = new ArrayList<>();
            Callback listener =
                    new Callback() {
                        @Override
                        public void onStep(Progress progress) {
                            steps.add(progress);
                            allocations.add(device.allocations());
                        }
                    };
            Trainer.of(model)
                    .data(IMAGES)
                    .batchSize(16) // 16, 16, 8
                    .steps(count)
                    .seed(1)
                    .optimizer(adam)
                    .schedule(schedule)
                    .precision(precision)
                    .callback(listener)
                    .train();
            List<float[]> state = new ArrayList<>();
            model.parameters().values().forEach(p -> state.add(p.toFloatArray()));
            return new Trained(
                    state,
                    steps,
                    allocations.get(Math.min(12, count) - 1),
                    allocations.get(count - 1));
        }
    }

    private static Trained train(Maker maker, int count) {
        return train(maker, count, Adam.Options.defaults().withMaxNorm(0.5f), Schedule.cosine());
    }

    private static Model vae(Init init, ImageShape shape) {
        return new Vae(init, shape, VaeConfig.defaults().withHidden(24).withLatent(3), 1);
    }

    private static Model convolutional(Init init, ImageShape shape) {
        VaeConfig config =
                VaeConfig.convolutional()
                        .withChannels(3)
                        .withHidden(8)
                        .withLatent(2)
                        .withFreeBits(0.1f);
        return new Vae(init, shape, config, 1);
    }

    private static Model pixels(Init init, ImageShape shape) {
        VaeConfig vae =
                VaeConfig.defaults()
                        .withHidden(8)
                        .withLatent(2)
                        .withSamples(2)
                        .withLikelihood(Likelihoods.categorical(4));
        PixelVaeConfig config = PixelVaeConfig.defaults().withVae(vae);
        GatedPixelCnnConfig small = config.pixels().withFeatures(4).withHead(4);
        return new PixelVae(init, shape, config.withPixels(small.withConditionChannels(2)), 1);
    }

    private static Model recurrent(Init init, ImageShape shape) {
        PixelRnnConfig config =
                PixelRnnConfig.defaults()
                        .withLayers(1)
                        .withFeatures(4)
                        .withFirstKernel(3)
                        .withHead(4)
                        .withLikelihood(Likelihoods.categorical(4));
        return new PixelRnn(init, shape, config, 1);
    }

    static Stream<Maker> models() {
        VectorQuantizerConfig fewCodes = VectorQuantizerConfig.defaults().withCodes(16).withDims(4);
        return Stream.of(
                ReplayedTrainingTest::vae,
                ReplayedTrainingTest::convolutional,
                ReplayedTrainingTest::pixels,
                ReplayedTrainingTest::recurrent,
                (init, shape) ->
                        new VqVae(
                                init,
                                shape,
                                VqVaeConfig.defaults().withHidden(8).withResidual(1, 4),
                                1),
                (init, shape) ->
                        new VqVae2(
                                init,
                                shape,
                                VqVae2Config.defaults()
                                        .withNetwork(
                                                VqVaeConfig.defaults()
                                                        .withLevels(1)
                                                        .withHidden(8)
                                                        .withResidual(1, 4)
                                                        .withQuantizer(fewCodes)),
                                1),
                (init, shape) ->
                        new Autoencoder(
                                init,
                                shape,
                                AutoencoderConfig.defaults().withHidden(16).withDrop(0.5f),
                                1));
    }

    @BeforeEach
    void needsCuda() {
        assumeTrue(Cuda.isAvailable(), () -> "skipped: " + Cuda.unavailabilityCause().orElse(""));
    }

    @ParameterizedTest
    @MethodSource("models")
    void isEagerTraining(Maker maker) {
        Trained replayed = train((init, shape) -> new Guise(maker.apply(init, shape), true), 9);
        Trained eager = train((init, shape) -> new Guise(maker.apply(init, shape), false), 9);
        assertFalse(replayed.state.isEmpty());
        for (int i = 0; i < eager.state.size(); i++) {
            assertArrayEquals(eager.state.get(i), replayed.state.get(i));
        }
        assertEquals(9, replayed.steps.size());
        for (int i = 0; i < 9; i++) {
            assertEquals(i + 1, replayed.steps.get(i).step());
            assertEquals(eager.steps.get(i).metrics(), replayed.steps.get(i).metrics());
            assertEquals(eager.steps.get(i).epoch(), replayed.steps.get(i).epoch());
        }
        assertTrue(train(maker, 1).steps.get(0).metrics().containsKey("loss"));
    }

    @Test
    void inBf16Too() {
        List<List<float[]>> states = new ArrayList<>();
        for (boolean recordable : new boolean[] {true, false}) {
            Maker maker = (init, shape) -> new Guise(convolutional(init, shape), recordable);
            Adam.Options adam = Adam.Options.defaults();
            states.add(train(maker, 7, adam, Schedule.constant(), Precision.BF16).state);
        }
        assertFalse(states.get(0).isEmpty());
        for (int i = 0; i < states.get(0).size(); i++) {
            assertArrayEquals(states.get(1).get(i), states.get(0).get(i));
        }
    }

    @Test
    void aThousandReplaysAllocateNothing() {
        int replays = System.getenv("JLATENT_STUBS") == null ? 1000 : 20; // stubs take their time
        Trained trained = train(ReplayedTrainingTest::vae, 12 + replays);
        assertEquals(trained.warmUp, trained.allocations);
    }

    /**
     * The same words as eagerly, and the weights of the last good step, though it is noticed late.
     */
    @Test
    void whatIsNotFiniteIsNoticedInTime() {
        Adam.Options wild = Adam.Options.defaults().withLearningRate(0x1p60f);
        Map<Boolean, List<float[]>> states = new LinkedHashMap<>();
        Map<Boolean, String> messages = new LinkedHashMap<>();
        for (boolean recordable : new boolean[] {true, false}) {
            try (Device device = Device.cuda();
                    Scope scope = new Scope(device)) {
                Model model = new Guise(vae(new Init(scope, 1), IMAGES.shape()), recordable);
                Trainer trainer =
                        Trainer.of(model).data(IMAGES).batchSize(8).steps(40).optimizer(wild);
                // The rate grows until it is too much.
                trainer.schedule((step, steps) -> step < 6 ? 1e-22 : 1);
                TrainingException e = assertThrows(TrainingException.class, trainer::train);
                messages.put(recordable, e.getMessage());
                List<float[]> state = new ArrayList<>();
                model.parameters().values().forEach(p -> state.add(p.toFloatArray()));
                states.put(recordable, state);
            }
        }
        assertEquals(messages.get(false), messages.get(true));
        assertTrue(messages.get(true).contains(" at step 8"), messages.get(true));
        for (int i = 0; i < states.get(true).size(); i++) {
            assertArrayEquals(states.get(false).get(i), states.get(true).get(i));
        }
    }

    /** Each with a device, and so a stream, of its own. */
    @Test
    void twoThreadsTrainAtOnce() throws Exception {
        Trained alone = train(ReplayedTrainingTest::vae, 9);
        ExecutorService threads = Executors.newFixedThreadPool(2);
        List<Trained> both = new ArrayList<>();
        try {
            Callable<Trained> one = () -> train(ReplayedTrainingTest::vae, 9);
            for (Future<Trained> trained : threads.invokeAll(List.of(one, one))) {
                both.add(trained.get());
            }
        } finally {
            threads.shutdown();
        }
        for (Trained trained : both) {
            for (int i = 0; i < alone.state.size(); i++) {
                assertArrayEquals(alone.state.get(i), trained.state.get(i));
            }
        }
    }

    @Test
    void whatCannotBeRecordedIsTrainedStepByStep() {
        Maker reading =
                (init, shape) ->
                        new Guise(vae(init, shape), true) {
                            @Override
                            public Objective objective(Tape tape, Tensor x) {
                                Objective objective = model.objective(tape, x);
                                assertTrue(Float.isFinite(objective.loss().item()));
                                return objective;
                            }
                        };
        Trained read = train(reading, 7);
        Trained eager = train((init, shape) -> new Guise(vae(init, shape), false), 7);
        for (int i = 0; i < eager.state.size(); i++) {
            assertArrayEquals(eager.state.get(i), read.state.get(i));
        }
    }
}
