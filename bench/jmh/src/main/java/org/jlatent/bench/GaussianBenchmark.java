package org.jlatent.bench;

import java.util.concurrent.TimeUnit;
import org.jlatent.Device;
import org.jlatent.GaussianOps;
import org.jlatent.Ops;
import org.jlatent.Posterior;
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
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * The reparameterized sample with its KL, rows of 64 dimensions. 2^20 elements fit the last-level
 * cache, 2^24 do not.
 *
 * <p>Two forks, because memory placement differs from one process to the next; seconds of warm-up,
 * because pages of a new array are slow to touch for the first time.
 */
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(2)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class GaussianBenchmark {
    private static final int DIMS = 64;

    @Param({"20", "24"})
    int log2;

    private Device device;
    private Scope inputs;
    private Scope step;
    private Posterior posterior;
    private Random random;
    private Tensor dz;
    private Tensor dKl;

    @Setup
    public void setUp() {
        device = Device.cpu();
        inputs = new Scope(device);
        step = new Scope(device);
        random = new Random(inputs, 1);
        Shape shape = Shape.of((1L << log2) / DIMS, DIMS);
        Tensor mu = Ops.randomNormal(inputs, shape, random, 1);
        Tensor logVar =
                Ops.scale(inputs, Ops.randomNormal(inputs, shape, random, 2), inputs.scalar(0.1f));
        posterior = Posterior.of(mu, logVar);
        dz = Ops.randomNormal(inputs, shape, random, 3);
        dKl = inputs.scalar(1);
    }

    @TearDown
    public void tearDown() {
        step.close();
        inputs.close();
        device.close();
    }

    private GaussianOps.Result sample() {
        step.clear();
        return GaussianOps.forward(
                step, posterior, GaussianOps.Options.plain(), random, null, null);
    }

    @Benchmark
    public Tensor forward() {
        return sample().z();
    }

    @Benchmark
    public Posterior forwardAndBackward() {
        sample();
        return GaussianOps.backward(
                step,
                posterior,
                GaussianOps.Options.plain(),
                random,
                null,
                null,
                null,
                new GaussianOps.Gradients(dz, null, dKl, null, null));
    }
}
