package org.jlatent.bench;

import org.jlatent.Activation;
import org.jlatent.ConvOps;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Setup;

/**
 * Convolutions of 64 images of 32x32, 64 channels to 64: 3x3 and, from 16x16 up, transposed 4x4 of
 * stride 2.
 */
public class ConvBenchmark extends OperationBenchmark {
    static final Shape LARGE = Shape.of(64, 32, 32, 64);
    private static final Shape SMALL = Shape.of(64, 16, 16, 64);
    private static final ConvOps.Options SAME = ConvOps.Options.plain().withPadding(1, 1);
    private static final ConvOps.Options HALVED = SAME.withStride(2, 2);

    final Tensor[] x = new Tensor[INPUTS];
    final Tensor[] dy = new Tensor[INPUTS];
    final Tensor[] small = new Tensor[INPUTS];
    Tensor weight;
    Tensor up;
    Tensor bias;

    @Setup
    public void setUp() {
        weight = normal(Shape.of(64, 3, 3, 64), 1);
        up = normal(Shape.of(64, 4, 4, 64), 2);
        bias = normal(Shape.of(64), 3);
        for (int i = 0; i < INPUTS; i++) {
            x[i] = normal(LARGE, 10 + i);
            dy[i] = normal(LARGE, 20 + i);
            small[i] = normal(SMALL, 30 + i);
        }
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
