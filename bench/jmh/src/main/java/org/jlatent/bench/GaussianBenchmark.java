package org.jlatent.bench;

import org.jlatent.GaussianOps;
import org.jlatent.Ops;
import org.jlatent.Posterior;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;

/**
 * The reparameterized sample with its KL, rows of 64 dimensions. 2^20 elements fit the last-level
 * cache, 2^24 do not.
 */
public class GaussianBenchmark extends OperationBenchmark {
    private static final int DIMS = 64;

    @Param({"20", "24"})
    int log2;

    private Posterior posterior;
    private Tensor dz;
    private Tensor dKl;

    @Setup
    public void setUp() {
        Shape shape = Shape.of((1L << log2) / DIMS, DIMS);
        Tensor mu = normal(shape, 1);
        Tensor logVar = Ops.scale(inputs, normal(shape, 2), inputs.scalar(0.1f));
        posterior = Posterior.of(mu, logVar);
        dz = normal(shape, 3);
        dKl = inputs.scalar(1);
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
