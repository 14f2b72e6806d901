package org.jlatent.train;

import java.lang.System.Logger.Level;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jlatent.Device;
import org.jlatent.JlatentException;
import org.jlatent.Precision;
import org.jlatent.Scope;
import org.jlatent.data.Augmentation;
import org.jlatent.data.Batches;
import org.jlatent.data.ImageSet;
import org.jlatent.data.Loader;
import org.jlatent.data.Splits;
import org.jlatent.io.AtomicFile;
import org.jlatent.models.Model;
import org.jlatent.spi.Graphs;

/**
 * Trains a model on images with Adam. The same seed gives the same weights, bit for bit, on the
 * same device with as many threads; a run that was stopped and resumed too.
 *
 * <pre>{@code
 * Trainer.of(vae).data(splits.train()).batchSize(128).epochs(10).callback(progress).train();
 * }</pre>
 */
public final class Trainer {
    private static final System.Logger LOG = System.getLogger(Trainer.class.getName());

    private final Model model;
    private final Device device;
    private final List<Callback> callbacks = new ArrayList<>();
    private ImageSet data;
    private ImageSet validation;
    private Augmentation augmentation = Augmentation.NONE;
    private int batchSize = 128;
    private long steps;
    private int epochs = 10;
    private long seed;
    private Adam.Options optimizer = Adam.Options.defaults();
    private Schedule schedule = Schedule.constant();
    private Precision precision = Precision.F32;
    private Path checkpoint;
    private int checkpointEvery;
    private Checkpoint resumed;
    private volatile boolean stopping;

    private Trainer(Model model) {
        this.model = model;
        this.device = model.device();
    }

    /** Trains {@code model}, on the device of its parameters. */
    public static Trainer of(Model model) {
        return new Trainer(model);
    }

    /**
     * A data set as it was opened: its training images with their {@link #augmentation}, its
     * validation images where it has any.
     */
    public Trainer data(Splits splits) {
        return data(splits.train())
                .augmentation(splits.augmentation())
                .validation(splits.validation().orElse(null));
    }

    /** The images to train on; these or {@link #data(Splits)} are needed. */
    public Trainer data(ImageSet images) {
        this.data = images;
        return this;
    }

    /** Random changes to the training images; none by default. */
    public Trainer augmentation(Augmentation changes) {
        this.augmentation = changes;
        return this;
    }

    /** Measured after every epoch; null: nothing is. */
    public Trainer validation(ImageSet images) {
        this.validation = images;
        return this;
    }

    /** Images a step; 128 unless set. */
    public Trainer batchSize(int images) {
        this.batchSize = positive("batchSize", images);
        return this;
    }

    /** Passes over the data. */
    public Trainer epochs(int count) {
        this.epochs = positive("epochs", count);
        this.steps = 0;
        return this;
    }

    /** Steps in all, instead of epochs. */
    public Trainer steps(int count) {
        this.steps = positive("steps", count);
        return this;
    }

    /** Of the order of the images and of their random changes. */
    public Trainer seed(long value) {
        this.seed = value;
        return this;
    }

    /** How Adam steps; {@link Adam.Options#defaults} unless set. */
    public Trainer optimizer(Adam.Options options) {
        this.optimizer = options;
        return this;
    }

    /** How the learning rate changes; constant unless set. */
    public Trainer schedule(Schedule learningRate) {
        this.schedule = learningRate;
        return this;
    }

    /** Of training's products and convolutions; f32 unless set. Validation always is in f32. */
    public Trainer precision(Precision ofFactors) {
        this.precision = Objects.requireNonNull(ofFactors);
        return this;
    }

    /** Tells {@code listener} about every step and epoch, after those added before. */
    public Trainer callback(Callback listener) {
        callbacks.add(listener);
        return this;
    }

