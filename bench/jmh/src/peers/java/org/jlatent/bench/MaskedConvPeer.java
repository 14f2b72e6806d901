package org.jlatent.bench;

import static org.bytedeco.pytorch.global.torch.cat;
import static org.bytedeco.pytorch.global.torch.conv2d;
import static org.bytedeco.pytorch.global.torch.convolution_backward;

import org.bytedeco.javacpp.BoolPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AbstractTensor;
import org.bytedeco.pytorch.LongArrayRefOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.T_TensorTensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Setup;

/**
 * {@link MaskedConvBenchmark} in libtorch, channels-last, on the same numbers: a dense convolution
 * of the weight times a mask, and the gradients by its own functions, without a graph; what it
 * computes is compared before anything is timed.
 */
@SuppressWarnings("try") // a PointerScope frees what is made while it is open
public class MaskedConvPeer extends Peer {
    private static final long[] ONE = {1, 1};
    private static final long[] NONE = {0, 0};
    private static final long TERMS = 5 * MaskedConvBenchmark.CHANNELS;

    private Tensor[] x;
    private Tensor[] dy;
    private Tensor weight;
    private Tensor bias;
    private Tensor gatedWeight;
    private Tensor gatedBias;
    private Tensor mask;

    private record Step(Tensor y, Tensor dx, Tensor dWeight, Tensor dBias) {}

    @Setup
    public void setUp() {
        MaskedConvBenchmark ours = new MaskedConvBenchmark();
        ours.setUp();
        x = copies(ours.x);
        dy = copies(ours.dy);
        weight = copy(ours.weight);
        bias = copy(ours.bias);
        gatedWeight = copy(ours.gatedWeight);
        gatedBias = copy(ours.gatedBias);
        mask = keep(AbstractTensor.create(new float[] {1, 1, 1, 1, 1, 0, 0, 0, 0}, 1, 1, 3, 3));
        try (PointerScope scope = new PointerScope()) {
            require("masked conv forward", TERMS, ours.forward(), convolve(0, weight, bias));
            require("masked conv", ours.forwardAndBackward(), step(1));
            require("gated masked conv", ours.gatedForwardAndBackward(), gatedStep(2));
        }
        ours.tearDown();
    }

    private static void require(String what, MaskedConvBenchmark.Step ours, Step theirs) {
        long pixels = MaskedConvBenchmark.IMAGES.rows();
        require(what, TERMS, ours.y(), theirs.y);
        require(what + ", gradient for x", 2 * TERMS, ours.dx(), theirs.dx);
        require(what + ", gradient for the weight", pixels, ours.dWeight(), theirs.dWeight);
        require(what + ", gradient for the bias", pixels, ours.dBias(), theirs.dBias);
    }

    private Tensor convolve(int i, Tensor w, Tensor b) {
        return conv2d(x[i], w.mul(mask), new TensorOptional(b), ONE, ONE, ONE, 1);
    }

    /** For x, weight and bias. */
    private Step gradients(int i, Tensor y, Tensor d, Tensor w, Tensor b) {
        T_TensorTensorTensor_T all =
                convolution_backward(
                        d,
                        x[i],
                        w.mul(mask),
                        new LongArrayRefOptional(b.shape()),
                        ONE,
                        ONE,
                        ONE,
                        false,
                        NONE,
                        1,
                        new BoolPointer(3).put(0, true).put(1, true).put(2, true));
        return new Step(y, all.get0(), all.get1().mul(mask), all.get2());
    }

    private Step step(int i) {
        return gradients(i, convolve(i, weight, bias), dy[i], weight, bias);
    }

    private Step gatedStep(int i) {
        Tensor sums = convolve(i, gatedWeight, gatedBias);
        long half = MaskedConvBenchmark.CHANNELS;
        Tensor t = sums.narrow(1, 0, half).tanh();
        Tensor g = sums.narrow(1, half, half).sigmoid();
        Scalar one = new Scalar(1.0f);
        Tensor dt = dy[i].mul(g).mul(t.square().neg().add(one));
        Tensor dg = dy[i].mul(t).mul(g).mul(g.neg().add(one));
        return gradients(
                i, t.mul(g), cat(new TensorVector(dt, dg), 1), gatedWeight, gatedBias);
    }

    @Benchmark
    public void forward() {
        try (PointerScope scope = new PointerScope()) {
            convolve(turn(), weight, bias);
        }
    }

    @Benchmark
    public void forwardAndBackward() {
        try (PointerScope scope = new PointerScope()) {
            step(turn());
        }
    }

    @Benchmark
    public void gatedForwardAndBackward() {
        try (PointerScope scope = new PointerScope()) {
            gatedStep(turn());
        }
    }
}
