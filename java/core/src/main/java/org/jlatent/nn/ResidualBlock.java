package org.jlatent.nn;

import org.jlatent.Activation;
import org.jlatent.ConvOps;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * {@code y = x + conv1x1(relu(conv3x3(relu(x))))} over NHWC images, as in VQ-VAE's encoder and
 * decoder [van den Oord et al. 2017, sec. 4.1].
 *
 * <p>Parameters: {@code 3x3.*} from the channels to {@code hidden}, {@code 1x1.*} back.
 */
public final class ResidualBlock extends Module implements Layer {
    private final Layer relu = new Elementwise(Activation.RELU);
    private final Conv2d wide;
    private final Conv2d narrow;

    /** Of images. */
    public ResidualBlock(Init init, int channels, int hidden) {
        this(init, channels, hidden, 3);
    }

    /**
     * @param height of the first kernel: 3, or 1 for sequences, images of height 1
     */
    public ResidualBlock(Init init, int channels, int hidden, int height) {
        wide =
                child(
                        "3x3",
                        new Conv2d(
                                init,
                                channels,
                                hidden,
                                height,
                                3,
                                ConvOps.Options.plain().withPadding(height / 2, 1),
                                Activation.RELU));
        narrow =
                child(
                        "1x1",
                        new Conv2d(
                                init,
                                hidden,
                                channels,
                                1,
                                ConvOps.Options.plain(),
                                Activation.IDENTITY));
    }

    /**
     * @param x {@code [batch, height, width, channels]}
     * @return the same shape
     */
    @Override
    public Tensor forward(Tape tape, Tensor x) {
        Tensor change = narrow.forward(tape, wide.forward(tape, relu.forward(tape, x)));
        return Functions.add(tape, x, change);
    }
}
