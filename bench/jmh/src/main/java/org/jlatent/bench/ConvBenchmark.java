package org.jlatent.bench;

import java.util.concurrent.TimeUnit;
import org.jlatent.Activation;
import org.jlatent.ConvOps;
import org.jlatent.Device;
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
 * Convolutions of 64 images of 32x32, 64 channels to 64: 3x3 and, from 16x16 up, transposed 4x4 of
 * stride 2. Inputs take turns, so that none is in a core's own cache; settings as in {@link
 * GaussianBenchmark}.
 */
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(2)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class ConvBenchmark {
    static final int INPUTS = 4;
    static final Shape LARGE = Shape.of(64, 32, 32, 64);
    private static final Shape SMALL = Shape.of(64, 16, 16, 64);
    private static final ConvOps.Options SAME = ConvOps.Options.plain().withPadding(1, 1);
    private static final ConvOps.Options HALVED = SAME.withStride(2, 2);

    private Device device;
    private Scope inputs;
    private Scope step;
    private int next;

    final Tensor[] x = new Tensor[INPUTS];
    final Tensor[] dy = new Tensor[INPUTS];
    final Tensor[] small = new Tensor[INPUTS];
    Tensor weight;
    Tensor up;
    Tensor bias;

    @Setup
    public void setUp() {
        device = Device.cpu();
        inputs = new Scope(device);
        step = new Scope(device);
        Random random = new Random(inputs, 1);
        weight = Ops.randomNormal(inputs, Shape.of(64, 3, 3, 64), random, 1);
        up = Ops.randomNormal(inputs, Shape.of(64, 4, 4, 64), random, 2);
        bias = Ops.randomNormal(inputs, Shape.of(64), random, 3);
        for (int i = 0; i < INPUTS; i++) {
            x[i] = Ops.randomNormal(inputs, LARGE, random, 10 + i);
            dy[i] = Ops.randomNormal(inputs, LARGE, random, 20 + i);
            small[i] = Ops.randomNormal(inputs, SMALL, random, 30 + i);
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

    @Benchmark
    public Tensor forward() {
        return ConvOps.forward(step, x[turn()], weight, bias, SAME, Activation.IDENTITY);
    }

    @Benchmark
    public Tensor backwardData() {
        return ConvOps.transposed(step, dy[turn()], weight, null, LARGE, SAME, Activation.IDENTITY);
    }

    @Benchmark
    public Tensor backwardWeights() {
        int i = turn();
        return ConvOps.weightGradient(step, x[i], dy[i], weight.shape(), SAME);
    }

    @Benchmark
    public Tensor transposed() {
        return ConvOps.transposed(
                step, small[turn()], up, bias, LARGE, HALVED, Activation.IDENTITY);
    }
}
