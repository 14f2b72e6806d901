package org.jlatent.cli;

import java.util.List;
import java.util.Map;
import org.jlatent.data.ImageShape;
import org.jlatent.models.ImageModel;
import org.jlatent.models.PixelCnnPlusPlus;
import org.jlatent.models.PixelCnnPlusPlusConfig;
import org.jlatent.nn.Init;

/** {@code pixel-cnn-pp}. */
final class PixelCnnPlusPlusRecipe implements AutoregressiveRecipe {
    private static final Settings.Key<Integer> SCALES =
            Settings.integer("scales", 3, 1, "sizes of maps; 2^(scales - 1) divides the images'");
    private static final Settings.Key<Integer> BLOCKS =
            Settings.integer("blocks", 2, 1, "of each stack at each size");

    @Override
    public String name() {
        return "pixel-cnn-pp";
    }

    @Override
    public String meaning() {
        return "a PixelCNN++";
    }

    @Override
    public List<Settings.Key<?>> modelKeys() {
        return List.of(
                SCALES,
                BLOCKS,
                GatedSettings.FEATURES,
                DROPOUT,
                LIKELIHOOD,
                VaeRecipe.COMPONENTS,
                CLASSES);
    }

    /** Sprites are no 8-bit images. */
    @Override
    public String data() {
        return "cifar10";
    }

    @Override
    public Map<String, String> initial() {
        return Map.of("likelihood", "logistic-mixture", "batch", "32");
    }

    @Override
    public ImageModel model(Init init, ImageShape image, Settings settings, long seed) {
        PixelCnnPlusPlusConfig config =
                PixelCnnPlusPlusConfig.defaults()
                        .withScales(settings.get(SCALES))
                        .withBlocks(settings.get(BLOCKS))
                        .withFeatures(settings.get(GatedSettings.FEATURES))
                        .withDropout(settings.get(DROPOUT))
                        .withLikelihood(AutoregressiveRecipe.likelihood(image, settings))
                        .withClasses(settings.get(CLASSES));
        return new PixelCnnPlusPlus(init, image, config, seed);
    }
}
