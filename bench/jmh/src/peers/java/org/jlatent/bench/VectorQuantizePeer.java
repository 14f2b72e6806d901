package org.jlatent.bench;

import static org.bytedeco.pytorch.global.torch.addmm;
import static org.bytedeco.pytorch.global.torch.mse_loss;
import static org.bytedeco.pytorch.global.torch.randn;
import static org.bytedeco.pytorch.global.torch.set_num_threads;

import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * {@link VectorQuantizeBenchmark} in libtorch's leanest form: the largest of x e^T - |e|^2 / 2, without the histogram. Not
 * exact.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(2)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 2)
@SuppressWarnings("try") // a PointerScope frees what is made while it is open
public class VectorQuantizePeer {
    @Param({"32768x64x512", "16384x256x16384"})
    String shape;

    private Tensor x;
    private Tensor codebook;

    @Setup
    public void setUp() {
        set_num_threads(Runtime.getRuntime().availableProcessors());
        String[] extents = shape.split("x", -1);
        long rows = Long.parseLong(extents[0]);
        long dims = Long.parseLong(extents[1]);
        long codes = Long.parseLong(extents[2]);
        x = keep(randn(new long[] {rows, dims}));
        codebook = keep(randn(new long[] {codes, dims}));
    }

    private static Tensor keep(Tensor tensor) {
        tensor.retainReference();
        return tensor;
    }

    @Benchmark
    public void forward() {
        try (PointerScope scope = new PointerScope()) {
            AutoGradMode off = new AutoGradMode(false);
            Tensor halfSquares = codebook.square().sum(1).mul(new Scalar(-0.5));
            Tensor scores = addmm(halfSquares, x, codebook.t());
            Tensor codes = scores.argmax(new LongOptional(1), false);
            Tensor q = codebook.index_select(0, codes);
            Tensor codebookLoss = mse_loss(x, q);
            codebookLoss.mul(new Scalar(0.25));
            off.close();
        }
    }
}
