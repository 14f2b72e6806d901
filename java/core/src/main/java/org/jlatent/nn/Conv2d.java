package org.jlatent.nn;

import java.util.List;
import org.jlatent.Activation;
import org.jlatent.ConvOps;
import org.jlatent.DType;
import org.jlatent.Ops;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * {@code y = f(conv(x) + bias)} over NHWC images, bias and activation fused where the library can.
 *
 * <p>Parameters: {@code weight [out, kernelHeight, kernelWidth, in / groups]} and {@code bias
 * [out]}, uniform in +-1/sqrt(kernelHeight kernelWidth in / groups) at the start.
 */
public final class Conv2d extends Module implements Layer {
    private final Tensor weight;
    private final Tensor bias;
    private final ConvOps.Options options;
    private final Activated activation;

    /** A square kernel. */
    public Conv2d(
            Init init,
            int in,
            int out,
            int kernel,
            ConvOps.Options options,
            Activation activation) {
        this(init, in, out, kernel, kernel, options, activation);
    }

    /**
     * @param in channels of x, a multiple of the groups
     * @param out channels of y, a multiple of the groups
     */
    public Conv2d(
            Init init,
            int in,
            int out,
            int kernelHeight,
            int kernelWidth,
            ConvOps.Options options,
            Activation activation) {
        Shape shape =
                weightShape("convolution", in, out, kernelHeight, kernelWidth, options.groups());
        double bound = 1.0 / Math.sqrt((double) shape.elements() / out);
        this.weight = parameter("weight", init.uniform(shape, bound));
        this.bias = parameter("bias", init.uniform(Shape.of(out), bound));
        this.options = options;
        this.activation = new Activated(activation);
    }

    static Shape weightShape(
            String layer, int channels, int filters, int height, int width, int groups) {
        if (channels < 1 || filters < 1 || height < 1 || width < 1) {
            throw new ShapeException(
                    String.format(
                            "a %s needs at least one channel in and out and one tap, got %d to %d, %dx%d",
                            layer, channels, filters, height, width));
        }
        if (channels % groups != 0 || filters % groups != 0) {
            throw new ShapeException(
                    String.format(
                            "a %s of %d groups cannot lead from %d to %d channels: they must be"
                                    + " multiples",
                            layer, groups, channels, filters));
        }
        return Shape.of(filters, height, width, channels / groups);
    }

    /**
     * @param x {@code [batch, height, width, in]}
     * @return {@code [batch, outHeight, outWidth, out]}
     */
    @Override
    public Tensor forward(Tape tape, Tensor x) {
        Scope scope = tape.scope();
        Tensor a = tape.factor(x);
        Tensor b = tape.factor(weight);
        Tensor product = ConvOps.forward(scope, a, b, bias, options, activation.fused(), DType.F32);
        Tensor y = activation.output(scope, product);
        tape.record(
                "convolution",
                List.of(x, weight, bias),
                List.of(y),
                () -> {
                    Tensor dProduct = activation.gradient(scope, product, tape.gradient(y));
                    Tensor d = tape.factor(dProduct);
                    tape.accumulate(
                            weight, ConvOps.weightGradient(scope, a, d, weight.shape(), options));
                    tape.accumulate(bias, Ops.sumRows(scope, dProduct));
                    if (tape.tracks(x)) {
                        tape.accumulate(
                                x,
                                ConvOps.transposed(
                                        scope,
                                        d,
                                        b,
                                        null,
                                        x.shape(),
                                        options,
                                        Activation.IDENTITY,
                                        DType.F32));
                    }
                });
        return y;
    }
}
