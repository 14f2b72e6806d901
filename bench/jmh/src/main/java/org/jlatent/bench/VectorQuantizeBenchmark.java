package org.jlatent.bench;

import java.util.concurrent.TimeUnit;
import org.jlatent.Device;
import org.jlatent.Ops;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.jlatent.VectorQuantizeOps;
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
 * Exact nearest codes with gather, losses and histogram. The shapes are rows x dims x codes: those
 * of a VQ-VAE on small images, and of VQGAN.
 */
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(2)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 2)
public class VectorQuantizeBenchmark {
    @Param({"32768x64x512", "16384x256x16384"})
    String shape;

    private Device device;
    private Scope inputs;
    private Scope step;
    private Tensor beta;
    private Tensor stages;

    Tensor x;
    Tensor codebook;

    @Setup
    public void setUp() {
        String[] extents = shape.split("x", -1);
        long dims = Long.parseLong(extents[1]);
        device = Device.cpu();
        inputs = new Scope(device);
        step = new Scope(device);
        Random random = new Random(inputs, 1);
        x = Ops.randomNormal(inputs, Shape.of(Long.parseLong(extents[0]), dims), random, 1);
        long codes = Long.parseLong(extents[2]);
        codebook = Ops.randomNormal(inputs, Shape.of(codes, dims), random, 2);
        stages = Ops.randomNormal(inputs, Shape.of(8, codes, dims), random, 3);
        beta = inputs.scalar(0.25f);
    }

    @TearDown
    public void tearDown() {
        step.close();
        inputs.close();
        device.close();
    }

    @Benchmark
    public VectorQuantizeOps.Result forward() {
        step.clear();
        return VectorQuantizeOps.forward(step, x, codebook, null, beta, null);
    }

    /** Eight stages in one call. */
    @Benchmark
    public VectorQuantizeOps.Result residual() {
        step.clear();
        return VectorQuantizeOps.forward(step, x, stages, null, beta, null);
    }
}
