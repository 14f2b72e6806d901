package org.jlatent.nn;

import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.jlatent.Activation;
import org.jlatent.MaskedConvOps;
import org.jlatent.MaskedConvOps.Epilogue;
import org.jlatent.Ops;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * PixelCNN's masked convolution over NHWC images [van den Oord et al. 2016]: {@code y = f(conv(x) +
 * bias + vector + map)} where a pixel depends only on what comes before it. With {@link
 * Epilogue#GATE}, {@code y = tanh(..) sigmoid(..)} [Gated PixelCNN, eq. 2].
 *
 * <p>Parameters: {@code weight}, of {@link MaskedConvOps.Options#weightShape}, and {@code bias
 * [filters]}, uniform in +-1/sqrt(live taps in) at the start; {@code filters} is {@code out}, twice
 * that where gated. In f32 whatever the tape's {@link org.jlatent.Precision}: its kernels know
 * nothing else.
 */
public final class MaskedConv2d extends Module implements Layer {
    private final Tensor weight;
    private final Tensor bias;
    private final MaskedConvOps.Options options;

    /**
     * @param in channels of x
     * @param out channels of y
     */
    public MaskedConv2d(Init init, int in, int out, MaskedConvOps.Options options) {
        long filters = options.filters(out);
        Shape shape = options.weightShape(in, filters);
        double bound = 1.0 / Math.sqrt((double) options.liveTaps() * in);
        this.weight = parameter("weight", init.uniform(shape, bound));
        this.bias = parameter("bias", init.uniform(Shape.of(filters), bound));
        this.options = options;
    }

    /**
     * @param x {@code [batch, height, width, in]}
     * @return {@code [batch, height, width, out]}
     */
    @Override
    public Tensor forward(Tape tape, Tensor x) {
        return forward(tape, x, null, null);
    }

    /**
     * Conditioned on something else.
     *
     * @param x {@code [batch, height, width, in]}
     * @param vector {@code [batch, filters]}, such as an image's class, embedded; or null
     * @param map {@code [batch, height, width, filters]}, such as another stack's output; or null
     * @return {@code [batch, height, width, out]}
     */
    public Tensor forward(Tape tape, Tensor x, Tensor vector, Tensor map) {
        Scope scope = tape.scope();
        MaskedConvOps.Result result =
                MaskedConvOps.forward(
                        scope, x, weight, bias, vector, map, options, tape.recording());
        Tensor y = result.y();
        List<Tensor> inputs =
                Stream.of(x, weight, bias, vector, map).filter(Objects::nonNull).toList();
        tape.record(
                "masked convolution",
                inputs,
                List.of(y),
                () -> {
                    Tensor dy = tape.gradient(y);
                    Tensor dSums =
                            switch (options.epilogue()) {
                                case PLAIN -> dy;
                                case RELU -> Ops.activationBackward(scope, Activation.RELU, y, dy);
                                case GATE -> MaskedConvOps.backwardGate(scope, result.gates(), dy);
                            };
                    MaskedConvOps.Gradients d =
                            MaskedConvOps.backwardWeight(scope, x, dSums, options);
                    tape.accumulate(weight, d.dWeight());
                    tape.accumulate(bias, d.dBias());
                    if (tape.tracks(x)) {
                        tape.accumulate(
                                x, MaskedConvOps.backwardData(scope, dSums, weight, options));
                    }
                    if (vector != null && tape.tracks(vector)) {
                        tape.accumulate(vector, sumPixels(scope, dSums));
                    }
                    if (map != null) {
                        tape.accumulate(map, dSums);
                    }
                });
        return y;
    }

    private static Tensor sumPixels(Scope scope, Tensor images) {
        Shape s = images.shape();
        return Ops.sum(scope, images.reshape(Shape.of(s.get(0), s.get(1) * s.get(2), s.get(3))), 1);
    }
}
