package org.jlatent.models;

import java.util.Objects;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;

/**
 * The shape of a {@link PixelCnnPlusPlus}: {@code
 * PixelCnnPlusPlusConfig.defaults().withBlocks(5).withFeatures(160).withDropout(0.5f)} is the
 * paper's.
 *
 * @param scales sizes of feature maps, each half as high and wide as the one before
 * @param blocks residual ones of each stack at each size, on the way down; on the way up one more,
 *     but at the smallest size
 * @param features channels of each stack's feature maps
 * @param dropout in every block, while training; in [0, 1)
 * @param likelihood of a whole pixel given those before it
 * @param classes that images are conditioned on; 0: none
 */
public record PixelCnnPlusPlusConfig(
        int scales, int blocks, int features, float dropout, Likelihood likelihood, int classes) {
    public PixelCnnPlusPlusConfig {
        Networks.require(scales >= 1 && scales <= 30, "scales must be from 1 to 30", scales);
        Networks.require(blocks >= 1, "blocks must be at least 1", blocks);
        Networks.require(features >= 1, "features must be at least 1", features);
        Networks.require(dropout >= 0 && dropout < 1, "dropout must be in [0, 1)", dropout);
        Objects.requireNonNull(likelihood, "likelihood");
        Networks.require(classes >= 0, "classes must be at least 0", classes);
    }

    /**
     * 3 scales with 2 blocks of 32 features, without dropout; a mixture of 10 logistics for 256
     * levels of 3 colours, unconditional.
     */
    public static PixelCnnPlusPlusConfig defaults() {
        Likelihood colours = Likelihoods.discretizedLogisticMixture(10, 256, 3);
        return new PixelCnnPlusPlusConfig(3, 2, 32, 0, colours, 0);
    }

    /** Sizes of feature maps. */
    public PixelCnnPlusPlusConfig withScales(int count) {
        return new PixelCnnPlusPlusConfig(count, blocks, features, dropout, likelihood, classes);
    }

    /** Of each stack at each size. */
    public PixelCnnPlusPlusConfig withBlocks(int count) {
        return new PixelCnnPlusPlusConfig(scales, count, features, dropout, likelihood, classes);
    }

    /** Channels of each stack's feature maps. */
    public PixelCnnPlusPlusConfig withFeatures(int channels) {
        return new PixelCnnPlusPlusConfig(scales, blocks, channels, dropout, likelihood, classes);
    }

    /** In every block, while training. */
    public PixelCnnPlusPlusConfig withDropout(float probability) {
        return new PixelCnnPlusPlusConfig(
                scales, blocks, features, probability, likelihood, classes);
    }

    /** Of a whole pixel given those before it. */
    public PixelCnnPlusPlusConfig withLikelihood(Likelihood pixels) {
        return new PixelCnnPlusPlusConfig(scales, blocks, features, dropout, pixels, classes);
    }

    /** Classes that images are conditioned on; 0: none. */
    public PixelCnnPlusPlusConfig withClasses(int count) {
        return new PixelCnnPlusPlusConfig(scales, blocks, features, dropout, likelihood, count);
    }
}
