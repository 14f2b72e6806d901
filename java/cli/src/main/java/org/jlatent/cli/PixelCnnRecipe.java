package org.jlatent.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jlatent.JlatentException;
import org.jlatent.data.Binarize;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.models.AutoregressiveEvaluation;
import org.jlatent.models.AutoregressiveModel;
import org.jlatent.models.GatedPixelCnn;
import org.jlatent.models.GatedPixelCnnConfig;
import org.jlatent.models.ImageModel;
import org.jlatent.models.PixelCnn;
import org.jlatent.models.PixelCnnConfig;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;

/**
 * {@code pixel-cnn} and {@code gated-pixel-cnn}; {@code pixel-cnn-binarized-mnist} is the former
 * with the settings of the published run.
 */
final class PixelCnnRecipe implements Recipe {
    private static final Settings.Key<Integer> BLOCKS =
            Settings.integer("residual.blocks", 7, 0, "after the first convolution");
    private static final Settings.Key<Integer> HIDDEN =
            Settings.integer(
                    "residual.hidden", 16, 1, "features inside a block; twice as many between");
    private static final Settings.Key<Integer> LAYERS =
            Settings.integer("layers", 5, 1, "of both stacks");
    private static final Settings.Key<Integer> FEATURES =
            Settings.integer("features", 32, 1, "of each stack");
    static final Settings.Key<Integer> KERNEL_FIRST =
            Settings.integer("kernel.first", 7, 3, "of the first layer, odd");
    private static final Settings.Key<Integer> KERNEL =
            Settings.integer("kernel", 3, 1, "of the other layers, odd");
    static final Settings.Key<Integer> HEAD =
            Settings.integer("head", 32, 1, "features before a value's distribution");
    private static final Settings.Key<Integer> CLASSES =
            Settings.integer("classes", 0, 0, "of the images that it is conditioned on; 0: none");

    static final Settings.Key<String> LIKELIHOOD =
            Settings.choice(
                    "likelihood",
                    "bernoulli",
                    List.of("bernoulli", "categorical", "logistic-mixture"),
                    "of zeros and ones, or, with data.binarize=none, of 8-bit values");

    private static final int LEVELS = 256; // of 8-bit values
    private static final int EVALUATED = 128; // images at once

    private final String name;
    private final String meaning;
    private final String data;
    private final Map<String, String> initial; // of settings that start from another value

    private PixelCnnRecipe(String name, String meaning, String data, Map<String, String> initial) {
        this.name = name;
        this.meaning = meaning;
        this.data = data;
        this.initial = initial;
    }

    /** A value given others has a probability only if it is one of a few. */
    static final Map<String, String> BITS =
            Map.of("data.binarize", "dynamic", "batch", "64");

    static Recipe plain() {
        return new PixelCnnRecipe("pixel-cnn", "a PixelCNN", "sprites", BITS);
    }

    static Recipe gated() {
        return new PixelCnnRecipe("gated-pixel-cnn", "a Gated PixelCNN", "sprites", BITS);
    }

    /**
     * [van den Oord et al. 2016, sec. 5.1 and 5.3]: 16 features in a block, a head of 32, batches
     * of 16; 81.30 nats. How many blocks there were is not said: 7 are the layers of the paper's
     * other model of these images. It was trained with RMSProp, at rates set by hand.
     */
    static Recipe published() {
        return new PixelCnnRecipe(
                "pixel-cnn-binarized-mnist",
                "pixel-cnn as published: on binarized-mnist, other defaults",
                "binarized-mnist",
                Map.of("batch", "16", "schedule", "cosine"));
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
        return "nats an image";
    }

    @Override
    public String data() {
        return data;
    }

    private boolean isGated() {
        return name.startsWith("gated");
    }

    @Override
    public List<Settings.Key<?>> modelKeys() {
        List<Settings.Key<?>> keys = new ArrayList<>();
        keys.addAll(isGated() ? List.of(LAYERS, FEATURES) : List.of(BLOCKS, HIDDEN));
        keys.addAll(List.of(KERNEL_FIRST, KERNEL, HEAD));
        keys.addAll(List.of(LIKELIHOOD, VaeRecipe.COMPONENTS));
        if (isGated()) {
            keys.add(CLASSES);
        }
        return keys;
    }

    @Override
    public Map<String, String> initial() {
        return initial;
    }

    @Override
    public List<Settings.Key<?>> ownKeys() {
        return initial == BITS ? modelKeys() : Recipe.super.ownKeys();
    }

    @Override
    public ImageModel model(Init init, ImageShape image, Settings settings, long seed) {
        int first = settings.get(KERNEL_FIRST);
        int others = settings.get(KERNEL);
        if (isGated()) {
            GatedPixelCnnConfig config =
                    GatedPixelCnnConfig.defaults()
                            .withLayers(settings.get(LAYERS))
                            .withFeatures(settings.get(FEATURES))
                            .withKernels(first, others)
                            .withHead(settings.get(HEAD))
                            .withLikelihood(likelihood(image, settings))
                            .withClasses(settings.get(CLASSES));
            return new GatedPixelCnn(init, image, config, seed);
        }
        PixelCnnConfig config =
                PixelCnnConfig.defaults()
                        .withBlocks(settings.get(BLOCKS))
                        .withFeatures(settings.get(HIDDEN))
                        .withKernels(first, others)
                        .withHead(settings.get(HEAD))
                        .withLikelihood(likelihood(image, settings));
        return new PixelCnn(init, image, config, seed);
    }

    static Likelihood likelihood(ImageShape image, Settings settings) {
        String name = settings.get(LIKELIHOOD);
        if (name.equals("bernoulli")) {
            return Likelihoods.bernoulli();
        }
        if (DataSettings.options(settings).binarize() != Binarize.NONE) {
            throw new JlatentException(
                    "a " + name + " likelihood is of 8-bit values: set data.binarize=none");
        }
        return name.equals("categorical")
                ? Likelihoods.categorical(LEVELS)
                : Likelihoods.discretizedLogisticMixture(
                        settings.get(VaeRecipe.COMPONENTS), LEVELS, image.channels());
    }

    @Override
    public Results measure(ImageModel model, ImageSet images, long seed) {
        return evaluate(model, images, new Evaluation(null, null, seed));
    }

    @Override
    public Results evaluate(ImageModel model, ImageSet images, Evaluation options) {
        return evaluate(name, model, images, options);
    }

    /** Of any model of pixels given pixels. */
    static Results evaluate(String name, ImageModel model, ImageSet images, Evaluation options) {
        if (options.samples() != null || options.drop() != null) {
            throw new JlatentException(
                    "a "
                            + name
                            + " draws no z and hides no pixels: leave out --samples and --drop");
        }
        AutoregressiveEvaluation e =
                AutoregressiveEvaluation.of((AutoregressiveModel) model, images, EVALUATED);
        return new Results().put("nll", e.nll()).put("bits_per_dim", e.bitsPerDim());
    }
}
