package org.jlatent.models;

import java.util.Objects;
import org.jlatent.Activation;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;

/**
 * The shape and objective of a {@link Vae}: {@code
 * VaeConfig.defaults().withLatent(10).withBeta(4)}.
 *
 * @param channels of the encoder's 4x4 convolutions, each of stride 2; the decoder mirrors them;
 *     empty: none
 * @param hidden widths of the encoder's linear layers; the decoder mirrors them
 * @param latent dimensions of z
 * @param activation between layers
 * @param likelihood of the pixels given z
 * @param beta weight of the KL term
 * @param freeBits nats a dimension that the KL is not pushed below [Kingma et al. 2016]; 0: off
 * @param samples of z for each image and step
 */
public record VaeConfig(
        int[] channels,
        int[] hidden,
        int latent,
        Activation activation,
        Likelihood likelihood,
        float beta,
        float freeBits,
        int samples) {
    public VaeConfig {
        channels = Networks.channels(channels);
        hidden = Networks.hidden(hidden);
        Networks.require(latent >= 1, "latent must be at least 1", latent);
        Objects.requireNonNull(activation, "activation");
        Objects.requireNonNull(likelihood, "likelihood");
        Networks.require(beta >= 0 && Float.isFinite(beta), "beta must be at least 0", beta);
        Networks.require(
                freeBits >= 0 && Float.isFinite(freeBits), "freeBits must be at least 0", freeBits);
        Networks.require(samples >= 1, "samples must be at least 1", samples);
    }

    /** One hidden layer of 400, 20 latent dimensions, ReLU, Bernoulli pixels, beta 1. */
    public static VaeConfig defaults() {
        return new VaeConfig(
                new int[0],
                new int[] {400},
                20,
                Activation.RELU,
                Likelihoods.bernoulli(),
                1.0f,
                0.0f,
                1);
    }

    /** {@link #defaults} after 4x4 convolutions of stride 2 to 32 and 64 channels, hidden 256. */
    public static VaeConfig convolutional() {
        return defaults().withChannels(32, 64).withHidden(256);
    }

    /** Channels of the convolutions; empty: none. */
    public VaeConfig withChannels(int... counts) {
        return new VaeConfig(
                counts, hidden, latent, activation, likelihood, beta, freeBits, samples);
    }

    /** Widths of the linear layers. */
    public VaeConfig withHidden(int... widths) {
        return new VaeConfig(
                channels, widths, latent, activation, likelihood, beta, freeBits, samples);
    }

    /** Dimensions of z. */
    public VaeConfig withLatent(int dims) {
        return new VaeConfig(
                channels, hidden, dims, activation, likelihood, beta, freeBits, samples);
    }

    /** Between layers. */
    public VaeConfig withActivation(Activation function) {
        return new VaeConfig(
                channels, hidden, latent, function, likelihood, beta, freeBits, samples);
    }

    /** Of the pixels given z. */
    public VaeConfig withLikelihood(Likelihood pixels) {
        return new VaeConfig(channels, hidden, latent, activation, pixels, beta, freeBits, samples);
    }

    /** Weight of the KL term. */
    public VaeConfig withBeta(float weight) {
        return new VaeConfig(
                channels, hidden, latent, activation, likelihood, weight, freeBits, samples);
    }

    /** Nats a dimension that the KL is not pushed below; 0: off. */
    public VaeConfig withFreeBits(float nats) {
        return new VaeConfig(channels, hidden, latent, activation, likelihood, beta, nats, samples);
    }

    /** Samples of z for each image and step. */
    public VaeConfig withSamples(int count) {
        return new VaeConfig(
                channels, hidden, latent, activation, likelihood, beta, freeBits, count);
    }

    @Override
    public int[] channels() {
        return channels.clone();
    }

    @Override
    public int[] hidden() {
        return hidden.clone();
    }
}
