package org.jlatent.cli;

import java.util.List;
import java.util.Map;
import org.jlatent.data.ImageShape;
import org.jlatent.models.ImageModel;
import org.jlatent.models.PixelCnn;
import org.jlatent.models.PixelCnnConfig;
import org.jlatent.nn.Init;

/**
 * {@code pixel-cnn}; {@code pixel-cnn-binarized-mnist} is the same with the settings of the
 * published run.
 */
final class PixelCnnRecipe implements AutoregressiveRecipe {
    private static final Settings.Key<Integer> BLOCKS =
            Settings.integer("residual.blocks", 7, 0, "after the first convolution");
    private static final Settings.Key<Integer> HIDDEN =
            Settings.integer(
                    "residual.hidden", 16, 1, "features inside a block; twice as many between");

    private final boolean published;

    private PixelCnnRecipe(boolean published) {
        this.published = published;
    }

    static Recipe plain() {
        return new PixelCnnRecipe(false);
    }

    /**
     * [van den Oord et al. 2016, sec. 5.1 and 5.3]: 16 features in a block, a head of 32, batches
     * of 16; 81.30 nats. How many blocks there were is not said: 7 are the layers of the paper's
     * other model of these images. It was trained with RMSProp, at rates set by hand.
     */
    static Recipe published() {
        return new PixelCnnRecipe(true);
    }

    @Override
    public String name() {
        return published ? "pixel-cnn-binarized-mnist" : "pixel-cnn";
    }

    @Override
    public String meaning() {
        return published
                ? "pixel-cnn as published: on binarized-mnist, other defaults"
                : "a PixelCNN";
    }

    @Override
    public String data() {
        return published ? "binarized-mnist" : AutoregressiveRecipe.super.data();
    }

    @Override
    public Map<String, String> initial() {
        return published ? Map.of("batch", "16", "schedule", "cosine") : BITS;
    }

    @Override
    public List<Settings.Key<?>> modelKeys() {
        return List.of(
                BLOCKS,
                HIDDEN,
                GatedSettings.KERNEL_FIRST,
                GatedSettings.KERNEL,
                GatedSettings.HEAD,
                LIKELIHOOD,
                VaeRecipe.COMPONENTS);
    }

    @Override
    public List<Settings.Key<?>> ownKeys() {
        return published ? changedKeys() : modelKeys();
    }

    @Override
    public ImageModel model(Init init, ImageShape image, Settings settings, long seed) {
        PixelCnnConfig config =
                PixelCnnConfig.defaults()
                        .withBlocks(settings.get(BLOCKS))
                        .withFeatures(settings.get(HIDDEN))
                        .withKernels(
                                settings.get(GatedSettings.KERNEL_FIRST),
                                settings.get(GatedSettings.KERNEL))
                        .withHead(settings.get(GatedSettings.HEAD))
                        .withLikelihood(AutoregressiveRecipe.likelihood(image, settings));
        return new PixelCnn(init, image, config, seed);
    }
}
