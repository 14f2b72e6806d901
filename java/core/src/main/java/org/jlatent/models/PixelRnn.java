package org.jlatent.models;

import static org.jlatent.models.PixelNetwork.INPUT;
import static org.jlatent.models.PixelNetwork.NONE;

import org.jlatent.MaskedConvOps.Epilogue;
import org.jlatent.MaskedConvOps.Options;
import org.jlatent.MaskedConvOps.Taps;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.Init;
import org.jlatent.nn.RowLstm;

/**
 * PixelRNN of row LSTMs [van den Oord et al. 2016, Pixel Recurrent Neural Networks, table 1]: a
 * masked convolution that does not see the pixel itself, residual layers {@code x +
 * conv1x1(rowLstm(x))} ({@link RowLstm}), and, as {@link PixelCnn}, twice {@code conv1x1(relu(x))}.
 * A pixel depends on a triangle above it that reaches to the first row.
 *
 * <p>The channels of an image are groups that see each other in their order, but for a likelihood
 * that draws whole pixels; features and head are multiples of them. Parameters: {@code
 * network.first.*}, {@code network.layer0.lstm.*}, {@code network.layer0.wide.*}, {@code
 * network.head.*}, {@code network.out.*}.
 */
public final class PixelRnn extends AutoregressiveModel {
    private final PixelRnnConfig config;

    /**
     * A model with fresh parameters.
     *
     * @param init owns the parameters
     * @param image what it is to model
     * @param seed of {@link #random}
     * @throws IllegalArgumentException unless the likelihood is one of levels, and the image's
     *     channels divide features and head
     */
    public PixelRnn(Init init, ImageShape image, PixelRnnConfig config, long seed) {
        super(init, image, config.likelihood(), null, network(init, image, config), seed);
        this.config = config;
    }

    /** What the model was made from. */
    public PixelRnnConfig config() {
        return config;
    }

    private static PixelNetwork network(Init init, ImageShape image, PixelRnnConfig config) {
        int features = config.features();
        int groups = groups(image, config.likelihood(), features, config.head());
        PixelNetwork net = new PixelNetwork(init, image.channels(), 0, 0);
        Options first = Options.of(Taps.RASTER_A, config.firstKernel()).withGroups(groups);
        Options linear = Options.of(Taps.RASTER_B, 1).withGroups(groups);
        Options rectified = linear.withEpilogue(Epilogue.RELU);
        int x = net.convolve("first", first, 2 * features, INPUT, NONE);
        for (int i = 0; i < config.layers(); i++) {
            String layer = "layer" + i + ".";
            int h = net.recur(layer + "lstm", groups, features, x);
            x = net.convolve(layer + "wide", linear, 2 * features, h, x);
        }
        int head = net.convolve("head", rectified, config.head(), net.rectify(x), NONE);
        net.convolve(
                "out",
                linear,
                config.likelihood().parametersPerPixel(image.channels()),
                head,
                NONE);
        return net;
    }
}
