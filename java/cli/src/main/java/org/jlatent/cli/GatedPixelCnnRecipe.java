package org.jlatent.cli;

import java.util.List;
import org.jlatent.data.ImageShape;
import org.jlatent.models.GatedPixelCnn;
import org.jlatent.models.GatedPixelCnnConfig;
import org.jlatent.models.ImageModel;
import org.jlatent.nn.Init;

/** {@code gated-pixel-cnn}. */
final class GatedPixelCnnRecipe implements AutoregressiveRecipe {
    @Override
    public String name() {
        return "gated-pixel-cnn";
    }

    @Override
    public String meaning() {
        return "a Gated PixelCNN";
    }

    @Override
    public List<Settings.Key<?>> modelKeys() {
        return List.of(
                GatedSettings.LAYERS,
                GatedSettings.FEATURES,
                GatedSettings.KERNEL_FIRST,
                GatedSettings.KERNEL,
                GatedSettings.HEAD,
                GatedSettings.ATTENTION,
                DROPOUT,
                LIKELIHOOD,
                VaeRecipe.COMPONENTS,
                CLASSES);
    }

    @Override
    public ImageModel model(Init init, ImageShape image, Settings settings, long seed) {
        GatedPixelCnnConfig config =
                GatedSettings.config(settings)
                        .withAttention(settings.get(GatedSettings.ATTENTION))
                        .withLikelihood(AutoregressiveRecipe.likelihood(image, settings))
                        .withClasses(settings.get(CLASSES));
        return new GatedPixelCnn(init, image, config, seed);
    }
}
