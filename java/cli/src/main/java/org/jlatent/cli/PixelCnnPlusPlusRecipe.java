package org.jlatent.cli;

import java.util.List;
import java.util.Map;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.models.ImageModel;
import org.jlatent.models.PixelCnnPlusPlus;
import org.jlatent.models.PixelCnnPlusPlusConfig;
import org.jlatent.nn.Init;

/** {@code pixel-cnn-pp}. */
final class PixelCnnPlusPlusRecipe implements Recipe {
    private static final Settings.Key<Integer> SCALES =
            Settings.integer("scales", 3, 1, "sizes of maps; 2^(scales - 1) divides the images'");
    private static final Settings.Key<Integer> BLOCKS =
            Settings.integer("blocks", 2, 1, "of each stack at each size");
    private static final Settings.Key<Float> DROPOUT =
            Settings.number("dropout", "0", 0, 0.99, "in every block while training");

    @Override
    public String name() {
        return "pixel-cnn-pp";
    }

    @Override
    public String meaning() {
        return "a PixelCNN++";
    }

    @Override
    public String unit() {
        return "nats an image";
    }

    @Override
    public List<Settings.Key<?>> modelKeys() {
        return List.of(
                SCALES,
                BLOCKS,
                PixelCnnRecipe.FEATURES,
                DROPOUT,
                PixelCnnRecipe.LIKELIHOOD,
                VaeRecipe.COMPONENTS,
                PixelCnnRecipe.CLASSES);
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
    public List<Settings.Key<?>> ownKeys() {
        return modelKeys();
    }

    @Override
    public ImageModel model(Init init, ImageShape image, Settings settings, long seed) {
        PixelCnnPlusPlusConfig config =
                PixelCnnPlusPlusConfig.defaults()
                        .withScales(settings.get(SCALES))
                        .withBlocks(settings.get(BLOCKS))
                        .withFeatures(settings.get(PixelCnnRecipe.FEATURES))
                        .withDropout(settings.get(DROPOUT))
                        .withLikelihood(PixelCnnRecipe.likelihood(image, settings))
                        .withClasses(settings.get(PixelCnnRecipe.CLASSES));
        return new PixelCnnPlusPlus(init, image, config, seed);
    }

    @Override
    public Results measure(ImageModel model, ImageSet images, long seed) {
        return evaluate(model, images, new Evaluation(null, null, seed));
    }

    @Override
    public Results evaluate(ImageModel model, ImageSet images, Evaluation options) {
        return PixelCnnRecipe.evaluate(name(), model, images, options);
    }
}
