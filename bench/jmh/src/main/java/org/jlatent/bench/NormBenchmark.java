package org.jlatent.bench;

import java.util.concurrent.TimeUnit;
import org.jlatent.Device;
import org.jlatent.NormOps;
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
 * Group normalization of 32 images of 32x32, 128 channels in 32 groups; inputs and settings as in
 * {@link ConvBenchmark}.
 */
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(2)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class NormBenchmark {
    static final int GROUPS = 32;
    private static final int INPUTS = 4;
    private static final NormOps.Options GROUP = NormOps.Options.group(GROUPS);

    private Device device;
    private Scope inputs;
    private Scope step;
    private int next;

    final Tensor[] x = new Tensor[INPUTS];
    final Tensor[] dy = new Tensor[INPUTS];
    Tensor gamma;
    Tensor beta;

    @Setup
    public void setUp() {
        device = Device.cpu();
        inputs = new Scope(device);
        step = new Scope(device);
        Random random = new Random(inputs, 1);
        gamma = Ops.randomNormal(inputs, Shape.of(128), random, 1);
        beta = Ops.randomNormal(inputs, Shape.of(128), random, 2);
        for (int i = 0; i < INPUTS; i++) {
            x[i] = Ops.randomNormal(inputs, Shape.of(32, 32, 32, 128), random, 10 + i);
            dy[i] = Ops.randomNormal(inputs, x[i].shape(), random, 20 + i);
        }
    }

    @TearDown
    public void tearDown() {
        step.close();
        inputs.close();
        device.close();
    }

    private NormOps.Result normalize(int i) {
        step.clear();
        return NormOps.forward(step, GROUP, x[i], gamma, beta, null);
    }

    @Benchmark
    public Tensor forward() {
        return normalize(next++ % INPUTS).y();
    }

    @Benchmark
    public NormOps.Gradients forwardAndBackward() {
        int i = next++ % INPUTS;
        NormOps.Result r = normalize(i);
        return NormOps.backward(step, GROUP, x[i], gamma, r.statistics(), dy[i], true);
    }
}
