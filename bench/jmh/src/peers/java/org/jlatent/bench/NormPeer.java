package org.jlatent.bench;

import static org.bytedeco.pytorch.global.torch.grad;
import static org.bytedeco.pytorch.global.torch.group_norm;
import static org.bytedeco.pytorch.global.torch.set_num_threads;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.jlatent.NormOps;
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

/** {@link NormBenchmark} in libtorch, as {@link ConvPeer}. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(2)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@SuppressWarnings("try") // a PointerScope frees what is made while it is open
public class NormPeer {
    private Tensor[] x;
    private Tensor[] dy;
    private Tensor gamma;
    private Tensor beta;
    private int next;

    @Setup
    public void setUp() {
        set_num_threads(Runtime.getRuntime().availableProcessors());
        NormBenchmark ours = new NormBenchmark();
        ours.setUp();
        x = new Tensor[ours.x.length];
        dy = new Tensor[ours.x.length];
        for (int i = 0; i < x.length; i++) {
            x[i] = VaeStepPeer.copy(ours.x[i]).requires_grad_(true);
            dy[i] = VaeStepPeer.copy(ours.dy[i]);
        }
        gamma = VaeStepPeer.copy(ours.gamma).requires_grad_(true);
        beta = VaeStepPeer.copy(ours.beta).requires_grad_(true);
        try (PointerScope scope = new PointerScope()) {
            long items = ours.x[0].shape().elements() / ours.x[0].shape().get(0);
            Comparison.require(
                    "group norm", items, ours.forward(), normalize(0).permute(0, 2, 3, 1));
            NormOps.Gradients d = ours.forwardAndBackward();
            TensorVector theirs = gradients(1);
            Comparison.require("dx", items, d.dx(), theirs.get(0).permute(0, 2, 3, 1));
            Comparison.require("dGamma", items, d.dGamma(), theirs.get(1));
            Comparison.require("dBeta", items, d.dBeta(), theirs.get(2));
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
            normalize(next++ % x.length);
        }
    }

    @Benchmark
    public void forwardAndBackward() {
        try (PointerScope scope = new PointerScope()) {
            gradients(next++ % x.length);
        }
    }
}
