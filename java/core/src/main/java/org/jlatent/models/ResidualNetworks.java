package org.jlatent.models;

import java.util.ArrayList;
import java.util.List;
import org.jlatent.Activation;
import org.jlatent.ConvOps;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.Conv2d;
import org.jlatent.nn.ConvTranspose2d;
import org.jlatent.nn.Elementwise;
import org.jlatent.nn.Init;
import org.jlatent.nn.Layer;
import org.jlatent.nn.ResidualBlock;
import org.jlatent.nn.Sequential;

/**
 * VQ-VAE's encoder and decoder [van den Oord et al. 2017, sec. 4.1]: 4x4 convolutions of stride 2
 * and residual blocks, nothing that knows the size of an image. Sequences, images of height 1, have
 * kernels of height 1 and are halved along their length only.
 */
final class ResidualNetworks {
    private final Init init;
    private final VqVaeConfig config;
    private final int tallest; // kernel

    ResidualNetworks(Init init, ImageShape image, VqVaeConfig config) {
        this.init = init;
        this.config = config;
        tallest = image.height() == 1 ? 1 : 4;
    }

    /**
     * {@code [batch, height, width, in]} to {@code [batch, smaller, smaller, hidden]}.
     *
     * @param halvings of the sides
     */
    Sequential features(int halvings, int in) {
        return sequential(featureLayers(halvings, in));
    }

    private List<Layer> featureLayers(int halvings, int in) {
        List<Layer> layers = new ArrayList<>();
        int width = in;
        for (int level = 1; level <= halvings; level++) {
            layers.add(
                    new Conv2d(init, width, width(level), tallest, 4, halved(), Activation.RELU));
            width = width(level);
        }
        layers.add(same(width, config.hidden()));
        addBlocks(layers);
        return layers;
    }

    /** {@code [batch, height, width, in]} to {@code [batch, smaller, smaller, out]}. */
    Sequential encoder(int in, int out) {
        List<Layer> layers = featureLayers(config.levels(), in);
        layers.add(vectors(config.hidden(), out));
        return sequential(layers);
    }

    /** A 1x1 convolution: features to vectors. */
    Conv2d vectors(int in, int out) {
        return new Conv2d(init, in, out, 1, ConvOps.Options.plain(), Activation.IDENTITY);
    }

    /**
     * {@code [batch, height, width, in]} to {@code [batch, larger, larger, out]}.
     *
     * @param doublings of the sides, at least 1
     */
    Sequential decoder(int doublings, int in, int out) {
        List<Layer> layers = new ArrayList<>();
        layers.add(same(in, config.hidden()));
        addBlocks(layers);
        int width = config.hidden();
        for (int level = doublings; level >= 1; level--) {
            int next = level == 1 ? out : width(level - 1);
            layers.add(doubled(width, next, level == 1 ? Activation.IDENTITY : Activation.RELU));
            width = next;
        }
        return sequential(layers);
    }

    /**
     * {@code [batch, height, width, in]} to {@code [batch, height factorY, width factorX, hidden]}.
     */
    Sequential enlarged(int in, int factorY, int factorX) {
        List<Layer> layers = new ArrayList<>();
        layers.add(same(in, config.hidden()));
        addBlocks(layers);
        layers.add(
                new ConvTranspose2d(
                        init,
                        config.hidden(),
                        config.hidden(),
                        factorY,
                        factorX,
                        ConvOps.Options.plain().withStride(factorY, factorX),
                        0,
                        0,
                        Activation.IDENTITY));
        return sequential(layers);
    }

    /** A transposed convolution that doubles the sides. */
    ConvTranspose2d doubled(int in, int out, Activation activation) {
        return new ConvTranspose2d(init, in, out, tallest, 4, halved(), 0, 0, activation);
    }

    private static Sequential sequential(List<Layer> layers) {
        return new Sequential(layers.toArray(Layer[]::new));
    }

    /** Channels after so many halvings: the first one has half of them. */
    private int width(int level) {
        return level == 1 ? Math.max(1, config.hidden() / 2) : config.hidden();
    }

    private ConvOps.Options halved() {
        return tallest == 1
                ? ConvOps.Options.plain().withStride(1, 2).withPadding(0, 1)
                : ConvOps.Options.plain().withStride(2, 2).withPadding(1, 1);
    }

    /** A 3x3 convolution. */
    private Layer same(int in, int out) {
        int kernel = Math.min(3, tallest);
        return new Conv2d(
                init,
                in,
                out,
                kernel,
                3,
                ConvOps.Options.plain().withPadding(kernel / 2, 1),
                Activation.IDENTITY);
    }

    private void addBlocks(List<Layer> layers) {
        for (int i = 0; i < config.residualBlocks(); i++) {
            layers.add(
                    new ResidualBlock(
                            init, config.hidden(), config.residualHidden(), Math.min(3, tallest)));
        }
        layers.add(new Elementwise(Activation.RELU));
    }
}
