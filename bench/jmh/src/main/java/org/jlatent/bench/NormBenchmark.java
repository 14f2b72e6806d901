package org.jlatent.bench;

import org.jlatent.NormOps;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Setup;

/** Group normalization of 32 images of 32x32, 128 channels in 32 groups. */
public class NormBenchmark extends OperationBenchmark {
    static final int GROUPS = 32;
    private static final NormOps.Options GROUP = NormOps.Options.group(GROUPS);

    final Tensor[] x = new Tensor[INPUTS];
    final Tensor[] dy = new Tensor[INPUTS];
    Tensor gamma;
    Tensor beta;

    @Setup
    public void setUp() {
        gamma = normal(Shape.of(128), 1);
        beta = normal(Shape.of(128), 2);
        for (int i = 0; i < INPUTS; i++) {
            x[i] = normal(Shape.of(32, 32, 32, 128), 10 + i);
            dy[i] = normal(x[i].shape(), 20 + i);
        }
    }

    private NormOps.Result normalize(int i) {
        return NormOps.forward(step, GROUP, x[i], gamma, beta, null);
    }

    @Benchmark
    public Tensor forward() {
        return normalize(turn()).y();
    }

    @Benchmark
    public NormOps.Gradients forwardAndBackward() {
        int i = turn();
        NormOps.Result r = normalize(i);
        return NormOps.backward(step, GROUP, x[i], gamma, r.statistics(), dy[i], true);
    }
}
