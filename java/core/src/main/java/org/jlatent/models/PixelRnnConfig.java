package org.jlatent.models;

import java.util.Objects;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;

/**
 * The shape of a {@link PixelRnn}: {@code PixelRnnConfig.defaults().withLayers(12)}.
 *
 * @param layers row LSTMs
 * @param features of each; twice as many between them
 * @param firstKernel of the first convolution, odd, at least 3
 * @param head features before the parameters of a value
 * @param likelihood of a value given those before it
 */
public record PixelRnnConfig(
        int layers, int features, int firstKernel, int head, Likelihood likelihood) {
    public PixelRnnConfig {
        Networks.require(layers >= 1, "layers must be at least 1", layers);
        Networks.require(features >= 1, "features must be at least 1", features);
        PixelCnnConfig.requireKernels(1, firstKernel);
        Networks.require(head >= 1, "head must be at least 1", head);
        Objects.requireNonNull(likelihood, "likelihood");
    }

    /** 7 layers of 16 features after a kernel of 7x7, a head of 32; Bernoulli values. */
    public static PixelRnnConfig defaults() {
        return new PixelRnnConfig(7, 16, 7, 32, Likelihoods.bernoulli());
    }

    /** Row LSTMs. */
    public PixelRnnConfig withLayers(int count) {
        return new PixelRnnConfig(count, features, firstKernel, head, likelihood);
    }

    /** Of each row LSTM; twice as many between them. */
    public PixelRnnConfig withFeatures(int channels) {
        return new PixelRnnConfig(layers, channels, firstKernel, head, likelihood);
    }

    /** Of the first convolution. */
    public PixelRnnConfig withFirstKernel(int kernel) {
        return new PixelRnnConfig(layers, features, kernel, head, likelihood);
    }

    /** Features before the parameters of a value. */
    public PixelRnnConfig withHead(int channels) {
        return new PixelRnnConfig(layers, features, firstKernel, channels, likelihood);
    }

    /** Of a value given those before it. */
    public PixelRnnConfig withLikelihood(Likelihood values) {
        return new PixelRnnConfig(layers, features, firstKernel, head, values);
    }
}
