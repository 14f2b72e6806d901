package org.jlatent.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.jlatent.Device;
import org.jlatent.JlatentException;
import org.jlatent.OnEveryDevice;
import org.jlatent.Precision;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.TestDevice;
import org.jlatent.data.Augmentation;
import org.jlatent.data.ImageSet;
import org.jlatent.data.Sprites;
import org.jlatent.io.AtomicFile;
import org.jlatent.io.Safetensors;
import org.jlatent.models.Model;
import org.jlatent.models.Vae;
import org.jlatent.models.VaeConfig;
import org.jlatent.models.VqVae;
import org.jlatent.models.VqVaeConfig;
import org.jlatent.nn.Init;
import org.jlatent.nn.VectorQuantizerConfig;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Runs that were stopped and resumed against runs that were not. */
@OnEveryDevice
final class ResumeTest {
    private static final int STEPS = 33; // three epochs of ten batches, and three steps
    private static final Augmentation AUGMENTATION = new Augmentation(true, 2, true, false);
    private static final Adam.Options OPTIMIZER =
            Adam.Options.defaults()
                    .withLearningRate(3e-3f)
                    .withWeightDecay(0.01f)
                    .withMaxNorm(20)
                    .withAverageDecay(0.9f);

    @TempDir Path folder;
    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);
    private final ImageSet sprites = new Sprites(16);
    private final ImageSet images = sprites.range(0, 300); // 10 batches of 32, the last smaller
    private final ImageSet validation = sprites.range(300, 350);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    /** What a run leaves: weights, averages and moments, and what it told. */
    private record Outcome(
            Map<String, float[]> tensors, List<Progress> epochs, List<Double> steps) {

        void is(Outcome other, String what) {
            assertEquals(other.tensors.keySet(), tensors.keySet());
            tensors.forEach(
                    (name, values) ->
                            assertArrayEquals(other.tensors.get(name), values, what + name));
            assertEquals(untimed(other.epochs), untimed(epochs), what);
            assertEquals(other.steps, steps, what);
        }

        private static List<Progress> untimed(List<Progress> epochs) {
            return epochs.stream()
                    .map(
                            p ->
                                    new Progress(
                                            p.epoch(),
                                            p.step(),
                                            p.steps(),
                                            p.metrics(),
                                            p.validation(),
                                            0))
                    .toList();
        }
    }

    private Model model(int hidden) {
        VaeConfig config =
                VaeConfig.defaults().withHidden(hidden).withLatent(4).withBeta(4).withSamples(2);
        return new Counting(new Vae(new Init(scope, 1), images.shape(), config, 1), scope);
    }

    /**
     * A codebook that learns by averages, starts from images and revives its dead codes: there are
     * more codes than vectors in a batch of patches.
     */
    private Model quantized() {
        VqVaeConfig config =
                VqVaeConfig.defaults()
                        .withHidden(4)
                        .withResidual(1, 2)
                        .withLevels(3)
                        .withQuantizer(
                                VectorQuantizerConfig.defaults()
                                        .withCodes(200)
                                        .withDims(3)
                                        .withRevive(0.5f));
        return new VqVae(new Init(scope, 1), images.shape(), config, 1);
    }

    @Test
    @Tag("slow-on-stubs")
    void aResumedCodebookIsTheUninterruptedOne() {
        Outcome whole = run("whole", STEPS, t -> t, this::quantized);
        for (Progress epoch : whole.epochs) {
            assertTrue(epoch.metrics().get("revived") > 0, epoch::toString);
            assertTrue(epoch.metrics().get("usage") > 0, epoch::toString);
        }
        for (int[] at : new int[][] {{1}, {9}, {10}, {11}, {3, 15, 20, 32}}) {
            String name = Arrays.toString(at);
            run(name, STEPS, t -> t, this::quantized, at).is(whole, "stopped at " + name + " ");
        }
        // Cut within an epoch, then trained longer: its figures are those of the whole epoch.
        UnaryOperator<Trainer> constant = t -> t.schedule(Schedule.constant());
        Outcome straight = run("straight", STEPS, constant, this::quantized);
        run("longer", 13, constant, this::quantized);
        Outcome longer = run("longer", STEPS, constant, this::quantized);
        assertEquals(straight.epochs.get(1).metrics(), longer.epochs.get(1).metrics());
    }

    /** A model with a buffer: the images of a training step are added to it. */
    private static final class Counting extends Model {
        private final Vae vae;
        private final Tensor seen;

        Counting(Vae vae, Scope scope) {
            this.vae = child("vae", vae);
            this.seen = buffer("seen", scope.ofInts(Shape.of(1), 0));
        }

        @Override
        public Objective objective(Tape tape, Tensor x) {
            if (tape.recording()) {
                seen.copyFrom(new int[] {seen.toIntArray()[0] + (int) x.shape().get(0)});
            }
            return vae.objective(tape, x);
        }

        @Override
        public Random random() {
            return vae.random();
        }
    }

    private Trainer trainer(Model model, int steps) {
        return Trainer.of(model)
                .data(images)
                .augmentation(AUGMENTATION)
                .validation(validation)
                .batchSize(32)
                .steps(steps)
                .seed(5)
                .optimizer(OPTIMIZER)
                .schedule(Schedule.cosine().withWarmup(7));
    }

    private Outcome run(String name, int steps, UnaryOperator<Trainer> how, int... cuts) {
        return run(name, steps, how, () -> model(16), cuts);
    }

    /**
     * A run in a process's worth of new objects, stopped at every cut.
     *
     * @param how changes the trainer
     */
    private Outcome run(
            String name,
            int steps,
            UnaryOperator<Trainer> how,
            Supplier<Model> models,
            int... cuts) {
        Path file = folder.resolve(name);
        List<Double> losses = new ArrayList<>();
        List<Integer> stops = new ArrayList<>(Arrays.stream(cuts).boxed().toList());
        while (true) {
            Model model = models.get();
            Trainer trainer = how.apply(trainer(model, steps).checkpoint(file, 0));
            if (Files.exists(file)) {
                trainer.resume(Checkpoint.read(file));
            }
            Progress last =
                    trainer.callback(
                                    new Callback() {
                                        @Override
                                        public void onStep(Progress progress) {
                                            losses.add(progress.metrics().get("loss"));
                                            if (!stops.isEmpty()
                                                    && progress.step() == stops.get(0)) {
                                                stops.remove(0);
                                                trainer.stop();
                                            }
                                        }
                                    })
                            .train();
            if (last.finished()) {
                assertEquals(List.of(), stops);
                Map<String, float[]> tensors = new LinkedHashMap<>();
                Safetensors.read(file).forEach((n, e) -> put(tensors, n, e));
                model.parameters()
                        .forEach(
                                (n, t) ->
                                        assertArrayEquals(
                                                t.toFloatArray(), tensors.get("model." + n), n));
                Map<String, Safetensors.Entry> saved = Safetensors.read(file);
                model.buffers()
                        .forEach(
                                (n, t) ->
                                        assertEquals(
                                                Safetensors.Entry.of(n, t).data().rewind(),
                                                saved.get("model." + n).data().rewind(),
                                                n));
                return new Outcome(tensors, Checkpoint.read(file).state().history(), losses);
            }
        }
    }

    private static void put(Map<String, float[]> tensors, String name, Safetensors.Entry entry) {
        if (entry.dtype().equals("F32")) {
            tensors.put(name, entry.toFloats());
        } else { // the optimizer's words
            byte[] bytes = entry.data().array();
            float[] values = new float[bytes.length];
            for (int i = 0; i < bytes.length; i++) {
                values[i] = bytes[i];
            }
            tensors.put(name, values);
        }
    }

    @Test
    @Tag("slow-on-stubs")
    void aResumedRunIsTheUninterruptedOne() {
        Outcome whole = run("whole", STEPS, t -> t);
        assertEquals(4, whole.epochs.size());
        assertEquals(STEPS, whole.steps.size());
        assertEquals(
                3 * 300 + 96,
                Safetensors.read(folder.resolve("whole")).get("model.seen").data().getInt(0));
        int[][] cuts = {
            {1}, {9}, {10}, {11}, {20}, {29}, {30}, {32}, {1, 2, 3}, {5, 10, 15, 20, 25, 30, 31}
        };
        for (int[] at : cuts) {
            String name = Arrays.toString(at);
            run(name, STEPS, t -> t, at).is(whole, "stopped at " + name + " ");
        }
    }

    @Test
    void aRunStoppedAtItsLastStepIsFinished() {
        run("last", STEPS, t -> t, STEPS).is(run("whole", STEPS, t -> t), "");
        assertTrue(Checkpoint.read(folder.resolve("last")).state().finished());
        // Resuming it does nothing more.
        Model model = model(16);
        Progress last =
                trainer(model, STEPS)
                        .resume(Checkpoint.read(folder.resolve("last")))
                        .callback(
                                new Callback() {
                                    @Override
                                    public void onStep(Progress progress) {
                                        throw new AssertionError("no step is left");
                                    }
                                })
                        .train();
        assertEquals(STEPS, last.step());
        assertEquals(4, last.epoch());
    }

    @ParameterizedTest
    @ValueSource(ints = {13, 20})
    void aRunTrainedLongerIsTheLongerRun(int first) {
        UnaryOperator<Trainer> constant = t -> t.schedule(Schedule.constant());
        Outcome whole = run("whole", STEPS, constant);
        Outcome cut = run("longer", first, constant);
        assertEquals((first + 9) / 10, cut.epochs.size());
        Outcome rest = run("longer", STEPS, constant);
        List<Double> losses = new ArrayList<>(cut.steps);
        losses.addAll(rest.steps);
        // Only how many steps there are to be was another at first.
        List<Progress> epochs =
                rest.epochs.stream()
                        .map(
                                p ->
                                        new Progress(
                                                p.epoch(),
                                                p.step(),
                                                STEPS,
                                                p.metrics(),
                                                p.validation(),
                                                0))
                        .toList();
        new Outcome(rest.tensors, epochs, losses).is(whole, "");
    }

    @Test
    void aRunThatFailedGoesOnFromItsLastCheckpoint() {
        Path file = folder.resolve("failed");
        Trainer failing =
                trainer(model(16), STEPS)
                        .checkpoint(file, 4)
                        .callback(
                                new Callback() {
                                    @Override
                                    public void onStep(Progress progress) {
                                        if (progress.step() == 15) {
                                            throw new IllegalStateException("as if killed");
                                        }
                                    }
                                });
        assertThrows(IllegalStateException.class, failing::train);
        Checkpoint.State state = Checkpoint.read(file).state();
        assertEquals(12, state.step());
        assertEquals(2, state.epoch());
        assertEquals(2, state.batch());
        assertEquals(1, state.history().size());
        Outcome whole = run("whole", STEPS, t -> t);
        Outcome resumed = run("failed", STEPS, t -> t);
        new Outcome(resumed.tensors, resumed.epochs, whole.steps).is(whole, "");
    }

    private String refused(Trainer trainer, Path file) {
        String message =
                assertThrows(
                                JlatentException.class,
                                () -> trainer.resume(Checkpoint.read(file)).train())
                        .getMessage();
        assertEquals(1, message.lines().count(), message);
        return message;
    }

    private void refuses(Trainer trainer, Path file, String... words) {
        String message = refused(trainer, file);
        for (String word : words) {
            assertTrue(message.contains(word), "'" + word + "' is not in: " + message);
        }
    }

    @Test
    void aCheckpointOfSomethingElseIsNamed() {
        Path file = folder.resolve("c");
        run("c", 12, t -> t);
        Model wider = model(17);
        float[] before = wider.parameters().get("vae.encoder.0.weight").toFloatArray();
        refuses(
                trainer(wider, STEPS),
                file,
                file + " is a checkpoint of another model",
                "model.vae.encoder.0.weight is [16, 256] there, [17, 256] here");
        assertArrayEquals(before, wider.parameters().get("vae.encoder.0.weight").toFloatArray());
        Vae bare =
                new Vae(
                        new Init(scope, 1),
                        images.shape(),
                        VaeConfig.defaults().withHidden(16).withLatent(4),
                        1);
        refuses(
                trainer(bare, STEPS),
                file,
                "another model",
                "model.encoder.0.weight [16, 256] is not in it");
        refuses(
                trainer(model(16), STEPS).batchSize(16),
                file,
                "other settings: batchSize is 32 there, 16 here");
        refuses(trainer(model(16), STEPS).seed(6), file, "seed is 5 there, 6 here");
        refuses(
                trainer(model(16), STEPS).data(validation),
                file,
                "data is 300 images",
                "50 images");
        refuses(trainer(model(16), STEPS).validation(null), file, "validation is 50", "none here");
        refuses(
                trainer(model(16), STEPS).augmentation(Augmentation.NONE),
                file,
                "augmentation",
                "pad=2");
        refuses(
                trainer(model(16), STEPS).precision(Precision.BF16),
                file,
                "precision is F32 there, BF16 here");
        refuses(
                trainer(model(16), STEPS).optimizer(OPTIMIZER.withMaxNorm(3)),
                file,
                "optimizer",
                "maxNorm=3.0");
        refuses(
                trainer(model(16), STEPS).schedule(Schedule.decay(0.5, 2)),
                file,
                "schedule is 0.0 there");
        refuses(trainer(model(16), 11), file, "stands at step 12", "11 steps");
        assertThrows(
                IllegalArgumentException.class, () -> trainer(model(16), 3).checkpoint(file, -1));
    }

    @Test
    void aDamagedFileIsOneLine() throws IOException {
        Path file = folder.resolve("c");
        run("c", 2, t -> t);
        byte[] whole = Files.readAllBytes(file);
        for (int length : new int[] {0, 7, 100, whole.length / 2, whole.length - 1}) {
            Files.write(file, Arrays.copyOf(whole, length));
            refuses(trainer(model(16), 3), file, file + " is not a valid safetensors file");
        }
        for (int at = 10; at < whole.length; at += whole.length / 40) {
            byte[] flipped = whole.clone();
            flipped[at] ^= 1;
            Files.write(file, flipped);
            assertTrue(refused(trainer(model(16), 3), file).startsWith(file.toString()));
        }
        Safetensors.write(file, List.of(), Map.of("format", "jlatent"));
        refuses(trainer(model(16), 3), file, "is not a checkpoint");
        Safetensors.write(
                file,
                List.of(),
                Map.of("format", "jlatent checkpoint", "format_version", "2", "jlatent", "9.9"));
        refuses(trainer(model(16), 3), file, "format 2", "jlatent 9.9");
        refuses(trainer(model(16), 3), folder.resolve("none"), "none does not exist");
    }

    @Test
    void aFolderThatCannotBeWrittenIsNamedAtOnce() {
        Path file = folder.resolve("none/c");
        Trainer trainer =
                trainer(model(16), 3)
                        .checkpoint(file, 1)
                        .callback(
                                new Callback() {
                                    @Override
                                    public void onStep(Progress progress) {
                                        throw new AssertionError("too late");
                                    }
                                });
        String message = assertThrows(JlatentException.class, trainer::train).getMessage();
        assertTrue(message.startsWith("cannot write to " + file.getParent()), message);
    }

    @Test
    void whatKilledWritersLeftIsRemoved() throws IOException {
        Path file = folder.resolve("c");
        Path left = folder.resolve(".c.8d3b1d0a-52b1-4f0c-9c0e-0d7d4c2f9b11.tmp");
        Path others = folder.resolve(".d.8d3b1d0a-52b1-4f0c-9c0e-0d7d4c2f9b11.tmp");
        Path mine = Files.createFile(folder.resolve(".c.notes.tmp"));
        Files.createFile(left);
        Files.createFile(others);
        trainer(model(16), 1).checkpoint(file, 1).train();
        assertFalse(Files.exists(left));
        assertTrue(Files.exists(others));
        AtomicFile.clean(folder);
        try (Stream<Path> entries = Files.list(folder)) {
            assertEquals(List.of(mine, file), entries.sorted().toList());
        }
    }

    @Test
    void aBufferIsNoParameter() {
        Model model = model(16);
        assertEquals(List.of("seen"), List.copyOf(model.buffers().keySet()));
        assertFalse(model.parameters().containsKey("seen"));
        assertTrue(model.state().keySet().containsAll(model.parameters().keySet()));
        assertThrows(
                IllegalArgumentException.class,
                () ->
                        new org.jlatent.nn.Module() {
                            {
                                parameter("a", scope.zeros(Shape.of(1)));
                                buffer("a", scope.zeros(Shape.of(1)));
                            }
                        });
    }
}
