package org.jlatent.models;

import java.util.Objects;
import java.util.function.Consumer;
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
 * @param dropout probability that a gate's output is set to 0 while training
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
        int attention,
        float dropout) {
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
        Networks.require(dropout >= 0 && dropout < 1, "dropout must be in [0, 1)", dropout);
    }

    /** 5 layers of 32 features, 3x3 after 7x7, a head of 32; Bernoulli values, unconditional. */
    public static GatedPixelCnnConfig defaults() {
        return new GatedPixelCnnConfig(5, 32, 3, 7, 32, Likelihoods.bernoulli(), 0, 0, false, 0, 0);
    }

    /** The components while one of them changes. */
    private static final class Components {
        int layers;
        int features;
        int kernel;
        int firstKernel;
        int head;
        Likelihood likelihood;
        int classes;
        int conditionChannels;
        boolean codes;
        int attention;
        float dropout;
    }

    private GatedPixelCnnConfig with(Consumer<Components> change) {
        Components c = new Components();
        c.layers = layers;
        c.features = features;
        c.kernel = kernel;
        c.firstKernel = firstKernel;
        c.head = head;
        c.likelihood = likelihood;
        c.classes = classes;
        c.conditionChannels = conditionChannels;
        c.codes = codes;
        c.attention = attention;
        c.dropout = dropout;
        change.accept(c);
        return new GatedPixelCnnConfig(
                c.layers,
                c.features,
                c.kernel,
                c.firstKernel,
                c.head,
                c.likelihood,
                c.classes,
                c.conditionChannels,
                c.codes,
                c.attention,
                c.dropout);
    }

    /** Of both stacks. */
    public GatedPixelCnnConfig withLayers(int count) {
        return with(c -> c.layers = count);
    }

    /** Channels of each stack's feature maps. */
    public GatedPixelCnnConfig withFeatures(int channels) {
        return with(c -> c.features = channels);
    }

    /** Of the first layer, and of the others. */
    public GatedPixelCnnConfig withKernels(int first, int others) {
        return with(
                c -> {
                    c.kernel = others;
                    c.firstKernel = first;
                });
    }

    /** Features before the parameters of a value. */
    public GatedPixelCnnConfig withHead(int channels) {
        return with(c -> c.head = channels);
    }

    /** Of a value given those before it. */
    public GatedPixelCnnConfig withLikelihood(Likelihood values) {
        return with(c -> c.likelihood = values);
    }

    /** Classes that images are conditioned on; 0: none. */
    public GatedPixelCnnConfig withClasses(int count) {
        return with(c -> c.classes = count);
    }

    /** Channels of the map that images are conditioned on; 0: none. */
    public GatedPixelCnnConfig withConditionChannels(int channels) {
        return with(c -> c.conditionChannels = channels);
    }

    /** Whether levels are the numbers of something. */
    public GatedPixelCnnConfig withCodes(boolean on) {
        return with(c -> c.codes = on);
    }

    /** Heads of the attention to all pixels before; 0: none. */
    public GatedPixelCnnConfig withAttention(int heads) {
        return with(c -> c.attention = heads);
    }

    /** Probability that a gate's output is set to 0 while training. */
    public GatedPixelCnnConfig withDropout(float probability) {
        return with(c -> c.dropout = probability);
    }
}
