package org.jlatent.models;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jlatent.Activation;
import org.jlatent.ConvOps;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.Conv2d;
import org.jlatent.nn.ConvTranspose2d;
import org.jlatent.nn.Functions;
import org.jlatent.nn.Init;
import org.jlatent.nn.Layer;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Linear;
import org.jlatent.nn.Reshape;
import org.jlatent.nn.Sequential;

/**
 * Encoders and decoders that mirror each other: 4x4 convolutions of stride 2, then linear layers;
 * or linear layers alone.
 */
final class Networks {
    private static final int KERNEL = 4;
    private static final ConvOps.Options HALVED =
            ConvOps.Options.plain().withStride(2, 2).withPadding(1, 1);

    private final Init init;
    private final ImageShape image;
    private final int[] channels;
    private final int[] hidden;
    private final Activation activation;

    /**
     * @param channels of the convolutions; empty: none
     * @param hidden widths of the linear layers between them and the latent
     */
    Networks(Init init, ImageShape image, int[] channels, int[] hidden, Activation activation) {
        this.init = init;
        this.image = image;
        this.channels = channels;
        this.hidden = hidden;
        this.activation = activation;
        if (halved(image.height(), channels.length) < 1
                || halved(image.width(), channels.length) < 1) {
            throw new IllegalArgumentException(
                    channels.length
                            + " convolutions of stride 2 leave nothing of images of "
                            + image
                            + "; use fewer channels, or none");
        }
    }

    // ---- what configurations check ----

    /** A copy of a configuration's channels, each at least 1. */
    static int[] channels(int[] counts) {
        return widths("convolutions need at least one channel", counts);
    }

    /** A copy of a configuration's hidden layers, each at least 1 wide. */
    static int[] hidden(int[] units) {
        return widths("hidden layers need at least one unit", units);
    }

    private static int[] widths(String rule, int[] given) {
        for (int width : given) {
            require(width >= 1, rule, Arrays.toString(given));
        }
        return given.clone();
    }

    static void require(boolean condition, String rule, Object given) {
        if (!condition) {
            throw new IllegalArgumentException(rule + ", got " + given);
        }
    }

    // ---- networks ----

    /** {@code [batch, values]} to {@code [batch, out]}. */
    Sequential encoder(int out) {
        List<Layer> layers = new ArrayList<>();
        int width = image.values();
        if (channels.length > 0) {
            layers.add(new Reshape(image.height(), image.width(), image.channels()));
            int in = image.channels();
            for (int filters : channels) {
                layers.add(new Conv2d(init, in, filters, KERNEL, HALVED, activation));
                in = filters;
            }
            width = smallest();
            layers.add(new Reshape(width));
        }
        for (int units : hidden) {
            layers.add(new Linear(init, width, units, activation));
            width = units;
        }
        layers.add(new Linear(init, width, out));
        return new Sequential(layers.toArray(Layer[]::new));
    }

    /** {@code [rows, in]} to the parameters that a likelihood of the images needs. */
    Sequential decoder(int in, Likelihood likelihood) {
        int outputs = likelihood.parametersPerPixel(image.channels());
        List<Layer> layers = upwards(in, outputs, Activation.IDENTITY);
        if (channels.length > 0) {
            layers.add((tape, x) -> planes(tape, x, likelihood));
        }
        return new Sequential(layers.toArray(Layer[]::new));
    }

    /** {@code [rows, in]} to {@code [rows, height, width, features]}. */
    Sequential map(int in, int features) {
        List<Layer> layers = upwards(in, features, activation);
        layers.add(new Reshape(image.height(), image.width(), features));
        return new Sequential(layers.toArray(Layer[]::new));
    }

    /**
     * {@code [rows, in]} to {@code [rows, height, width, outputs]}, or without convolutions to rows
     * of as many values.
     */
    private List<Layer> upwards(int in, int outputs, Activation last) {
        List<Layer> layers = new ArrayList<>();
        int width = in;
        for (int i = hidden.length - 1; i >= 0; i--) {
            layers.add(new Linear(init, width, hidden[i], activation));
            width = hidden[i];
        }
        if (channels.length == 0) {
            long pixels = (long) image.height() * image.width();
            layers.add(new Linear(init, width, pixels * outputs, last));
            return layers;
        }
        int levels = channels.length;
        layers.add(new Linear(init, width, smallest(), activation));
        layers.add(
                new Reshape(
                        halved(image.height(), levels),
                        halved(image.width(), levels),
                        channels[levels - 1]));
        for (int level = levels - 1; level >= 0; level--) {
            int filters = level == 0 ? outputs : channels[level - 1];
            layers.add(
                    new ConvTranspose2d(
                            init,
                            channels[level],
                            filters,
                            KERNEL,
                            KERNEL,
                            HALVED,
                            halved(image.height(), level) % 2,
                            halved(image.width(), level) % 2,
                            level == 0 ? last : activation));
        }
        return layers;
    }

    /** {@code [rows, height, width, parametersPerPixel]} to a likelihood's rows. */
    static Tensor planes(Tape tape, Tensor x, Likelihood likelihood) {
        int parameters = likelihood.planes();
        long rows = x.shape().get(0);
        long channels = x.shape().get(3) / parameters;
        long values = x.shape().get(1) * x.shape().get(2) * channels;
        Tensor[] planes = new Tensor[parameters];
        for (int p = 0; p < parameters; p++) {
            Tensor plane =
                    parameters == 1
                            ? x
                            : Functions.slice(tape, x, 3, p * channels, (p + 1) * channels);
            planes[p] = Functions.reshape(tape, plane, Shape.of(rows, values));
        }
        return parameters == 1 ? planes[0] : Functions.concat(tape, 1, planes);
    }

    private int smallest() {
        int levels = channels.length;
        return halved(image.height(), levels)
                * halved(image.width(), levels)
                * channels[levels - 1];
    }

    private static int halved(int size, int times) {
        return size >> Math.min(times, 31);
    }
}
