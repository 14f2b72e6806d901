package org.jlatent.bench;

import static org.bytedeco.pytorch.global.torch.grad;
import static org.bytedeco.pytorch.global.torch.group_norm;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.jlatent.NormOps;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Setup;

/** {@link NormBenchmark} in libtorch, as {@link ConvPeer}. */
@SuppressWarnings("try") // a PointerScope frees what is made while it is open
public class NormPeer extends Peer {
    private Tensor[] x;
    private Tensor[] dy;
    private Tensor gamma;
    private Tensor beta;

    @Setup
    public void setUp() {
        NormBenchmark ours = new NormBenchmark();
        ours.setUp();
        x = leaves(ours.x);
        dy = copies(ours.dy);
        gamma = copy(ours.gamma).requires_grad_(true);
        beta = copy(ours.beta).requires_grad_(true);
        try (PointerScope scope = new PointerScope()) {
            long items = ours.x[0].shape().elements() / ours.x[0].shape().get(0);
            require("group norm", items, ours.forward(), normalize(0));
            NormOps.Gradients d = ours.forwardAndBackward();
            TensorVector theirs = gradients(1);
            require("dx", items, d.dx(), theirs.get(0));
            require("dGamma", items, d.dGamma(), theirs.get(1));
            require("dBeta", items, d.dBeta(), theirs.get(2));
        }
        ours.tearDown();
    }

    private Tensor normalize(int i) {
        return group_norm(
                x[i],
                NormBenchmark.GROUPS,
                new TensorOptional(gamma),
                new TensorOptional(beta),
                1e-5,
                false);
    }

    private TensorVector gradients(int i) {
        return grad(
                new TensorVector(normalize(i)),
                new TensorVector(x[i], gamma, beta),
                new TensorVector(dy[i]),
                new BoolOptional(),
                false,
                false);
    }

    @Benchmark
    public void forward() {
        try (PointerScope scope = new PointerScope()) {
            normalize(turn());
        }
    }

    @Benchmark
    public void forwardAndBackward() {
        try (PointerScope scope = new PointerScope()) {
            gradients(turn());
        }
    }
}
