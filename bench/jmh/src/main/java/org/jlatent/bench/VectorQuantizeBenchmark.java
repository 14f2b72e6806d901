package org.jlatent.bench;

import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.jlatent.VectorQuantizeOps;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;

/**
 * Exact nearest codes with gather, losses and histogram. The shapes are rows x dims x codes: those
 * of a VQ-VAE on small images, and of VQGAN.
 */
@Measurement(iterations = 5, time = 2)
public class VectorQuantizeBenchmark extends OperationBenchmark {
    @Param({"32768x64x512", "16384x256x16384"})
    String shape;

    private Tensor beta;
    private Tensor stages;

    Tensor x;
    Tensor codebook;

    @Setup
    public void setUp() {
        String[] extents = shape.split("x", -1);
        long dims = Long.parseLong(extents[1]);
        x = normal(Shape.of(Long.parseLong(extents[0]), dims), 1);
        long codes = Long.parseLong(extents[2]);
        codebook = normal(Shape.of(codes, dims), 2);
        stages = normal(Shape.of(8, codes, dims), 3);
        beta = inputs.scalar(0.25f);
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
