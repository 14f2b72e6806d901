package org.jlatent.models;

import java.util.Objects;
import org.jlatent.Random;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;
import org.jlatent.nn.Quantizer;
import org.jlatent.nn.VectorQuantizer;
import org.jlatent.nn.VectorQuantizerConfig;

/**
 * The shape and objective of a {@link VqVae}: {@code VqVaeConfig.defaults().withLevels(3)}.
 *
 * @param levels 4x4 convolutions of stride 2 before and after: a code stands for 2^levels pixels
 *     each way
 * @param hidden channels of the network
 * @param residualBlocks in encoder and decoder each
 * @param residualHidden channels inside a residual block
 * @param likelihood of the pixels given the codes
 * @param quantizer what becomes of the encoder's vectors
 * @param initialize whether the codebook starts from vectors of training images
 */
public record VqVaeConfig(
        int levels,
        int hidden,
        int residualBlocks,
        int residualHidden,
        Likelihood likelihood,
        Maker quantizer,
        boolean initialize) {
    private static final int MOST_LEVELS = 16;

    /** Makes a quantizer for a model. */
    @FunctionalInterface
    public interface Maker {
        /**
         * @param init owns what it learns
         * @param random the model's, at the same step from a forward to its backward pass
         * @param site its own draws
         */
        Quantizer make(Init init, Random random, int site);
    }

    public VqVaeConfig {
        Networks.require(
                levels >= 1 && levels <= MOST_LEVELS,
                "levels must be from 1 to " + MOST_LEVELS,
                levels);
        Networks.require(hidden >= 1, "hidden must be at least 1", hidden);
        Networks.require(residualBlocks >= 0, "residualBlocks must be at least 0", residualBlocks);
        Networks.require(residualHidden >= 1, "residualHidden must be at least 1", residualHidden);
        Objects.requireNonNull(likelihood, "likelihood");
        Objects.requireNonNull(quantizer, "quantizer");
    }

    /**
     * The published network for small images: 2 levels, 128 channels, 2 residual blocks of 32,
     * squared errors, {@link VectorQuantizerConfig#defaults}.
     */
    public static VqVaeConfig defaults() {
        return new VqVaeConfig(
                2,
                128,
                2,
                32,
                Likelihoods.squaredError(),
                maker(VectorQuantizerConfig.defaults()),
                true);
    }

    private static Maker maker(VectorQuantizerConfig config) {
        return (init, random, site) -> new VectorQuantizer(init, config, random, site);
    }

    /** Convolutions of stride 2 before and after. */
    public VqVaeConfig withLevels(int count) {
        return new VqVaeConfig(
                count, hidden, residualBlocks, residualHidden, likelihood, quantizer, initialize);
    }

    /** Channels of the network. */
    public VqVaeConfig withHidden(int channels) {
        return new VqVaeConfig(
                levels,
                channels,
                residualBlocks,
                residualHidden,
                likelihood,
                quantizer,
                initialize);
    }

    /** Residual blocks in encoder and decoder each, and the channels inside. */
    public VqVaeConfig withResidual(int blocks, int channels) {
        return new VqVaeConfig(levels, hidden, blocks, channels, likelihood, quantizer, initialize);
    }

    /** Of the pixels given the codes. */
    public VqVaeConfig withLikelihood(Likelihood pixels) {
        return new VqVaeConfig(
                levels, hidden, residualBlocks, residualHidden, pixels, quantizer, initialize);
    }

    /** A codebook. */
    public VqVaeConfig withQuantizer(VectorQuantizerConfig config) {
        return withQuantizer(maker(config));
    }

    /** Any quantizer. */
    public VqVaeConfig withQuantizer(Maker maker) {
        return new VqVaeConfig(
                levels, hidden, residualBlocks, residualHidden, likelihood, maker, initialize);
    }

    /** Whether the codebook starts from vectors of training images. */
    public VqVaeConfig withInitialize(boolean on) {
        return new VqVaeConfig(
                levels, hidden, residualBlocks, residualHidden, likelihood, quantizer, on);
    }
}
