package org.jlatent.models;

import java.util.Objects;
import org.jlatent.CausalAttentionOps;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;

/**
 * The shape of a {@link GatedPixelCnn}: {@code
 * GatedPixelCnnConfig.defaults().withLayers(10).withFeatures(64)}.
 *
 * @param layers of both stacks
 * @param features channels of each stack's feature maps
 * @param kernel of the layers but the first, odd
 * @param firstKernel of the first layer, odd, at least 3
 * @param head features between the sum of the layers' outputs and the parameters of a value
 * @param likelihood of a value given those before it
 * @param classes that images are conditioned on; 0: none
 * @param conditionChannels of the map that images are conditioned on; 0: none
 * @param codes whether levels are the numbers of something, such as a codebook's vectors, and not
 *     grey or colour: the network then sees a vector for each, which it learns
 * @param attention heads of the attention to all pixels before, of features / heads dims each,
 *     after the middle layer; 0: none
 */
public record GatedPixelCnnConfig(
        int layers,
        int features,
        int kernel,
        int firstKernel,
        int head,
        Likelihood likelihood,
        int classes,
        int conditionChannels,
        boolean codes,
        int attention) {
    public GatedPixelCnnConfig {
        Networks.require(layers >= 1, "layers must be at least 1", layers);
        Networks.require(features >= 1, "features must be at least 1", features);
        PixelCnnConfig.requireKernels(kernel, firstKernel);
        Networks.require(head >= 1, "head must be at least 1", head);
        Objects.requireNonNull(likelihood, "likelihood");
        Networks.require(classes >= 0, "classes must be at least 0", classes);
        Networks.require(
                conditionChannels >= 0, "conditionChannels must be at least 0", conditionChannels);
        Networks.require(attention >= 0, "attention must be at least 0", attention);
        Networks.require(
                attention == 0 || layers >= 2, "with attention, layers must be at least 2", layers);
        Networks.require(
                attention == 0
                        || (features % attention == 0
                                && features / attention <= CausalAttentionOps.MOST_DIMS),
                "attention must divide the "
                        + features
                        + " features into heads of at most "
                        + CausalAttentionOps.MOST_DIMS,
                attention);
    }

    /** 5 layers of 32 features, 3x3 after 7x7, a head of 32; Bernoulli values, unconditional. */
    public static GatedPixelCnnConfig defaults() {
        return new GatedPixelCnnConfig(5, 32, 3, 7, 32, Likelihoods.bernoulli(), 0, 0, false, 0);
    }

    /** Of both stacks. */
    public GatedPixelCnnConfig withLayers(int count) {
        return new GatedPixelCnnConfig(
                count,
                features,
                kernel,
                firstKernel,
                head,
                likelihood,
                classes,
                conditionChannels,
                codes,
                attention);
    }

    /** Channels of each stack's feature maps. */
    public GatedPixelCnnConfig withFeatures(int channels) {
        return new GatedPixelCnnConfig(
                layers,
                channels,
                kernel,
                firstKernel,
                head,
                likelihood,
                classes,
                conditionChannels,
                codes,
                attention);
    }

    /** Of the first layer, and of the others. */
    public GatedPixelCnnConfig withKernels(int first, int others) {
        return new GatedPixelCnnConfig(
                layers,
                features,
                others,
                first,
                head,
                likelihood,
                classes,
                conditionChannels,
                codes,
                attention);
    }

    /** Features before the parameters of a value. */
    public GatedPixelCnnConfig withHead(int channels) {
        return new GatedPixelCnnConfig(
                layers,
                features,
                kernel,
                firstKernel,
                channels,
                likelihood,
                classes,
                conditionChannels,
                codes,
                attention);
    }

    /** Of a value given those before it. */
    public GatedPixelCnnConfig withLikelihood(Likelihood values) {
        return new GatedPixelCnnConfig(
                layers,
                features,
                kernel,
                firstKernel,
                head,
                values,
                classes,
                conditionChannels,
                codes,
                attention);
    }

    /** Classes that images are conditioned on; 0: none. */
    public GatedPixelCnnConfig withClasses(int count) {
        return new GatedPixelCnnConfig(
                layers,
                features,
                kernel,
                firstKernel,
                head,
                likelihood,
                count,
                conditionChannels,
                codes,
                attention);
    }

    /** Channels of the map that images are conditioned on; 0: none. */
    public GatedPixelCnnConfig withConditionChannels(int channels) {
        return new GatedPixelCnnConfig(
                layers,
                features,
                kernel,
                firstKernel,
                head,
                likelihood,
                classes,
                channels,
                codes,
                attention);
    }

    /** Whether levels are the numbers of something. */
    public GatedPixelCnnConfig withCodes(boolean on) {
        return new GatedPixelCnnConfig(
                layers,
                features,
                kernel,
                firstKernel,
                head,
                likelihood,
                classes,
                conditionChannels,
                on,
                attention);
    }

    /** Heads of the attention to all pixels before; 0: none. */
    public GatedPixelCnnConfig withAttention(int heads) {
        return new GatedPixelCnnConfig(
                layers,
                features,
                kernel,
                firstKernel,
                head,
                likelihood,
                classes,
                conditionChannels,
                codes,
                heads);
    }
}
