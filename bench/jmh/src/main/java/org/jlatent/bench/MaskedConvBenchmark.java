package org.jlatent.bench;

import org.jlatent.Activation;
import org.jlatent.ConvOps;
import org.jlatent.DType;
import org.jlatent.MaskedConvOps;
import org.jlatent.MaskedConvOps.Epilogue;
import org.jlatent.MaskedConvOps.Taps;
import org.jlatent.Ops;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Setup;

/**
 * Masked convolutions 3x3 B of 16 images of 32x32, 128 channels: to 128, also with factors of bf16,
 * and to 256 with a gate. What a careful user does without the operation is here as well: the
 * kernel cropped to two rows, of which a third is masked, in a plain convolution.
 */
public class MaskedConvBenchmark extends OperationBenchmark {
    static final long CHANNELS = 128;
    static final Shape IMAGES = Shape.of(16, 32, 32, CHANNELS);
    private static final MaskedConvOps.Options PLAIN = MaskedConvOps.Options.of(Taps.RASTER_B, 3);
    private static final MaskedConvOps.Options GATED = PLAIN.withEpilogue(Epilogue.GATE);
    private static final ConvOps.Options CROPPED = ConvOps.Options.plain().withPadding(1, 1, 0, 1);

    final Tensor[] x = new Tensor[INPUTS];
    final Tensor[] dy = new Tensor[INPUTS];
    Tensor weight;
    Tensor bias;
    Tensor gatedWeight;
    Tensor gatedBias;
    private Tensor croppedWeight;

    @Setup
    public void setUp() {
        weight = normal(PLAIN.weightShape(CHANNELS, CHANNELS), 1);
        bias = normal(Shape.of(CHANNELS), 2);
        // Sums of order 1: gates that are not all open or shut.
        Shape gated = GATED.weightShape(CHANNELS, 2 * CHANNELS);
        Tensor normals = normal(gated, 3);
        gatedWeight = Ops.scale(inputs, normals, inputs.scalar(0.04f));
        gatedBias = normal(Shape.of(2 * CHANNELS), 4);
        croppedWeight = normal(Shape.of(CHANNELS, 2, 3, CHANNELS), 5);
        for (int i = 0; i < INPUTS; i++) {
            x[i] = normal(IMAGES, 10 + i);
            dy[i] = normal(IMAGES, 20 + i);
        }
    }

    /** What a step makes: the output, and gradients for x, weight and bias. */
    record Step(Tensor y, Tensor dx, Tensor dWeight, Tensor dBias) {}

    @Benchmark
    public Tensor forward() {
        return MaskedConvOps.forward(step, x[turn()], weight, bias, null, null, PLAIN, false).y();
    }

    @Benchmark
    public Step forwardAndBackward() {
        return forwardAndBackward(PLAIN);
    }

    @Benchmark
    public Step bf16ForwardAndBackward() {
        return forwardAndBackward(PLAIN.withFactors(DType.BF16));
    }

    private Step forwardAndBackward(MaskedConvOps.Options options) {
        int i = turn();
        Tensor y = MaskedConvOps.forward(step, x[i], weight, bias, null, null, options, true).y();
        MaskedConvOps.Gradients d = MaskedConvOps.backwardWeight(step, x[i], dy[i], options);
        Tensor dx = MaskedConvOps.backwardData(step, dy[i], weight, options);
        return new Step(y, dx, d.dWeight(), d.dBias());
    }

    @Benchmark
    public Step gatedForwardAndBackward() {
        int i = turn();
        MaskedConvOps.Result r =
                MaskedConvOps.forward(step, x[i], gatedWeight, gatedBias, null, null, GATED, true);
        Tensor dSums = MaskedConvOps.backwardGate(step, Epilogue.GATE, r.gates(), dy[i]);
        MaskedConvOps.Gradients d = MaskedConvOps.backwardWeight(step, x[i], dSums, GATED);
        Tensor dx = MaskedConvOps.backwardData(step, dSums, gatedWeight, GATED);
        return new Step(r.y(), dx, d.dWeight(), d.dBias());
    }

    @Benchmark
    public Step croppedForwardAndBackward() {
        int i = turn();
        Tensor y = ConvOps.forward(step, x[i], croppedWeight, bias, CROPPED, Activation.IDENTITY);
        Tensor dWeight = ConvOps.weightGradient(step, x[i], dy[i], croppedWeight.shape(), CROPPED);
        Tensor dx =
                ConvOps.transposed(
                        step, dy[i], croppedWeight, null, IMAGES, CROPPED, Activation.IDENTITY);
        return new Step(y, dx, dWeight, Ops.sumRows(step, dy[i]));
    }
}
