package org.jlatent.models;

import java.util.Arrays;
import org.jlatent.Activation;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;

/**
 * The shape and objective of a {@link Vae}: {@code VaeConfig.defaults().latent(10).beta(4)}.
 * Immutable.
 */
public final class VaeConfig {
    private final int[] channels;
    private final int[] hidden;
    private final int latent;
    private final Activation activation;
    private final Likelihood likelihood;
    private final float beta;
    private final float freeBits;
    private final int samples;

    private VaeConfig(
            int[] channels,
            int[] hidden,
            int latent,
            Activation activation,
            Likelihood likelihood,
            float beta,
            float freeBits,
            int samples) {
        this.channels = channels;
        this.hidden = hidden;
        this.latent = latent;
        this.activation = activation;
        this.likelihood = likelihood;
        this.beta = beta;
        this.freeBits = freeBits;
        this.samples = samples;
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
        return defaults().channels(32, 64).hidden(256);
    }

    /**
     * Channels of the encoder's 4x4 convolutions, each of stride 2; the decoder mirrors them.
     * Empty: none.
     */
    public VaeConfig channels(int... counts) {
        for (int count : counts) {
            require(count >= 1, "convolutions need at least one channel", Arrays.toString(counts));
        }
        return new VaeConfig(
                counts.clone(), hidden, latent, activation, likelihood, beta, freeBits, samples);
    }

    /** Widths of the encoder's linear layers; the decoder mirrors them. */
    public VaeConfig hidden(int... widths) {
        for (int width : widths) {
            require(width >= 1, "hidden layers need at least one unit", Arrays.toString(widths));
        }
        return new VaeConfig(
                channels, widths.clone(), latent, activation, likelihood, beta, freeBits, samples);
    }

    /** Latent dimensions. */
    public VaeConfig latent(int dims) {
        require(dims >= 1, "latent must be at least 1", dims);
        return new VaeConfig(
                channels, hidden, dims, activation, likelihood, beta, freeBits, samples);
    }

    /** Between layers. */
    public VaeConfig activation(Activation function) {
        return new VaeConfig(
                channels, hidden, latent, function, likelihood, beta, freeBits, samples);
    }

    /** Of the pixels given z. */
    public VaeConfig likelihood(Likelihood pixels) {
        return new VaeConfig(channels, hidden, latent, activation, pixels, beta, freeBits, samples);
    }

    /** Weight of the KL term. */
    public VaeConfig beta(float weight) {
        require(weight >= 0 && Float.isFinite(weight), "beta must be at least 0", weight);
        return new VaeConfig(
                channels, hidden, latent, activation, likelihood, weight, freeBits, samples);
    }

    /** Nats a dimension that the KL is not pushed below [Kingma et al. 2016]; 0: off. */
    public VaeConfig freeBits(float nats) {
        require(nats >= 0 && Float.isFinite(nats), "freeBits must be at least 0", nats);
        return new VaeConfig(channels, hidden, latent, activation, likelihood, beta, nats, samples);
    }

    /** Samples of z for each image and step. */
    public VaeConfig samples(int count) {
        require(count >= 1, "samples must be at least 1", count);
        return new VaeConfig(
                channels, hidden, latent, activation, likelihood, beta, freeBits, count);
    }

    /** Channels of the encoder's convolutions; empty: none. */
    public int[] channels() {
        return channels.clone();
    }

    /** Widths of the hidden layers, as a copy. */
    public int[] hidden() {
        return hidden.clone();
    }

    /** Dimensions of z. */
    public int latent() {
        return latent;
    }

    /** Of the hidden layers. */
    public Activation activation() {
        return activation;
    }

    /** Of the pixels given z. */
    public Likelihood likelihood() {
        return likelihood;
    }

    /** Weight of the KL term. */
    public float beta() {
        return beta;
    }

    /** Nats a dimension that the KL is not pushed below; 0: off. */
    public float freeBits() {
        return freeBits;
    }

    /** Samples of z for each image and step. */
    public int samples() {
        return samples;
    }

    private static void require(boolean condition, String rule, Object given) {
        if (!condition) {
            throw new IllegalArgumentException(rule + ", got " + given);
        }
    }
}
