package org.jlatent.bench;

import static org.bytedeco.pytorch.global.torch.grad;
import static org.bytedeco.pytorch.global.torch.scaled_dot_product_attention;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Setup;

/**
 * {@link CausalAttentionBenchmark} in libtorch on the same numbers: its fused attention, and the
 * gradients by its graph; what it computes is compared before anything is timed.
 */
@SuppressWarnings("try") // a PointerScope frees what is made while it is open
public class CausalAttentionPeer extends Peer {
    private static final int HEADS = CausalAttentionBenchmark.HEADS;
    private static final int DIMS = CausalAttentionBenchmark.FEATURES / HEADS;

    private Tensor[] qkv;
    private Tensor[] dy;

    @Setup
    public void setUp() {
        CausalAttentionBenchmark ours = new CausalAttentionBenchmark();
        ours.setUp();
        qkv = leaves(ours.qkv);
        dy = copies(ours.dy);
        try (PointerScope scope = new PointerScope()) {
            long terms = CausalAttentionBenchmark.POSITIONS;
            require("attention", terms, ours.forward(), attend(qkv[0]));
            require("attention, gradient", terms, ours.forwardAndBackward(), gradient(1));
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
