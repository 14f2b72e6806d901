package org.jlatent.nn;

import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.jlatent.Activation;
import org.jlatent.MaskedConvOps;
import org.jlatent.MaskedConvOps.Epilogue;
import org.jlatent.Ops;
import org.jlatent.SamplerProgram;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * PixelCNN's masked convolution over NHWC images [van den Oord et al. 2016]: {@code y = f(conv(x) +
 * bias + vector + map)} where a pixel depends only on what comes before it. With {@link
 * Epilogue#GATE}, {@code y = tanh(..) sigmoid(..)} [Gated PixelCNN, eq. 2]; with {@link
 * Epilogue#GLU}, {@code y = (..) sigmoid(..)} [Salimans et al. 2017, PixelCNN++].
 *
 * <p>Parameters: {@code weight}, of {@link MaskedConvOps.Options#weightShape}, and {@code bias
 * [filters]}; {@code filters} is {@code out}, twice that where gated. Weights start uniform with
 * variance 1/(live taps in), which leaves the sums the variance of x; a gate's, because its sigmoid
 * starts at one half, with four times that; a linear unit's, which ends a residual block, with a
 * hundredth, so that a deep network starts near the identity, as PixelCNN++'s does. Biases start at
 * 0.
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
        double bound = Math.sqrt(3.0 / (options.liveTaps() * in)); // of that variance
        double gain =
                switch (options.epilogue()) {
                    case PLAIN, RELU -> 1;
                    case GATE -> 2;
                    case GLU -> 0.1;
                };
        this.weight = parameter("weight", init.uniform(shape, gain * bound));
        this.bias = parameter("bias", init.scope().zeros(Shape.of(filters)));
        this.options = options;
    }

    /** What it was made from, but for its numbers of channels and filters. */
    public MaskedConvOps.Options options() {
        return options;
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
        MaskedConvOps.Options how = options.withFactors(tape.factors());
        MaskedConvOps.Result result =
                MaskedConvOps.forward(scope, x, weight, bias, vector, map, how, tape.recording());
        Tensor y = result.y();
        List<Tensor> inputs =
                Stream.of(x, weight, bias, vector, map).filter(Objects::nonNull).toList();
        tape.record(
                "masked convolution",
                inputs,
                List.of(y),
                () -> {
                    Tensor dy = tape.gradient(y);
                    Epilogue epilogue = options.epilogue();
                    Tensor dSums =
                            switch (epilogue) {
                                case PLAIN -> dy;
                                case RELU -> Ops.activationBackward(scope, Activation.RELU, y, dy);
                                case GATE, GLU ->
                                        MaskedConvOps.backwardGate(
                                                scope, epilogue, result.gates(), dy);
                            };
                    MaskedConvOps.Gradients d = MaskedConvOps.backwardWeight(scope, x, dSums, how);
                    tape.accumulate(weight, d.dWeight());
                    tape.accumulate(bias, d.dBias());
                    if (tape.tracks(x)) {
                        tape.accumulate(x, MaskedConvOps.backwardData(scope, dSums, weight, how));
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

    /**
     * {@link #forward(Tape, Tensor, Tensor, Tensor)} as a node of a program that images are drawn
     * from.
     *
     * @param x number of an earlier node
     * @param vector {@code [batch, filters]}, or null
     * @param map number of an earlier node, or {@link SamplerProgram#NONE}
     * @return its number
     */
    public int addTo(SamplerProgram program, int x, Tensor vector, int map) {
        return program.maskedConv(x, weight, bias, vector, map, options);
    }

    private static Tensor sumPixels(Scope scope, Tensor images) {
        Shape s = images.shape();
        return Ops.sum(scope, images.reshape(Shape.of(s.get(0), s.get(1) * s.get(2), s.get(3))), 1);
    }
}
