package org.jlatent.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jlatent.data.ImageShape;
import org.jlatent.models.GatedPixelCnnConfig;
import org.jlatent.models.ImageModel;
import org.jlatent.models.PixelVae;
import org.jlatent.models.PixelVaeConfig;
import org.jlatent.nn.Init;

/** {@code pixel-vae}: {@code conv-vae} with a small Gated PixelCNN in the decoder. */
final class PixelVaeRecipe extends VaeRecipe {
    private static final Settings.Key<Integer> MAP =
            Settings.integer("map", 32, 1, "channels of what pixels are conditioned on");

    PixelVaeRecipe() {
        super("pixel-vae", "a VAE whose pixels see those near them", "32-64", "256");
    }

    @Override
    public List<Settings.Key<?>> modelKeys() {
        List<Settings.Key<?>> keys = new ArrayList<>(networkKeys());
        keys.add(MAP);
        keys.addAll(List.of(GatedSettings.LAYERS.withInitial("2"), GatedSettings.FEATURES));
        keys.addAll(List.of(GatedSettings.KERNEL_FIRST.withInitial("5"), GatedSettings.KERNEL));
        keys.addAll(List.of(GatedSettings.HEAD, AutoregressiveRecipe.DROPOUT));
        keys.addAll(List.of(AutoregressiveRecipe.LIKELIHOOD, COMPONENTS));
        keys.addAll(List.of(BETA, FREE_BITS, SAMPLES));
        return keys;
    }

    @Override
    public Map<String, String> initial() {
        return AutoregressiveRecipe.BITS;
    }

    @Override
    public ImageModel model(Init init, ImageShape image, Settings settings, long seed) {
        GatedPixelCnnConfig pixels =
                GatedSettings.config(settings).withConditionChannels(settings.get(MAP));
        PixelVaeConfig config =
                new PixelVaeConfig(
                        config(settings, AutoregressiveRecipe.likelihood(image, settings)), pixels);
        return new PixelVae(init, image, config, seed);
    }
}
