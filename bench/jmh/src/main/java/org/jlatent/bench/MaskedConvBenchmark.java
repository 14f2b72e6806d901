package org.jlatent.bench;

import java.util.concurrent.TimeUnit;
import org.jlatent.Activation;
import org.jlatent.ConvOps;
import org.jlatent.Device;
import org.jlatent.MaskedConvOps;
import org.jlatent.MaskedConvOps.Epilogue;
import org.jlatent.MaskedConvOps.Taps;
import org.jlatent.Ops;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Masked convolutions 3x3 B of 16 images of 32x32, 128 channels: to 128, and to 256 with a gate;
 * inputs and settings as in {@link ConvBenchmark}. What a careful user does without the operation
 * is here as well: the kernel cropped to two rows, of which a third is masked, in a plain
 * convolution.
 */
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(2)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class MaskedConvBenchmark {
    static final int INPUTS = 4;
    static final long CHANNELS = 128;
    static final Shape IMAGES = Shape.of(16, 32, 32, CHANNELS);
    private static final MaskedConvOps.Options PLAIN = MaskedConvOps.Options.of(Taps.RASTER_B, 3);
    private static final MaskedConvOps.Options GATED = PLAIN.withEpilogue(Epilogue.GATE);
    private static final ConvOps.Options CROPPED = ConvOps.Options.plain().withPadding(1, 1, 0, 1);

    private Device device;
    private Scope inputs;
    private Scope step;
    private int next;

    final Tensor[] x = new Tensor[INPUTS];
    final Tensor[] dy = new Tensor[INPUTS];
    Tensor weight;
    Tensor bias;
    Tensor gatedWeight;
    Tensor gatedBias;
    private Tensor croppedWeight;

    @Setup
    public void setUp() {
        device = Device.cpu();
        inputs = new Scope(device);
        step = new Scope(device);
        Random random = new Random(inputs, 1);
        weight = Ops.randomNormal(inputs, PLAIN.weightShape(CHANNELS, CHANNELS), random, 1);
        bias = Ops.randomNormal(inputs, Shape.of(CHANNELS), random, 2);
        // Sums of order 1: gates that are not all open or shut.
        Shape gated = GATED.weightShape(CHANNELS, 2 * CHANNELS);
        Tensor normals = Ops.randomNormal(inputs, gated, random, 3);
        gatedWeight = Ops.scale(inputs, normals, inputs.scalar(0.04f));
        gatedBias = Ops.randomNormal(inputs, Shape.of(2 * CHANNELS), random, 4);
        croppedWeight = Ops.randomNormal(inputs, Shape.of(CHANNELS, 2, 3, CHANNELS), random, 5);
        for (int i = 0; i < INPUTS; i++) {
            x[i] = Ops.randomNormal(inputs, IMAGES, random, 10 + i);
            dy[i] = Ops.randomNormal(inputs, IMAGES, random, 20 + i);
        }
    }

    @TearDown
    public void tearDown() {
        step.close();
        inputs.close();
        device.close();
    }

    private int turn() {
        step.clear();
        return next++ % INPUTS;
    }

    /** What a step makes: the output, and gradients for x, weight and bias. */
    record Step(Tensor y, Tensor dx, Tensor dWeight, Tensor dBias) {}

    @Benchmark
    public Tensor forward() {
        return MaskedConvOps.forward(step, x[turn()], weight, bias, null, null, PLAIN, false).y();
    }

    @Benchmark
    public Step forwardAndBackward() {
        int i = turn();
        Tensor y = MaskedConvOps.forward(step, x[i], weight, bias, null, null, PLAIN, true).y();
        MaskedConvOps.Gradients d = MaskedConvOps.backwardWeight(step, x[i], dy[i], PLAIN);
        Tensor dx = MaskedConvOps.backwardData(step, dy[i], weight, PLAIN);
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
