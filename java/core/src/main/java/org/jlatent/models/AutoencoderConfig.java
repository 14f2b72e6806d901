package org.jlatent.models;

import java.util.Objects;
import org.jlatent.Activation;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;

/**
 * The shape and objective of an {@link Autoencoder}.
 *
 * @param channels of the encoder's 4x4 convolutions, each of stride 2; empty: none
 * @param hidden widths of the encoder's linear layers
 * @param latent numbers in a code
 * @param activation between layers
 * @param loss {@link Likelihoods#squaredError}, {@link Likelihoods#absoluteError}, or any other
 * @param drop part of the pixels that training hides from the encoder, in [0, 1)
 */
public record AutoencoderConfig(
        int[] channels,
        int[] hidden,
        int latent,
        Activation activation,
        Likelihood loss,
        float drop) {
    public AutoencoderConfig {
        channels = Networks.channels(channels);
        hidden = Networks.hidden(hidden);
        Networks.require(latent >= 1, "latent must be at least 1", latent);
        Objects.requireNonNull(activation, "activation");
        Objects.requireNonNull(loss, "loss");
        Networks.require(drop >= 0 && drop < 1, "drop must be in [0, 1)", drop);
    }

    /** One hidden layer of 400, 20 numbers, ReLU, squared errors, nothing hidden. */
    public static AutoencoderConfig defaults() {
        return new AutoencoderConfig(
                new int[0], new int[] {400}, 20, Activation.RELU, Likelihoods.squaredError(), 0.0f);
    }

    /** Channels of the convolutions; empty: none. */
    public AutoencoderConfig withChannels(int... counts) {
        return new AutoencoderConfig(counts, hidden, latent, activation, loss, drop);
    }

    /** Widths of the linear layers. */
    public AutoencoderConfig withHidden(int... widths) {
        return new AutoencoderConfig(channels, widths, latent, activation, loss, drop);
    }

    /** Numbers in a code. */
    public AutoencoderConfig withLatent(int numbers) {
        return new AutoencoderConfig(channels, hidden, numbers, activation, loss, drop);
    }

    /** Between layers. */
    public AutoencoderConfig withActivation(Activation function) {
        return new AutoencoderConfig(channels, hidden, latent, function, loss, drop);
    }

    /** Squared, absolute, or any other errors. */
    public AutoencoderConfig withLoss(Likelihood errors) {
        return new AutoencoderConfig(channels, hidden, latent, activation, errors, drop);
    }

    /** Part of the pixels that training hides from the encoder, in [0, 1). */
    public AutoencoderConfig withDrop(float part) {
        return new AutoencoderConfig(channels, hidden, latent, activation, loss, part);
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
