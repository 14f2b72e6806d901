package org.jlatent.bench;

import static org.bytedeco.pytorch.global.torch.grad;
import static org.bytedeco.pytorch.global.torch.scaled_dot_product_attention;
import static org.bytedeco.pytorch.global.torch.set_num_threads;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
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
 * {@link CausalAttentionBenchmark} in libtorch on the same numbers: its fused attention, and the
 * gradients by its graph; what it computes is compared before anything is timed.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(2)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@SuppressWarnings("try") // a PointerScope frees what is made while it is open
public class CausalAttentionPeer {
    private static final int HEADS = CausalAttentionBenchmark.HEADS;
    private static final int DIMS = CausalAttentionBenchmark.FEATURES / HEADS;

    private final Tensor[] qkv = new Tensor[CausalAttentionBenchmark.INPUTS];
    private final Tensor[] dy = new Tensor[CausalAttentionBenchmark.INPUTS];
    private int next;

    @Setup
    public void setUp() {
        set_num_threads(Runtime.getRuntime().availableProcessors());
        CausalAttentionBenchmark ours = new CausalAttentionBenchmark();
        ours.setUp();
        for (int i = 0; i < qkv.length; i++) {
            qkv[i] = VaeStepPeer.copy(ours.qkv[i]).requires_grad_(true);
            dy[i] = VaeStepPeer.copy(ours.dy[i]);
        }
        try (PointerScope scope = new PointerScope()) {
            long terms = CausalAttentionBenchmark.POSITIONS;
            Comparison.require("attention", terms, ours.forward(), attend(qkv[0]));
            Comparison.require(
                    "attention, gradient", terms, ours.forwardAndBackward(), gradient(1));
        }
        ours.tearDown();
    }

    /** From [batch, positions, 3 heads dims] to [batch, positions, heads dims]. */
    private static Tensor attend(Tensor x) {
        Tensor parts =
                x.reshape(x.size(0), x.size(1), 3, HEADS, DIMS).permute(2, 0, 3, 1, 4); // [3, b, h, n, d]
        Tensor y =
                scaled_dot_product_attention(
                        parts.select(0, 0),
                        parts.select(0, 1),
                        parts.select(0, 2),
                        new TensorOptional(),
                        0,
                        true,
                        new DoubleOptional(),
                        false);
        return y.transpose(1, 2).reshape(x.size(0), x.size(1), HEADS * DIMS);
    }

    private Tensor gradient(int i) {
        return grad(
                        new TensorVector(attend(qkv[i])),
                        new TensorVector(qkv[i]),
                        new TensorVector(dy[i]),
                        new BoolOptional(),
                        false,
                        false)
                .get(0);
    }

    private int turn() {
        return next++ % qkv.length;
    }

    @Benchmark
    public void forward() {
        try (PointerScope scope = new PointerScope()) {
            attend(qkv[turn()]);
        }
    }

    @Benchmark
    public void forwardAndBackward() {
        try (PointerScope scope = new PointerScope()) {
            gradient(turn());
        }
    }
}
