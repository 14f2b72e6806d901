package org.jlatent.bench;

import org.jlatent.CausalAttentionOps;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Setup;

/** Attention of 8 images of 32x32 pixels to the pixels before, 128 features in 4 heads. */
public class CausalAttentionBenchmark extends OperationBenchmark {
    static final int HEADS = 4;
    static final int POSITIONS = 1024;
    static final int FEATURES = 128;
    private static final Shape QKV = Shape.of(8, POSITIONS, 3 * FEATURES);

    final Tensor[] qkv = new Tensor[INPUTS];
    final Tensor[] dy = new Tensor[INPUTS];

    @Setup
    public void setUp() {
        for (int i = 0; i < INPUTS; i++) {
            qkv[i] = normal(QKV, 10 + i);
            dy[i] = normal(Shape.of(8, POSITIONS, FEATURES), 20 + i);
        }
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
