package org.jlatent.bench;

import static org.bytedeco.pytorch.global.torch.conv2d;
import static org.bytedeco.pytorch.global.torch.conv_transpose2d;
import static org.bytedeco.pytorch.global.torch.convolution_backward;
import static org.bytedeco.pytorch.global.torch.set_num_threads;

import org.bytedeco.javacpp.BoolPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.LongArrayRefOptional;
import org.bytedeco.pytorch.T_TensorTensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

import java.util.concurrent.TimeUnit;

/**
 * {@link ConvBenchmark} in libtorch, channels-last, on the same numbers; what it computes is
 * compared before anything is timed.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(2)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@SuppressWarnings("try") // a PointerScope frees what is made while it is open
public class ConvPeer {
    private static final long[] ONE = {1, 1};
    private static final long[] TWO = {2, 2};
    private static final long[] NONE = {0, 0};

    private final Tensor[] x = new Tensor[ConvBenchmark.INPUTS];
    private final Tensor[] dy = new Tensor[ConvBenchmark.INPUTS];
    private final Tensor[] small = new Tensor[ConvBenchmark.INPUTS];
    private Tensor weight;
    private Tensor up;
    private Tensor bias;
    private int next;

    @Setup
    public void setUp() {
        set_num_threads(Runtime.getRuntime().availableProcessors());
        ConvBenchmark ours = new ConvBenchmark();
        ours.setUp();
        for (int i = 0; i < ConvBenchmark.INPUTS; i++) {
            x[i] = VaeStepPeer.copy(ours.x[i]);
            dy[i] = VaeStepPeer.copy(ours.dy[i]);
            small[i] = VaeStepPeer.copy(ours.small[i]);
        }
        weight = VaeStepPeer.copy(ours.weight);
        up = VaeStepPeer.copy(ours.up);
        bias = VaeStepPeer.copy(ours.bias);
        try (PointerScope scope = new PointerScope()) {
            long pixels = ConvBenchmark.LARGE.rows();
            require("conv forward", 3 * 3 * 64, ours.forward(), convolve(0));
            require("conv backward data", 3 * 3 * 64, ours.backwardData(), gradient(1, true));
            require("conv backward weights", pixels, ours.backwardWeights(), gradient(2, false));
            require("transposed conv", 4 * 4 * 64, ours.transposed(), enlarge(3));
        }
        ours.tearDown();
    }

    private static void require(String what, long terms, org.jlatent.Tensor ours, Tensor theirs) {
        Comparison.require(what, terms, ours, theirs.permute(0, 2, 3, 1));
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

    private int turn() {
        return next++ % ConvBenchmark.INPUTS;
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
