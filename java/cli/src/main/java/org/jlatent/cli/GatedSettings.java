package org.jlatent.cli;

import org.jlatent.models.GatedPixelCnnConfig;

/** The network of a Gated PixelCNN, wherever there is one. */
final class GatedSettings {
    static final Settings.Key<Integer> LAYERS = Settings.integer("layers", 5, 1, "of both stacks");
    static final Settings.Key<Integer> FEATURES =
            Settings.integer("features", 32, 1, "of each stack");
    static final Settings.Key<Integer> KERNEL_FIRST =
            Settings.integer("kernel.first", 7, 3, "of the first layer, odd");
    static final Settings.Key<Integer> KERNEL =
            Settings.integer("kernel", 3, 1, "of the other layers, odd");
    static final Settings.Key<Integer> HEAD =
            Settings.integer("head", 32, 1, "features before a value's distribution");
    static final Settings.Key<Integer> ATTENTION =
            Settings.integer(
                    "attention",
                    0,
                    0,
                    "heads, which divide the features, after half of the layers");

    private GatedSettings() {}

    /** What all of them have; attention, classes and likelihood are some models' only. */
    static GatedPixelCnnConfig config(Settings settings) {
        return GatedPixelCnnConfig.defaults()
                .withLayers(settings.get(LAYERS))
                .withFeatures(settings.get(FEATURES))
                .withKernels(settings.get(KERNEL_FIRST), settings.get(KERNEL))
                .withHead(settings.get(HEAD))
                .withDropout(settings.get(AutoregressiveRecipe.DROPOUT));
    }
}
