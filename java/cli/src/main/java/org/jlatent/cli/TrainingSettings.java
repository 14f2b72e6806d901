package org.jlatent.cli;

import java.nio.file.Path;
import java.util.List;
import org.jlatent.models.Model;
import org.jlatent.train.Adam;
import org.jlatent.train.Schedule;
import org.jlatent.train.Trainer;

/** What every model's training can be told. */
final class TrainingSettings {
    private static final Settings.Key<Integer> BATCH =
            Settings.integer("batch", 128, 1, "images a step");
    private static final Settings.Key<Float> RATE =
            Settings.number("learning-rate", "0.001", 0, 1e3, "of Adam");
    private static final Settings.Key<String> SCHEDULE =
            Settings.choice(
                    "schedule", "constant", List.of("constant", "cosine"), "of the learning rate");
    private static final Settings.Key<Integer> WARMUP =
            Settings.integer("warmup", 0, 0, "steps over which the learning rate rises from 0");
    private static final Settings.Key<Float> WEIGHT_DECAY =
            Settings.number("weight-decay", "0", 0, 1e3, "decoupled, of weight matrices");
    private static final Settings.Key<Float> CLIP =
            Settings.number(
                    "clip", "0", 0, 1e9, "largest global norm of the gradient; 0: no limit");
    private static final Settings.Key<Integer> CHECKPOINT_EVERY =
            Settings.integer(
                    "checkpoint.every",
                    1000,
                    0,
                    "steps between checkpoints; there is one after every epoch too; 0: only those");

    static final List<Settings.Key<?>> KEYS =
            List.of(BATCH, RATE, SCHEDULE, WARMUP, WEIGHT_DECAY, CLIP, CHECKPOINT_EVERY);

    private TrainingSettings() {}

    static Trainer trainer(Model model, Settings settings, Path checkpoint) {
        Schedule schedule =
                settings.get(SCHEDULE).equals("cosine") ? Schedule.cosine() : Schedule.constant();
        int warmup = settings.get(WARMUP);
        return Trainer.of(model)
                .batchSize(settings.get(BATCH))
                .schedule(warmup > 0 ? schedule.withWarmup(warmup) : schedule)
                .optimizer(
                        Adam.Options.defaults()
                                .withLearningRate(settings.get(RATE))
                                .withWeightDecay(settings.get(WEIGHT_DECAY))
                                .withMaxNorm(settings.get(CLIP)))
                .checkpoint(checkpoint, settings.get(CHECKPOINT_EVERY));
    }
}
