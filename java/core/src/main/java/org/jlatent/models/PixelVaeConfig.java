package org.jlatent.models;

/**
 * The shape and objective of a {@link PixelVae}: {@code
 * PixelVaeConfig.defaults().withVae(VaeConfig.convolutional().withLatent(10))}.
 *
 * @param vae the encoder, z, the network from z to the map, the objective, and the likelihood of a
 *     pixel given z and those before it
 * @param pixels the network of pixels given the map, which has its {@code conditionChannels}; its
 *     likelihood is that of {@code vae}, whatever it was. How far it sees is what it can do without
 *     z
 */
public record PixelVaeConfig(VaeConfig vae, GatedPixelCnnConfig pixels) {
    public PixelVaeConfig {
        Networks.require(
                pixels.conditionChannels() >= 1,
                "pixels are conditioned on a map of at least 1 channel",
                pixels.conditionChannels());
        Networks.require(pixels.classes() == 0, "pixels know z and no classes", pixels.classes());
        pixels = pixels.withLikelihood(vae.likelihood());
    }

    /**
     * {@link VaeConfig#convolutional}, a map of 32 channels, and 2 layers of 32 features that see 3
     * pixels far: 5x5, then 3x3.
     */
    public static PixelVaeConfig defaults() {
        return new PixelVaeConfig(
                VaeConfig.convolutional(),
                GatedPixelCnnConfig.defaults()
                        .withLayers(2)
                        .withKernels(5, 3)
                        .withConditionChannels(32));
    }

    /** Everything but the pixels. */
    public PixelVaeConfig withVae(VaeConfig config) {
        return new PixelVaeConfig(config, pixels);
    }

    /** The network of pixels given the map. */
    public PixelVaeConfig withPixels(GatedPixelCnnConfig config) {
        return new PixelVaeConfig(vae, config);
    }
}
