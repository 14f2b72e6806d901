package org.jlatent.models;

import static org.jlatent.models.PixelNetwork.INPUT;
import static org.jlatent.models.PixelNetwork.NONE;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import org.jlatent.MaskedConvOps.Epilogue;
import org.jlatent.MaskedConvOps.Options;
import org.jlatent.MaskedConvOps.Taps;
import org.jlatent.Random;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.Dropout;
import org.jlatent.nn.Init;

/**
 * PixelCNN++ [Salimans et al. 2017]: two stacks of residual blocks whose feature maps get smaller
 * and larger again. u sees the rows above, ul also what is left of a pixel, and u. On the way up
 * every block sees what a block of its size made on the way down.
 *
 * <p>With e = concat_elu: {@code h = conv(e(x)) + conv1x1(e(u)) + conv1x1(e(skip))} and {@code x =
 * x + glu(conv(dropout(e(h))) + s)}, s the class's vector, u for ul only, skip on the way up; at
 * last {@code conv1x1(e(ul))}. Sizes are halved by a convolution of which every second pixel stays.
 * Such a pixel (i, j) knows what is before (2 i, 2 j), and so does each of the four that it becomes
 * on the way up, none of which is before it.
 *
 * <p>Unlike the paper's: ul's convolutions see two more pixels of the row above, 3 and the one to
 * the left instead of 2x2; sizes are doubled by repeating pixels before a convolution and not by a
 * transposed one; weights are not normalized.
 *
 * <p>Whole pixels are drawn, so the likelihood must be a logistic mixture, or images of one
 * channel. Parameters: {@code network.first.*}, {@code network.down0.0.u.in.*}, {@code out}, {@code
 * ul.link} for u, on the way up {@code skip}, {@code out.label} for classes; {@code
 * network.halve1.u.*}, {@code network.double0.u.*}, {@code network.out.*}.
 */
public final class PixelCnnPlusPlus extends AutoregressiveModel {
    private final PixelCnnPlusPlusConfig config;

    /**
     * A model with fresh parameters.
     *
     * @param init owns the parameters
     * @param image what it is to model
     * @param seed of {@link #random}
     * @throws IllegalArgumentException unless the likelihood is one of levels that draws whole
     *     pixels, and 2^(scales - 1) divides the image's sides
     */
    public PixelCnnPlusPlus(Init init, ImageShape image, PixelCnnPlusPlusConfig config, long seed) {
        this(init, image, config, new Random(init.scope(), seed));
    }

    private PixelCnnPlusPlus(
            Init init, ImageShape image, PixelCnnPlusPlusConfig config, Random random) {
        super(
                image,
                config.likelihood(),
                null,
                new Builder(init, image, config, random).build(),
                random);
        this.config = config;
    }

    /** What the model was made from. */
    public PixelCnnPlusPlusConfig config() {
        return config;
    }

    /** Numbers of both stacks' feature maps. */
    private record Stacks(int u, int ul) {}

    private static final class Builder {
        private final PixelCnnPlusPlusConfig config;
        private final Random random;
        private final PixelNetwork net;
        private final int parameters; // of a pixel
        private final Map<Integer, Integer> activated = new HashMap<>(); // concat_elu of maps

        Builder(Init init, ImageShape image, PixelCnnPlusPlusConfig config, Random random) {
            int groups = groups(image, config.likelihood());
            Networks.require(
                    groups == 1,
                    "a PixelCNN++ draws whole pixels: choose a logistic-mixture, or images of 1"
                            + " channel",
                    "a " + config.likelihood().name() + " likelihood of " + groups + " channels");
            int multiple = 1 << (config.scales() - 1);
            Networks.require(
                    image.height() % multiple == 0 && image.width() % multiple == 0,
                    "the image's sides must be multiples of "
                            + multiple
                            + ", which they are divided by at "
                            + config.scales()
                            + " scales",
                    image);
            this.config = config;
            this.random = random;
            this.net = new PixelNetwork(init, image.channels(), 0, config.classes());
            this.parameters = config.likelihood().parametersPerPixel(image.channels());
        }

