package org.jlatent.models;

import static org.jlatent.models.PixelNetwork.CONDITION;
import static org.jlatent.models.PixelNetwork.INPUT;
import static org.jlatent.models.PixelNetwork.NONE;

import java.util.function.IntUnaryOperator;
import org.jlatent.MaskedConvOps.Epilogue;
import org.jlatent.MaskedConvOps.Options;
import org.jlatent.MaskedConvOps.Taps;
import org.jlatent.Random;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.Dropout;
import org.jlatent.nn.Embedding;
import org.jlatent.nn.Init;

/**
 * Gated PixelCNN [van den Oord et al. 2016, Conditional Image Generation with PixelCNN Decoders]:
 * two stacks of gated convolutions. The vertical one sees the rows above, the horizontal one what
 * is left of a pixel and, through a 1x1 convolution in every layer, the vertical one: together
 * everything that comes before. Sums of all layers of the horizontal one lead to the output.
 *
 * <p>With v and h the stacks, s a class's vector or a 1x1 convolution of a map, in every layer:
 * {@code v = gate(conv(v) + s)}, {@code g = gate(conv(h) + conv1x1(v) + s)}, {@code h = h +
 * conv1x1(g)}, {@code sum = sum + conv1x1(g)}; then {@code conv1x1(relu(conv1x1(relu(sum))))}. The
 * link from v leaves it after its gate; in the paper's figure 2 before.
 *
 * <p>With {@link GatedPixelCnnConfig#attention}, after the middle layer {@code h = h +
 * conv1x1(attention(conv1x1(h) + conv1x1(v)))}, a pixel attending to itself and to all before it
 * [Chen et al. 2018, PixelSNAIL, sec. 2]: no distance is too far for it. h of a pixel sees nothing
 * of the pixel's level, but later groups of channels see earlier ones: so attention takes images
 * whose pixels are drawn whole, of one channel or with such a likelihood.
 *
 * <p>The channels of an image are groups that see each other in their order, but for a likelihood
 * that draws whole pixels; features and head are multiples of them. Parameters: {@code
 * network.layer0.vertical.*}, {@code link}, {@code horizontal}, {@code skip}, {@code residual}, for
 * conditions {@code vertical.label}, {@code vertical.map} and so on; {@code
 * network.attention.above}, {@code qkv}, {@code out}; {@code network.head.*}, {@code
 * network.out.*}; {@code codes.*}.
 */
public final class GatedPixelCnn extends AutoregressiveModel {
    private final GatedPixelCnnConfig config;

    /**
     * A model with fresh parameters.
     *
     * @param init owns the parameters
     * @param image what it is to model
     * @param seed of {@link #random}
     * @throws IllegalArgumentException unless the likelihood is one of levels, and the image's
     *     channels divide features and head; with attention, unless its pixels are drawn whole
     */
    public GatedPixelCnn(Init init, ImageShape image, GatedPixelCnnConfig config, long seed) {
        this(init, image, config, new Random(init.scope(), seed), 0);
    }

    /**
     * One that is part of another model.
     *
     * @param random the other model's noise
     * @param site of the last random draw that is not this one's
     */
    GatedPixelCnn(
            Init init, ImageShape image, GatedPixelCnnConfig config, Random random, int site) {
        super(
                image,
                config.likelihood(),
                codes(init, config),
                network(init, image, config, random, site),
                random);
        this.config = config;
    }

    /** What the model was made from. */
    public GatedPixelCnnConfig config() {
        return config;
    }

    private static Embedding codes(Init init, GatedPixelCnnConfig config) {
        return config.codes()
                ? new Embedding(init, levels(config.likelihood()), config.features())
                : null;
    }

    private static PixelNetwork network(
            Init init, ImageShape image, GatedPixelCnnConfig config, Random random, int site) {
        int features = config.features();
        int groups = groups(image, config.likelihood(), features, config.head());
        int input = config.codes() ? image.channels() * features : image.channels();
        PixelNetwork net =
                new PixelNetwork(init, input, config.conditionChannels(), config.classes());
        IntUnaryOperator drop =
                x -> net.drop(x, new Dropout(random, site + net.size(), config.dropout()));
        Networks.require(
                config.attention() == 0 || groups == 1,
                "attention takes images whose pixels are drawn whole, not in groups of channels,",
                groups);
        Options linear = Options.of(Taps.RASTER_B, 1);
        Options grouped = linear.withGroups(groups);
        int v = INPUT;
        int h = INPUT;
        int sum = NONE;
        for (int i = 0; i < config.layers(); i++) {
            String layer = "layer" + i + ".";
            boolean first = i == 0;
            int kernel = first ? config.firstKernel() : config.kernel();
            Options vertical =
                    Options.of(first ? Taps.VERTICAL_A : Taps.VERTICAL_B, kernel)
                            .withEpilogue(Epilogue.GATE);
            Options horizontal =
                    Options.of(first ? Taps.HORIZONTAL_A : Taps.HORIZONTAL_B, kernel)
                            .withGroups(groups)
                            .withEpilogue(Epilogue.GATE);
            int aboveV = NONE;
            int aboveH = NONE;
            if (config.conditionChannels() > 0) {
                aboveV =
                        net.convolve(layer + "vertical.map", linear, 2 * features, CONDITION, NONE);
                aboveH =
                        net.convolve(
                                layer + "horizontal.map", linear, 2 * features, CONDITION, NONE);
            }
            v = drop.applyAsInt(net.convolve(layer + "vertical", vertical, features, v, aboveV));
            int link = net.convolve(layer + "link", linear, 2 * features, v, aboveH);
            int gated =
                    drop.applyAsInt(
                            net.convolve(layer + "horizontal", horizontal, features, h, link));
            boolean last = i == config.layers() - 1;
            Options skip = last ? grouped.withEpilogue(Epilogue.RELU) : grouped;
            sum = net.convolve(layer + "skip", skip, config.head(), gated, sum);
            if (!last) {
                h = net.convolve(layer + "residual", grouped, features, gated, first ? NONE : h);
            }
            if (config.attention() > 0 && i == (config.layers() - 1) / 2) {
                int above = net.convolve("attention.above", linear, 3 * features, v, NONE);
                int qkv = net.convolve("attention.qkv", linear, 3 * features, h, above);
                int seen = net.attend(qkv, config.attention());
                h = net.convolve("attention.out", linear, features, seen, h);
            }
        }
        int head =
                net.convolve("head", grouped.withEpilogue(Epilogue.RELU), config.head(), sum, NONE);
        net.convolve(
                "out",
                grouped,
                config.likelihood().parametersPerPixel(image.channels()),
                head,
                NONE);
        return net;
    }
}
