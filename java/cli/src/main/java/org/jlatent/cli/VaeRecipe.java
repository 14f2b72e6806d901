package org.jlatent.cli;

import java.util.List;
import java.util.stream.Stream;
import org.jlatent.Activation;
import org.jlatent.JlatentException;
import org.jlatent.models.Vae;
import org.jlatent.models.VaeConfig;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;
import org.jlatent.train.Adam;
import org.jlatent.train.Schedule;
import org.jlatent.train.Trainer;

/** What {@code train vae} can be told, and the model that comes of it. */
final class VaeRecipe {
    static final String NAME = "vae";

    private static final Settings.Key<int[]> HIDDEN =
            Settings.widths(
                    "hidden", "400", "widths of the encoder's hidden layers, such as 200-200");
    private static final Settings.Key<Integer> LATENT =
            Settings.integer("latent", 20, 1, "latent dimensions");
    private static final Settings.Key<Activation> ACTIVATION =
            Settings.activation("activation", Activation.RELU, "between layers");
    private static final Settings.Key<String> LIKELIHOOD =
            Settings.choice(
                    "likelihood",
                    "bernoulli",
                    List.of(
                            "bernoulli",
                            "gaussian",
                            "gaussian-learned",
                            "laplace",
                            "laplace-learned"),
                    "of a pixel");
    private static final Settings.Key<Float> SCALE =
            Settings.number(
                    "likelihood.scale",
                    "0.1",
                    1e-6,
                    1e6,
                    "standard deviation (gaussian) or b (laplace), where it is not learned");
    private static final Settings.Key<Float> BETA =
            Settings.number("beta", "1", 0, 1e6, "weight of the KL term");
    private static final Settings.Key<Float> FREE_BITS =
            Settings.number(
                    "free-bits", "0", 0, 1e6, "nats a dimension that the KL is not pushed below");
    private static final Settings.Key<Integer> SAMPLES =
            Settings.integer("samples", 1, 1, "samples of z for each image");
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
    static final Settings.Key<Integer> CHECKPOINT_EVERY =
            Settings.integer(
                    "checkpoint.every",
                    1000,
                    0,
                    "steps between checkpoints; there is one after every epoch too; 0: only those");

    static final List<Settings.Key<?>> KEYS =
            Stream.<Settings.Key<?>>of(
                            HIDDEN,
                            LATENT,
                            ACTIVATION,
                            LIKELIHOOD,
                            SCALE,
                            BETA,
                            FREE_BITS,
                            SAMPLES,
                            BATCH,
                            RATE,
                            SCHEDULE,
                            WARMUP,
                            WEIGHT_DECAY,
                            CLIP,
                            CHECKPOINT_EVERY)
                    .toList();

    private VaeRecipe() {}

    /**
     * @throws JlatentException unless {@code name} is a model there is a recipe for
     */
    static void checkName(String name) {
        if (!name.equals(NAME)) {
            throw new JlatentException("unknown model '" + name + "'; there is: " + NAME);
        }
    }

    static Vae model(Init init, int dims, Settings settings, long seed) {
        VaeConfig config =
                VaeConfig.defaults()
                        .hidden(settings.get(HIDDEN))
                        .latent(settings.get(LATENT))
                        .activation(settings.get(ACTIVATION))
                        .likelihood(likelihood(settings))
                        .beta(settings.get(BETA))
                        .freeBits(settings.get(FREE_BITS))
                        .samples(settings.get(SAMPLES));
        return new Vae(init, dims, config, seed);
    }

    static Trainer trainer(Vae vae, Settings settings) {
        Schedule schedule =
                settings.get(SCHEDULE).equals("cosine") ? Schedule.cosine() : Schedule.constant();
        int warmup = settings.get(WARMUP);
        return Trainer.of(vae)
                .batchSize(settings.get(BATCH))
                .schedule(warmup > 0 ? schedule.withWarmup(warmup) : schedule)
                .optimizer(
                        Adam.Options.defaults()
                                .withLearningRate(settings.get(RATE))
                                .withWeightDecay(settings.get(WEIGHT_DECAY))
                                .withMaxNorm(settings.get(CLIP)));
    }

    private static Likelihood likelihood(Settings settings) {
        double scale = settings.get(SCALE);
        return switch (settings.get(LIKELIHOOD)) {
            case "gaussian" -> Likelihoods.gaussian(scale * scale);
            case "gaussian-learned" -> Likelihoods.gaussianLearned();
            case "laplace" -> Likelihoods.laplace(scale);
            case "laplace-learned" -> Likelihoods.laplaceLearned();
            default -> Likelihoods.bernoulli();
        };
    }
}
