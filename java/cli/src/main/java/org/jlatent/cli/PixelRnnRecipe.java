package org.jlatent.cli;

import java.util.List;
import org.jlatent.data.ImageShape;
import org.jlatent.models.ImageModel;
import org.jlatent.models.PixelRnn;
import org.jlatent.models.PixelRnnConfig;
import org.jlatent.nn.Init;

/** {@code pixel-rnn}. */
final class PixelRnnRecipe implements AutoregressiveRecipe {
    private static final Settings.Key<Integer> LAYERS =
            Settings.integer("layers", 7, 1, "row LSTMs");
    private static final Settings.Key<Integer> FEATURES =
            Settings.integer("features", 16, 1, "of a row LSTM; twice as many between");

    @Override
    public String name() {
        return "pixel-rnn";
    }

    @Override
    public String meaning() {
        return "a PixelRNN of row LSTMs";
    }

    @Override
    public List<Settings.Key<?>> modelKeys() {
        return List.of(
                LAYERS,
                FEATURES,
                GatedSettings.KERNEL_FIRST,
                GatedSettings.HEAD,
                LIKELIHOOD,
                VaeRecipe.COMPONENTS);
    }

    @Override
    public ImageModel model(Init init, ImageShape image, Settings settings, long seed) {
        PixelRnnConfig config =
                PixelRnnConfig.defaults()
                        .withLayers(settings.get(LAYERS))
                        .withFeatures(settings.get(FEATURES))
                        .withFirstKernel(settings.get(GatedSettings.KERNEL_FIRST))
                        .withHead(settings.get(GatedSettings.HEAD))
                        .withLikelihood(AutoregressiveRecipe.likelihood(image, settings));
        return new PixelRnn(init, image, config, seed);
    }
}
