package org.jlatent.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.models.ImageModel;
import org.jlatent.models.QuantizedModel;
import org.jlatent.models.VqVae;
import org.jlatent.models.VqVae2;
import org.jlatent.models.VqVae2Config;
import org.jlatent.models.VqVaeConfig;
import org.jlatent.models.VqVaeEvaluation;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;

/**
 * {@code vq-vae}; {@code vq-vae-cifar10} is the same with the settings of the published run, {@code
 * vq-vae-2} with several maps of codes.
 */
final class VqVaeRecipe implements Recipe {
    private static final Settings.Key<Integer> LEVELS =
            Settings.integer(
                    "levels", 2, 1, "halvings: a code stands for 2^levels pixels each way");
    private static final Settings.Key<Integer> MAPS =
            Settings.integer(
                    "maps",
                    2,
                    2,
                    "of codes, at most 3: levels lead to the bottom one, a halving more to each above");
    private static final Settings.Key<Integer> HIDDEN =
            Settings.integer("hidden", 128, 1, "channels of the network");
    private static final Settings.Key<Integer> BLOCKS =
            Settings.integer("residual.blocks", 2, 0, "in encoder and decoder each");
    private static final Settings.Key<Integer> RESIDUAL =
            Settings.integer("residual.hidden", 32, 1, "channels inside a residual block");
    private static final Settings.Key<String> INITIALIZE =
            Settings.choice(
                    "initialize",
                    "on",
                    Settings.SWITCH,
                    "start the codebook from training images, by k-means");
    private static final Settings.Key<String> LIKELIHOOD =
            Settings.choice(
                    "likelihood",
                    "l2",
                    List.of(
                            "l2",
                            "l1",
                            "bernoulli",
                            "gaussian",
                            "gaussian-learned",
                            "laplace",
                            "laplace-learned",
                            "logistic-mixture"),
                    "squared or absolute errors, in units of the data's variance or deviation, or nats of a value");

    private static final String PUBLISHED_DATA = "cifar10";
    private static final int PUBLISHED_STEPS = 10_000;

    private final String name;
    private final String meaning;
    private final boolean hierarchical;
    private final Map<String, String> initial; // of settings that start from another value

    private VqVaeRecipe(
            String name, String meaning, boolean hierarchical, Map<String, String> initial) {
        this.name = name;
        this.meaning = meaning;
        this.hierarchical = hierarchical;
        this.initial = initial;
    }

    static Recipe plain() {
        return new VqVaeRecipe("vq-vae", "a vector-quantized autoencoder", false, Map.of());
    }

    static Recipe hierarchical() {
        return new VqVaeRecipe(
                "vq-vae-2", "vq-vae with maps of codes of several sizes, too", true, Map.of());
    }

    /**
     * DeepMind's example for its library Sonnet, whose settings are those of [van den Oord et al.
     * 2017, sec. 4.1]: reconstruction error / variance 0.056 and perplexity 326 of the training
     * batches after 10,000 steps.
     */
    static Recipe published() {
        return new VqVaeRecipe(
                "vq-vae-cifar10",
                "vq-vae as published: on cifar10, 10,000 steps, other defaults",
                false,
                Map.of(
                        "batch",
                        "32",
                        "learning-rate",
                        "0.0003",
                        INITIALIZE.name(),
                        "off",
                        QuantizerSettings.REVIVE.name(),
                        "0"));
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public String meaning() {
        return meaning;
    }

    @Override
    public String unit() {
        return "loss a value";
    }

    @Override
    public String data() {
        return initial.isEmpty() ? Recipe.super.data() : PUBLISHED_DATA;
    }

    @Override
    public Integer steps() {
        return initial.isEmpty() ? null : Integer.valueOf(PUBLISHED_STEPS);
    }

    @Override
    public boolean hasCodes() {
        return true;
    }

    @Override
    public List<Settings.Key<?>> modelKeys() {
        List<Settings.Key<?>> keys = new ArrayList<>(List.of(LEVELS, HIDDEN, BLOCKS, RESIDUAL));
        if (hierarchical) {
            keys.add(0, MAPS);
        }
        keys.addAll(QuantizerSettings.KEYS);
        keys.addAll(List.of(INITIALIZE, LIKELIHOOD, VaeRecipe.SCALE, VaeRecipe.COMPONENTS));
        return keys;
    }

    @Override
    public List<Settings.Key<?>> ownKeys() {
        if (hierarchical) {
            return List.of(MAPS);
        }
        return initial.isEmpty() ? modelKeys() : changedKeys();
    }

    @Override
    public Map<String, String> initial() {
        return initial;
    }

    @Override
    public ImageModel model(Init init, ImageShape image, Settings settings, long seed) {
        VqVaeConfig config =
                VqVaeConfig.defaults()
                        .withLevels(settings.get(LEVELS))
                        .withHidden(settings.get(HIDDEN))
                        .withResidual(settings.get(BLOCKS), settings.get(RESIDUAL))
                        .withLikelihood(likelihood(image, settings))
                        .withQuantizer(QuantizerSettings.maker(settings))
                        .withInitialize(settings.get(INITIALIZE).equals("on"));
        return hierarchical
                ? new VqVae2(init, image, new VqVae2Config(settings.get(MAPS), config), seed)
                : new VqVae(init, image, config, seed);
    }

    private static Likelihood likelihood(ImageShape image, Settings settings) {
        String name = settings.get(LIKELIHOOD);
        return switch (name) {
            case "l2" -> Likelihoods.squaredError();
            case "l1" -> Likelihoods.absoluteError();
            default -> VaeRecipe.likelihood(name, image, settings);
        };
    }

    @Override
    public Results evaluate(ImageModel model, ImageSet images, Evaluation options) {
        options.requireNone(name);
        QuantizedModel quantized = (QuantizedModel) model;
        VqVaeEvaluation e = VqVaeEvaluation.of(quantized, images, CodesFile.batch(images.shape()));
        Results results =
                new Results()
                        .put("squared_error", e.squaredError())
                        .put("normalized_error", e.normalizedError())
                        .put("reconstruction", e.reconstruction());
        for (int map = 0; map < e.maps().size(); map++) {
            String of = hierarchical ? quantized.maps().get(map) + "_" : "";
            results.put(of + "perplexity", e.maps().get(map).perplexity())
                    .put(of + "usage", e.maps().get(map).usage());
        }
        return results.put("bits_per_value", e.bitsPerValue());
    }
}
