package org.jlatent.nn;

import org.jlatent.Activation;
import org.jlatent.ConvOps;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * {@code y = f(conv(x) + bias)} over sequences: a {@link Conv2d} over images of height 1.
 *
 * <p>Parameters: {@code weight [out, 1, kernel, in / groups]} and {@code bias [out]}.
 */
public final class Conv1d extends Module implements Layer {
    private final Conv2d conv;

    /**
     * @param padding zeros before and after
     * @param dilation values from one tap to the next
     */
    public Conv1d(
            Init init,
            int in,
            int out,
            int kernel,
            int stride,
            int padding,
            int dilation,
            int groups,
            Activation activation) {
        ConvOps.Options options =
                ConvOps.Options.plain()
                        .withStride(1, stride)
                        .withPadding(0, padding)
                        .withDilation(1, dilation)
                        .withGroups(groups);
        conv = new Conv2d(init, in, out, 1, kernel, options, activation);
        conv.parameters().forEach(this::parameter);
    }

    /**
     * @param x {@code [batch, length, in]}
     * @return {@code [batch, outLength, out]}
     */
    @Override
    public Tensor forward(Tape tape, Tensor x) {
        Shape s = x.shape();
        if (s.rank() != 3) {
            throw new ShapeException(
                    "a convolution in one dimension takes [batch, length, channels], got " + s);
        }
        Tensor y =
                conv.forward(
                        tape,
                        Functions.reshape(tape, x, Shape.of(s.get(0), 1, s.get(1), s.get(2))));
        return Functions.reshape(tape, y, Shape.of(s.get(0), y.shape().get(2), y.shape().get(3)));
    }
}