        PixelNetwork build() {
            Deque<Stacks> passed = new ArrayDeque<>(); // on the way down
            Stacks s = first();
            passed.push(s);
            for (int scale = 0; scale < config.scales(); scale++) {
                if (scale > 0) {
                    s = halve("halve" + scale, s);
                    passed.push(s);
                }
                for (int i = 0; i < config.blocks(); i++) {
                    s = block("down" + scale + "." + i, s, new Stacks(NONE, NONE));
                    passed.push(s);
                }
            }
            passed.pop(); // s itself
            for (int scale = config.scales() - 1; scale >= 0; scale--) {
                boolean smallest = scale == config.scales() - 1;
                if (!smallest) {
                    s = twice("double" + scale, s);
                }
                int blocks = config.blocks() + (smallest ? 0 : 1);
                for (int i = 0; i < blocks; i++) {
                    s = block("up" + scale + "." + i, s, passed.pop());
                }
            }
            Options linear = Options.of(Taps.RASTER_B, 1);
            net.convolve("out", linear, parameters, concatElu(s.ul), NONE);
            return net;
        }

        private int convolve(String name, Taps taps, int kernel, int x, int map) {
            return net.convolve(name, Options.of(taps, kernel), config.features(), x, map);
        }

        /** Masks A: all that follow may see the pixel's own place, where nothing is known of it. */
        private Stacks first() {
            int u = convolve("first.u", Taps.VERTICAL_A, 3, INPUT, NONE);
            int above = convolve("first.above", Taps.VERTICAL_A, 3, INPUT, NONE);
            return new Stacks(u, convolve("first.ul", Taps.HORIZONTAL_A, 3, INPUT, above));
        }

        private Stacks block(String name, Stacks x, Stacks skip) {
            int u = residual(name + ".u", Taps.VERTICAL_B, x.u, NONE, skip.u);
            return new Stacks(u, residual(name + ".ul", Taps.RASTER_B, x.ul, u, skip.ul));
        }

        /** A sum of maps is a convolution of one on top of another. */
        private int residual(String name, Taps taps, int x, int link, int skip) {
            int sum = NONE;
            if (link != NONE) {
                sum = convolve(name + ".link", Taps.RASTER_B, 1, concatElu(link), sum);
            }
            if (skip != NONE) {
                sum = convolve(name + ".skip", Taps.RASTER_B, 1, concatElu(skip), sum);
            }
            int h = concatElu(convolve(name + ".in", taps, 3, concatElu(x), sum));
            int site = net.size(); // of no other dropout
            Dropout dropout = new Dropout(random, site, config.dropout());
            int dropped = net.drop(h, dropout);
            Options gated = Options.of(taps, 3).withEpilogue(Epilogue.GLU);
            int unit = net.convolve(name + ".out", gated, config.features(), dropped, NONE);
            return net.add(new PixelSteps.Sum(x, unit), config.features());
        }

        private int concatElu(int x) {
            return activated.computeIfAbsent(
                    x, map -> net.add(new PixelSteps.ConcatElu(map), 2 * net.channels(map)));
        }

        private Stacks halve(String name, Stacks x) {
            int u = convolve(name + ".u", Taps.VERTICAL_B, 3, x.u, NONE);
            int ul = convolve(name + ".ul", Taps.RASTER_B, 3, x.ul, NONE);
            return new Stacks(subsample(u), subsample(ul));
        }

        private int subsample(int x) {
            return net.add(new PixelSteps.Subsample(x), net.channels(x));
        }

        private Stacks twice(String name, Stacks x) {
            int u = convolve(name + ".u", Taps.VERTICAL_B, 3, upsample(x.u), NONE);
            return new Stacks(u, convolve(name + ".ul", Taps.RASTER_B, 3, upsample(x.ul), NONE));
        }

        private int upsample(int x) {
            return net.add(new PixelSteps.Upsample(x), net.channels(x));
        }
    }
}
