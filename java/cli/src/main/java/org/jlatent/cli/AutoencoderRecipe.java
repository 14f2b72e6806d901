package org.jlatent.cli;

import java.util.ArrayList;
import java.util.List;
import org.jlatent.JlatentException;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.models.Autoencoder;
import org.jlatent.models.AutoencoderConfig;
import org.jlatent.models.AutoencoderEvaluation;
import org.jlatent.models.ImageModel;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihoods;

/** {@code autoencoder}; with {@code drop} a denoising one. */
final class AutoencoderRecipe implements Recipe {
    private static final Settings.Key<String> LOSS =
            Settings.choice("loss", "l2", List.of("l2", "l1"), "squared or absolute errors");
    private static final Settings.Key<Float> DROP =
            Settings.number(
                    "drop",
                    "0",
                    0,
                    0.999,
                    "part of the pixels hidden from the encoder in training");

    @Override
    public String name() {
        return "autoencoder";
    }

    @Override
    public String meaning() {
        return "denoising where drop is above 0";
    }

    @Override
    public String unit() {
        return "sum of errors an image";
    }

    @Override
    public List<Settings.Key<?>> modelKeys() {
        List<Settings.Key<?>> keys = new ArrayList<>(NetworkSettings.KEYS);
        keys.addAll(List.of(LOSS, DROP));
        return keys;
    }

    @Override
    public ImageModel model(Init init, ImageShape image, Settings settings, long seed) {
        AutoencoderConfig config =
                AutoencoderConfig.defaults()
                        .withChannels(settings.get(NetworkSettings.CHANNELS))
                        .withHidden(settings.get(NetworkSettings.HIDDEN))
                        .withLatent(settings.get(NetworkSettings.LATENT))
                        .withActivation(settings.get(NetworkSettings.ACTIVATION))
                        .withLoss(
                                settings.get(LOSS).equals("l1")
                                        ? Likelihoods.absoluteError()
                                        : Likelihoods.squaredError())
                        .withDrop(settings.get(DROP));
        return new Autoencoder(init, image, config, seed);
    }

    @Override
    public Results evaluate(ImageModel model, ImageSet images, Evaluation options) {
        if (options.samples() != null) {
            throw new JlatentException(
                    "an autoencoder draws no z: leave out --samples, which is of VAEs");
        }
        Autoencoder autoencoder = (Autoencoder) model;
        float drop = options.drop() == null ? autoencoder.config().drop() : options.drop();
        AutoencoderEvaluation e =
                AutoencoderEvaluation.of(autoencoder, images, drop, 256, options.seed());
        return new Results()
                .put("squared_error", e.squaredError())
                .put("absolute_error", e.absoluteError())
                .put("normalized_error", e.normalizedError())
                .put("drop", drop);
    }
}
