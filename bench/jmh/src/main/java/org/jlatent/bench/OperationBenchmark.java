package org.jlatent.bench;

import java.util.concurrent.TimeUnit;
import org.jlatent.Device;
import org.jlatent.Ops;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What benchmarks on a device have in common. Inputs take turns, so that none is in a core's own
 * cache.
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
public abstract class OperationBenchmark {
    static final int INPUTS = 4;

    private final Device device = Device.cpu();
    private int next;

    /** Owns what there is before anything is timed. */
    final Scope inputs = new Scope(device);

    /** Owns what a call makes, until the next one's turn. */
    final Scope step = new Scope(device);

    final Random random = new Random(inputs, 1);

    /** An input of normal values, different at each site. */
    final Tensor normal(Shape shape, int site) {
        return Ops.randomNormal(inputs, shape, random, site);
    }

    /** Begins a call: empties {@link #step}, and says which input has its turn. */
    final int turn() {
        step.clear();
        return next++ % INPUTS;
    }

    @TearDown
    public final void tearDown() {
        step.close();
        inputs.close();
        device.close();
    }
}
