package org.jlatent.models;

import java.util.Objects;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;

/**
 * The shape of a {@link PixelCnn}: {@code PixelCnnConfig.defaults().withBlocks(15)}.
 *
 * @param blocks residual ones
 * @param features inside a residual block; twice as many between them
 * @param kernel of the residual blocks, odd
 * @param firstKernel of the first convolution, odd, at least 3
 * @param head features before the parameters of a value
 * @param likelihood of a value given those before it
 */
public record PixelCnnConfig(
        int blocks, int features, int kernel, int firstKernel, int head, Likelihood likelihood) {
    public PixelCnnConfig {
        Networks.require(blocks >= 0, "blocks must be at least 0", blocks);
        Networks.require(features >= 1, "features must be at least 1", features);
        requireKernels(kernel, firstKernel);
        Networks.require(head >= 1, "head must be at least 1", head);
        Objects.requireNonNull(likelihood, "likelihood");
    }

    static void requireKernels(int kernel, int firstKernel) {
        Networks.require(kernel >= 1 && kernel % 2 == 1, "kernel must be odd", kernel);
        Networks.require(
                firstKernel >= 3 && firstKernel % 2 == 1,
                "firstKernel must be odd and at least 3, for it does not see the pixel itself",
                firstKernel);
    }

    /** 7 blocks of 16 features, 3x3 after 7x7, a head of 32; Bernoulli values. */
    public static PixelCnnConfig defaults() {
        return new PixelCnnConfig(7, 16, 3, 7, 32, Likelihoods.bernoulli());
    }

    /** Residual blocks. */
    public PixelCnnConfig withBlocks(int count) {
        return new PixelCnnConfig(count, features, kernel, firstKernel, head, likelihood);
    }

    /** Inside a residual block; twice as many between them. */
    public PixelCnnConfig withFeatures(int channels) {
        return new PixelCnnConfig(blocks, channels, kernel, firstKernel, head, likelihood);
    }

    /** Of the first convolution, and of the residual blocks. */
    public PixelCnnConfig withKernels(int first, int others) {
        return new PixelCnnConfig(blocks, features, others, first, head, likelihood);
    }

    /** Features before the parameters of a value. */
    public PixelCnnConfig withHead(int channels) {
        return new PixelCnnConfig(blocks, features, kernel, firstKernel, channels, likelihood);
    }

    /** Of a value given those before it. */
    public PixelCnnConfig withLikelihood(Likelihood values) {
        return new PixelCnnConfig(blocks, features, kernel, firstKernel, head, values);
    }
}
