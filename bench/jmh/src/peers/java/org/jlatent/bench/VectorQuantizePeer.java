package org.jlatent.bench;

import static org.bytedeco.pytorch.global.torch.addmm;
import static org.bytedeco.pytorch.global.torch.mse_loss;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;

import java.util.stream.IntStream;

/**
 * {@link VectorQuantizeBenchmark} in libtorch's leanest form: the largest of x e^T - |e|^2 / 2, without the histogram. Not
 * exact, so that a row in a thousand may have another code.
 */
@Measurement(iterations = 5, time = 2)
@SuppressWarnings("try") // a PointerScope frees what is made while it is open
public class VectorQuantizePeer extends Peer {
    @Param({"32768x64x512", "16384x256x16384"})
    String shape;

    private Tensor x;
    private Tensor codebook;

    @Setup
    public void setUp() {
        VectorQuantizeBenchmark ours = new VectorQuantizeBenchmark();
        ours.shape = shape;
        ours.setUp();
        x = copy(ours.x);
        codebook = copy(ours.codebook);
        try (PointerScope scope = new PointerScope()) {
            int[] exact = ours.forward().codes().toIntArray();
            long[] theirs = new long[exact.length];
            codes().data_ptr_long().get(theirs);
            long different = IntStream.range(0, exact.length).filter(n -> exact[n] != theirs[n]).count();
            if (different > exact.length / 1000) {
                throw new IllegalStateException(
                        different + " of " + exact.length + " codes are not libtorch's");
            }
        }
        ours.tearDown();
    }

    private Tensor codes() {
        Tensor halfSquares = codebook.square().sum(1).mul(new Scalar(-0.5));
        return addmm(halfSquares, x, codebook.t()).argmax(new LongOptional(1), false);
    }

    @Benchmark
    public void forward() {
        try (PointerScope scope = new PointerScope()) {
            AutoGradMode off = new AutoGradMode(false);
            Tensor q = codebook.index_select(0, codes());
            Tensor codebookLoss = mse_loss(x, q);
            codebookLoss.mul(new Scalar(0.25));
            off.close();
        }
    }
}
