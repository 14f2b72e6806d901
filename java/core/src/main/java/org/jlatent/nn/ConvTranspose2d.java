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
 * {@code y = f(conv^T(x) + bias)}: undoes the shape of a convolution with the same kernel and
 * options, so stride 2 doubles height and width.
 *
 * <p>Parameters: {@code weight [in, kernelHeight, kernelWidth, out / groups]} and {@code bias
 * [out]}, uniform in +-1/sqrt(fan-in) at the start, where a value of y is a sum over kernelHeight
 * kernelWidth in / (groups strideY strideX) values of x.
 */
public final class ConvTranspose2d extends Module implements Layer {
    private final Tensor weight;
    private final Tensor bias;
    private final ConvOps.Options options;
    private final Activated activation;
    private final int extraHeight;
    private final int extraWidth;

    /** A square kernel, the smallest output. */
    public ConvTranspose2d(
            Init init,
            int in,
            int out,
            int kernel,
            ConvOps.Options options,
            Activation activation) {
        this(init, in, out, kernel, kernel, options, 0, 0, activation);
    }

    /**
     * @param extraHeight rows beyond the smallest output, less than strideY: a strided convolution
     *     leads from several heights to one
     * @param extraWidth likewise, less than strideX
     */
    public ConvTranspose2d(
            Init init,
            int in,
            int out,
            int kernelHeight,
            int kernelWidth,
            ConvOps.Options options,
            int extraHeight,
            int extraWidth,
            Activation activation) {
        Shape shape =
                Conv2d.weightShape(
                        "transposed convolution",
                        out,
                        in,
                        kernelHeight,
                        kernelWidth,
                        options.groups());
        if (extraHeight < 0
                || extraWidth < 0
                || extraHeight >= options.strideY()
                || extraWidth >= options.strideX()) {
            throw new ShapeException(
                    String.format(
                            "extra rows and columns must be at least 0 and less than the strides %d and"
                                    + " %d, got %d and %d",
                            options.strideY(), options.strideX(), extraHeight, extraWidth));
        }
        double fanIn =
                (double) kernelHeight
                        * kernelWidth
                        * in
                        / options.groups()
                        / options.strideY()
                        / options.strideX();
        double bound = 1.0 / Math.sqrt(Math.max(1.0, fanIn));
        this.weight = parameter("weight", init.uniform(shape, bound));
        this.bias = parameter("bias", init.uniform(Shape.of(out), bound));
        this.options = options;
        this.activation = new Activated(activation);
        this.extraHeight = extraHeight;
        this.extraWidth = extraWidth;
    }

    /**
     * @param x {@code [batch, height, width, in]}
     * @return {@code [batch, outHeight, outWidth, out]}, outHeight = (height - 1) strideY +
     *     dilationY (kernelHeight - 1) + 1 - padTop - padBottom + extraHeight
     */
    @Override
    public Tensor forward(Tape tape, Tensor x) {
        Scope scope = tape.scope();
        Shape out = outputShape(x.shape());
        Tensor a = tape.factor(x);
        Tensor b = tape.factor(weight);
        Tensor product =
                ConvOps.transposed(scope, a, b, bias, out, options, activation.fused(), DType.F32);
        Tensor y = activation.output(scope, product);
        tape.record(
                "transposed convolution",
                List.of(x, weight, bias),
                List.of(y),
                () -> {
                    Tensor dProduct = activation.gradient(scope, product, tape.gradient(y));
                    Tensor d = tape.factor(dProduct);
                    tape.accumulate(
                            weight, ConvOps.weightGradient(scope, d, a, weight.shape(), options));
                    tape.accumulate(bias, Ops.sumRows(scope, dProduct));
                    if (tape.tracks(x)) {
                        tape.accumulate(
                                x,
                                ConvOps.forward(
                                        scope,
                                        d,
                                        b,
                                        null,
                                        options,
                                        Activation.IDENTITY,
                                        DType.F32));
                    }
                });
        return y;
    }

    private Shape outputShape(Shape x) {
        if (x.rank() != 4) {
            throw new ShapeException(
                    "a transposed convolution takes [batch, height, width, channels], got " + x);
        }
        long height =
                (x.get(1) - 1) * options.strideY()
                        + options.dilationY() * (weight.shape().get(1) - 1)
                        + 1
                        - options.padTop()
                        - options.padBottom()
                        + extraHeight;
        long width =
                (x.get(2) - 1) * options.strideX()
                        + options.dilationX() * (weight.shape().get(2) - 1)
                        + 1
                        - options.padLeft()
                        - options.padRight()
                        + extraWidth;
        if (height < 1 || width < 1) {
            throw new ShapeException(
                    "a transposed convolution with " + options + " leaves nothing of " + x);
        }
        return Shape.of(x.get(0), height, width, bias.shape().get(0));
    }
}
