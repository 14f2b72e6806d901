package org.jlatent.bench;

import static org.bytedeco.pytorch.global.torch.conv2d;
import static org.bytedeco.pytorch.global.torch.conv_transpose2d;
import static org.bytedeco.pytorch.global.torch.convolution_backward;

import org.bytedeco.javacpp.BoolPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.LongArrayRefOptional;
import org.bytedeco.pytorch.T_TensorTensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Setup;

/**
 * {@link ConvBenchmark} in libtorch, channels-last, on the same numbers; what it computes is
 * compared before anything is timed.
 */
@SuppressWarnings("try") // a PointerScope frees what is made while it is open
public class ConvPeer extends Peer {
    private static final long[] ONE = {1, 1};
    private static final long[] TWO = {2, 2};
    private static final long[] NONE = {0, 0};

    private Tensor[] x;
    private Tensor[] dy;
    private Tensor[] small;
    private Tensor weight;
    private Tensor up;
    private Tensor bias;

    @Setup
    public void setUp() {
        ConvBenchmark ours = new ConvBenchmark();
        ours.setUp();
        x = copies(ours.x);
        dy = copies(ours.dy);
        small = copies(ours.small);
        weight = copy(ours.weight);
        up = copy(ours.up);
        bias = copy(ours.bias);
        try (PointerScope scope = new PointerScope()) {
            long pixels = ConvBenchmark.LARGE.rows();
            require("conv forward", 3 * 3 * 64, ours.forward(), convolve(0));
            require("conv backward data", 3 * 3 * 64, ours.backwardData(), gradient(1, true));
            require("conv backward weights", pixels, ours.backwardWeights(), gradient(2, false));
            require("transposed conv", 4 * 4 * 64, ours.transposed(), enlarge(3));
        }
        ours.tearDown();
    }

    private Tensor convolve(int i) {
        return conv2d(x[i], weight, new TensorOptional(bias), ONE, ONE, ONE, 1);
    }

    /** For x or for the weight. */
    private Tensor gradient(int i, boolean data) {
        T_TensorTensorTensor_T all =
                convolution_backward(
                        dy[i],
                        x[i],
                        weight,
                        new LongArrayRefOptional(),
                        ONE,
                        ONE,
                        ONE,
                        false,
                        NONE,
                        1,
                        new BoolPointer(3).put(0, data).put(1, !data).put(2, false));
        return data ? all.get0() : all.get1();
    }

    private Tensor enlarge(int i) {
        return conv_transpose2d(small[i], up, new TensorOptional(bias), TWO, ONE, NONE, 1, ONE);
    }

    @Benchmark
    public void forward() {
        try (PointerScope scope = new PointerScope()) {
            convolve(turn());
        }
    }

    @Benchmark
    public void backwardData() {
        try (PointerScope scope = new PointerScope()) {
            gradient(turn(), true);
        }
    }

    @Benchmark
    public void backwardWeights() {
        try (PointerScope scope = new PointerScope()) {
            gradient(turn(), false);
        }
    }

    @Benchmark
    public void transposed() {
        try (PointerScope scope = new PointerScope()) {
            enlarge(turn());
        }
    }
}
