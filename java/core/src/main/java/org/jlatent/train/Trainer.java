package org.jlatent.train;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jlatent.Device;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.Batches;
import org.jlatent.data.ImageSet;
import org.jlatent.models.Model;
import org.jlatent.models.Model.Objective;

/**
 * Trains a model on images with Adam. The same seed gives the same weights, bit for bit, on the
 * same device with as many threads.
 *
 * <pre>{@code
 * Trainer.of(vae).data(splits.train()).batchSize(128).epochs(10).callback(progress).train();
 * }</pre>
 */
public final class Trainer {
    private final Model model;
    private final Device device;
    private final List<Callback> callbacks = new ArrayList<>();
    private ImageSet data;
    private ImageSet validation;
    private int batchSize = 128;
    private long steps;
    private int epochs = 10;
    private long seed;
    private Adam.Options optimizer = Adam.Options.defaults();
    private Schedule schedule = Schedule.constant();

    private Trainer(Model model) {
        this.model = model;
        this.device = model.parameters().values().iterator().next().device();
    }

    /** Trains {@code model}, on the device of its parameters. */
    public static Trainer of(Model model) {
        return new Trainer(model);
    }

    /** The images to train on; needed. */
    public Trainer data(ImageSet images) {
        this.data = images;
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

    /** Of the order of the images. */
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

    /** Tells {@code listener} about every step and epoch, after those added before. */
    public Trainer callback(Callback listener) {
        callbacks.add(listener);
        return this;
    }

    private static int positive(String name, int value) {
        if (value < 1) {
            throw new IllegalArgumentException(name + " must be at least 1, got " + value);
        }
        return value;
    }

    /**
     * Trains to the end.
     *
     * @return the last epoch's progress
     * @throws TrainingException when a loss or gradient is not finite; the weights are those of the
     *     last good step
     */
    public Progress train() {
        if (data == null) {
            throw new IllegalStateException("there is no data to train on: call data(images)");
        }
        try (Scope owned = new Scope(device);
                Scope scratch = new Scope(device)) {
            return new Run(new Adam(owned, model.parameters(), optimizer), scratch).run();
        }
    }

    /** One call of {@link #train}. */
    private final class Run {
        private final Adam adam;
        private final Scope scratch;
        private final Batches batches = new Batches(data.size(), batchSize, seed);
        private final long total =
                steps > 0 ? steps : Math.multiplyExact((long) epochs, batches.count());
        private final Means means = new Means();
        private final float[] full = new float[Math.multiplyExact(batchSize, data.dimensions())];
        private long step;
        private long images;
        private long nanoseconds;

        Run(Adam adam, Scope scratch) {
            this.adam = adam;
            this.scratch = scratch;
        }

        Progress run() {
            checkParameters();
            Progress progress = null;
            for (int epoch = 1; step < total; epoch++) {
                means.clear();
                for (int i = 0; i < batches.count() && step < total; i++) {
                    step(epoch, batches.batch(epoch, i));
                }
                checkParameters();
                progress = progress(epoch, means.get(), validate());
                for (Callback callback : callbacks) {
                    callback.onEpoch(progress);
                }
            }
            return progress;
        }

        private void step(int epoch, int[] indices) {
            long start = System.nanoTime();
            scratch.clear();
            Tape tape = new Tape(scratch);
            model.watch(tape);
            Tensor x = batch(data, indices);
            Objective objective = model.objective(tape, x);
            if (!Float.isFinite(objective.loss().item())) {
                throw new TrainingException(
                        "the loss is "
                                + objective.loss().item()
                                + " at step "
                                + (step + 1)
                                + ": "
                                + culprit(tape, x)
                                + "; lower the learning rate or look at the data");
            }
            tape.backward(objective.loss());
            adam.setLearningRate((float) (optimizer.learningRate() * schedule.factor(step, total)));
            adam.step(tape);
            if (adam.skippedSteps() > 0) {
                throw new TrainingException(
                        "a gradient is not finite at step "
                                + (step + 1)
                                + ": that of "
                                + nonFinite(tape)
                                + "; lower the learning rate or set a maximum norm");
            }
            model.random().advance();
            means.add(objective, indices.length);
            step++;
            images += indices.length;
            nanoseconds += System.nanoTime() - start;
            if (!callbacks.isEmpty()) {
                Means one = new Means();
                one.add(objective, indices.length);
                Progress progress = progress(epoch, one.get(), Map.of());
                for (Callback callback : callbacks) {
                    callback.onStep(progress);
                }
            }
        }

        private Map<String, Double> validate() {
            if (validation == null) {
                return Map.of();
            }
            Means result = new Means();
            for (int first = 0; first < validation.size(); first += batchSize) {
                scratch.clear();
                int[] indices = new int[Math.min(batchSize, validation.size() - first)];
                for (int i = 0; i < indices.length; i++) {
                    indices[i] = first + i;
                }
                result.add(
                        model.objective(Tape.inference(scratch), batch(validation, indices)),
                        indices.length);
            }
            return result.get();
        }

        private Tensor batch(ImageSet images, int[] indices) {
            int dims = images.dimensions();
            float[] values = indices.length == batchSize ? full : new float[indices.length * dims];
            for (int i = 0; i < indices.length; i++) {
                images.read(indices[i], values, i * dims);
            }
            return scratch.of(Shape.of(indices.length, dims), values);
        }

        private Progress progress(
                int epoch, Map<String, Double> values, Map<String, Double> validated) {
            return new Progress(
                    epoch, step, total, values, validated, images * 1e9 / Math.max(1, nanoseconds));
        }

        /**
         * Where the first value that is not finite comes from: data, a parameter, or an operation.
         */
        private String culprit(Tape tape, Tensor x) {
            if (!finite(x)) {
                return "the images hold a value that is not finite";
            }
            return nonFiniteParameter()
                    .orElseGet(
                            () ->
                                    "the first value that is not finite comes out of "
                                            + tape.firstNonFinite());
        }

        /** An activation such as ReLU can hide what is wrong with a weight from the loss. */
        private void checkParameters() {
            nonFiniteParameter()
                    .ifPresent(
                            what -> {
                                throw new TrainingException("after step " + step + " " + what);
                            });
        }

        private Optional<String> nonFiniteParameter() {
            return model.parameters().entrySet().stream()
                    .filter(p -> !finite(p.getValue()))
                    .findFirst()
                    .map(p -> "parameter " + p.getKey() + " holds a value that is not finite");
        }

        private String nonFinite(Tape tape) {
            return model.parameters().entrySet().stream()
                    .filter(
                            p ->
                                    tape.gradient(p.getValue()) != null
                                            && !finite(tape.gradient(p.getValue())))
                    .map(Map.Entry::getKey)
                    .findFirst()
                    .orElse("several tensors together");
        }

        private static boolean finite(Tensor tensor) {
            for (float value : tensor.toFloatArray()) {
                if (!Float.isFinite(value)) {
                    return false;
                }
            }
            return true;
        }
    }
}
