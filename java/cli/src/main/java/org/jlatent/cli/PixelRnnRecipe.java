package org.jlatent.cli;

import java.util.List;
import java.util.Map;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.models.ImageModel;
import org.jlatent.models.PixelRnn;
import org.jlatent.models.PixelRnnConfig;
import org.jlatent.nn.Init;

/** {@code pixel-rnn}. */
final class PixelRnnRecipe implements Recipe {
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
    public String unit() {
        return "nats an image";
    }

    @Override
    public List<Settings.Key<?>> modelKeys() {
        return List.of(
                LAYERS,
                FEATURES,
                PixelCnnRecipe.KERNEL_FIRST,
                PixelCnnRecipe.HEAD,
                PixelCnnRecipe.LIKELIHOOD,
                VaeRecipe.COMPONENTS);
    }

    @Override
    public Map<String, String> initial() {
        return PixelCnnRecipe.BITS;
    }

    @Override
    public List<Settings.Key<?>> ownKeys() {
        return modelKeys();
    }

    @Override
    public ImageModel model(Init init, ImageShape image, Settings settings, long seed) {
        PixelRnnConfig config =
                PixelRnnConfig.defaults()
                        .withLayers(settings.get(LAYERS))
                        .withFeatures(settings.get(FEATURES))
                        .withFirstKernel(settings.get(PixelCnnRecipe.KERNEL_FIRST))
                        .withHead(settings.get(PixelCnnRecipe.HEAD))
                        .withLikelihood(PixelCnnRecipe.likelihood(image, settings));
        return new PixelRnn(init, image, config, seed);
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