    /**
     * Keeps a {@link Checkpoint} in a file: after every epoch, when training is stopped, and every
     * so many steps between.
     *
     * @param everySteps 0: only after epochs and when stopped
     */
    public Trainer checkpoint(Path file, int everySteps) {
        if (everySteps < 0) {
            throw new IllegalArgumentException("everySteps must be at least 0, got " + everySteps);
        }
        this.checkpoint = file;
        this.checkpointEvery = everySteps;
        return this;
    }

    /**
     * Goes on from where a run stood, with model, data and settings as they were, and ends up just
     * where that run would have. The number of steps may be another: that of a run cut short, or of
     * one to be trained longer. A schedule then follows the new total from here on, so a cosine
     * rises again; with a constant rate the longer run is the one that would have come of asking
     * for as many steps at first.
     */
    public Trainer resume(Checkpoint from) {
        this.resumed = from;
        return this;
    }

    /**
     * Asks {@link #train} to return after the step under way, or the epoch if that ends with it;
     * its checkpoint is written first. Any thread may call this.
     */
    public void stop() {
        stopping = true;
    }

    /**
     * Steps in all: as many as asked for, or as the epochs have.
     *
     * @throws IllegalStateException if there is no data yet
     */
    public long totalSteps() {
        if (data == null) {
            throw new IllegalStateException("there is no data to train on: call data(images)");
        }
        return steps > 0
                ? steps
                : Math.multiplyExact(
                        (long) epochs, new Batches(data.size(), batchSize, seed).count());
    }

    private static int positive(String name, int value) {
        if (value < 1) {
            throw new IllegalArgumentException(name + " must be at least 1, got " + value);
        }
        return value;
    }

    /**
     * Trains to the end, or until {@link #stop}.
     *
     * @return the last epoch's progress, not {@link Progress#finished} if it was stopped
     *     <p>On a GPU the steps of a {@linkplain Model#isRecordable recordable} model are replayed
     *     from a CUDA graph, and results of a step are known, and told, when the one after the next
     *     begins.
     * @throws TrainingException when a loss or gradient is not finite; the weights are those of the
     *     last good step, or, where only the loss is not finite on a GPU, of one soon after it
     * @throws IllegalArgumentException if the images are of another size than the model takes
     * @throws JlatentException if a checkpoint can't be written, or the one to resume from is not
     *     of this model, data and settings
     */
    public Progress train() {
        totalSteps(); // complains where there is no data
        model.check(data);
        if (validation != null) {
            model.check(validation);
        }
        try (Scope owned = new Scope(device);
                Scope scratch = new Scope(device);
                Run run = new Run(new Adam(owned, model.parameters(), optimizer), scratch)) {
            if (checkpoint != null) {
                AtomicFile.clean(checkpoint);
            }
            return run.run();
        } finally {
            stopping = false;
        }
    }

    /** One call of {@link #train}. */
    private final class Run implements AutoCloseable {
        private final Adam adam;
        private final Scope scratch;
        private final Batches batches = new Batches(data.size(), batchSize, seed);
        private final long total = totalSteps();
        private final Means means = new Means();
        private Loader loader; // from the first step on, wherever that is
        private Steps steps; // likewise
        private final List<Progress> history = new ArrayList<>();
        private int epoch = 1;
        private int next; // batch of the epoch
        private long begun; // steps; the last ones may be under way
        private long step; // done
        private long images;
        private long nanoseconds;

        Run(Adam adam, Scope scratch) {
            this.adam = adam;
            this.scratch = scratch;
        }

        Progress run() {
            if (resumed != null) {
                restore();
            } else {
                model.prepare(data, seed);
                model.beginEpoch();
            }
            NonFinite.checkParameters(step, model);
            while (begun < total) {
                while (next < batches.count() && begun < total) {
                    step(next);
                    next++;
                    if (next < batches.count() && begun < total && (stopping || isDue())) {
                        finishSteps();
                        save();
                        if (stopping) {
                            return progress(means.get(), Map.of());
                        }
                    }
                }
                finishSteps();
                NonFinite.checkParameters(step, model);
                endEpoch();
                if (stopping) {
                    break;
                }
            }
            return history.get(history.size() - 1);
        }

