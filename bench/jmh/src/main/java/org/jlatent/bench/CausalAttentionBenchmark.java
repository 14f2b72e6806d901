package org.jlatent.bench;

import java.util.concurrent.TimeUnit;
import org.jlatent.CausalAttentionOps;
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
 * Attention of 8 images of 32x32 pixels to the pixels before, 128 features in 4 heads; inputs and
 * settings as in {@link ConvBenchmark}.
 */
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(2)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class CausalAttentionBenchmark {
    static final int INPUTS = 4;
    static final int HEADS = 4;
    static final int POSITIONS = 1024;
    static final int FEATURES = 128;
    private static final Shape QKV = Shape.of(8, POSITIONS, 3 * FEATURES);

    private Device device;
    private Scope inputs;
    private Scope step;
    private int next;

    final Tensor[] qkv = new Tensor[INPUTS];
    final Tensor[] dy = new Tensor[INPUTS];

    @Setup
    public void setUp() {
        device = Device.cpu();
        inputs = new Scope(device);
        step = new Scope(device);
        Random random = new Random(inputs, 1);
        for (int i = 0; i < INPUTS; i++) {
            qkv[i] = Ops.randomNormal(inputs, QKV, random, 10 + i);
            dy[i] = Ops.randomNormal(inputs, Shape.of(8, POSITIONS, FEATURES), random, 20 + i);
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
        return CausalAttentionOps.forward(step, qkv[turn()], HEADS, false).y();
    }

    @Benchmark
    public Tensor forwardAndBackward() {
        int i = turn();
        CausalAttentionOps.Result r = CausalAttentionOps.forward(step, qkv[i], HEADS, true);
        return CausalAttentionOps.backward(step, qkv[i], HEADS, r, dy[i]);
    }
}