        private void endEpoch() {
            Map<String, Double> figures = means.get();
            figures.putAll(model.epochFigures());
            Optional<String> warning = model.epochWarning();
            Map<String, Double> validated =
                    validation == null
                            ? Map.of()
                            : Means.of(model, validation, batchSize, scratch).get();
            Progress progress = progress(figures, validated);
            // A run that ended within this epoch and now goes on has a row of it already.
            history.removeIf(earlier -> earlier.epoch() == epoch);
            history.add(progress);
            if (next == batches.count()) {
                epoch++;
                next = 0;
                means.clear();
                model.beginEpoch();
            }
            for (Callback callback : callbacks) {
                callback.onEpoch(progress);
            }
            warning.ifPresent(
                    text -> LOG.log(Level.WARNING, "epoch " + progress.epoch() + ": " + text));
            save();
        }

        private boolean isDue() {
            return checkpoint != null && checkpointEvery > 0 && begun % checkpointEvery == 0;
        }

        private void save() {
            if (checkpoint != null) {
                Checkpoint.State state =
                        new Checkpoint.State(
                                epoch,
                                next,
                                step,
                                total,
                                model.random().seed(),
                                model.random().step(),
                                images,
                                nanoseconds,
                                means.sums(),
                                means.images(),
                                history);
                Checkpoint.write(checkpoint, state, settings(step, total), model, adam);
            }
        }

        private void restore() {
            Checkpoint.State state = resumed.state();
            state.checkLength(total);
            resumed.restore(settings(state.step(), state.steps()), model, adam);
            epoch = state.epoch();
            next = state.batch();
            step = state.step();
            begun = step;
            images = state.images();
            nanoseconds = state.nanoseconds();
            means.set(state.sums(), state.summed());
            history.addAll(state.history());
        }

        private Map<String, String> settings(long atStep, long ofSteps) {
            return Checkpoint.settings(
                    data,
                    validation,
                    augmentation,
                    batchSize,
                    seed,
                    optimizer,
                    precision,
                    schedule.factor(atStep, ofSteps));
        }

        @Override
        public void close() {
            if (loader != null) {
                loader.close();
                steps.close();
            }
        }

        private void step(int index) {
            long start = System.nanoTime();
            if (loader == null) {
                loader = new Loader(data, batches, augmentation, seed, epoch, index);
                steps = steps();
            }
            Loader.Batch batch = loader.next();
            model.check(batch.values());
            float rate = (float) (optimizer.learningRate() * schedule.factor(begun, total));
            begun++;
            steps.step(begun, batch.values(), batch.labels(), rate);
            nanoseconds += System.nanoTime() - start;
        }

        private void finishSteps() {
            long start = System.nanoTime();
            steps.finish();
            nanoseconds += System.nanoTime() - start;
        }

        private Steps steps() {
            EagerSteps eager = new EagerSteps(model, adam, precision, scratch, this::done);
            Optional<Graphs> graphs = device.backend().graphs();
            return graphs.isPresent() && model.isRecordable()
                    ? new ReplayedSteps(model, adam, precision, eager, this::done, graphs.get())
                    : eager;
        }

        private void done(int size, Map<String, float[]> values) {
            means.add(values, size);
            step++;
            images += size;
            if (!callbacks.isEmpty()) {
                Means one = new Means();
                one.add(values, size);
                Progress progress = progress(one.get(), Map.of());
                for (Callback callback : callbacks) {
                    callback.onStep(progress);
                }
            }
        }

        private Progress progress(Map<String, Double> values, Map<String, Double> validated) {
            return new Progress(
                    epoch, step, total, values, validated, images * 1e9 / Math.max(1, nanoseconds));
        }
    }
}
