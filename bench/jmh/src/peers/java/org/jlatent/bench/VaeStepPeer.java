package org.jlatent.bench;

import static org.bytedeco.pytorch.global.torch.binary_cross_entropy_with_logits;
import static org.bytedeco.pytorch.global.torch.linear;
import static org.bytedeco.pytorch.global.torch.rand;
import static org.bytedeco.pytorch.global.torch.randn;
import static org.bytedeco.pytorch.global.torch.randn_like;
import static org.bytedeco.pytorch.global.torch.relu;
import static org.bytedeco.pytorch.global.torch.set_num_threads;

import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Adam;
import org.bytedeco.pytorch.AdamOptions;
import org.bytedeco.pytorch.Scalar;
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

/** {@link VaeStepBenchmark} in libtorch: the same layers, loss and optimizer. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(2)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@SuppressWarnings("try") // a PointerScope frees what is made while it is open
public class VaeStepPeer {
    private static final int REDUCE_SUM = 2;

    private Tensor x;
    private Tensor[] p;
    private Adam adam;

    @Setup
    public void setUp() {
        set_num_threads(Runtime.getRuntime().availableProcessors());
        x = keep(rand(new long[] {128, 784}));
        p = new Tensor[] {
            weight(400, 784), weight(400), weight(20, 400), weight(20), weight(20, 400), weight(20), weight(400, 20),
            weight(400), weight(784, 400), weight(784)
        };
        adam = new Adam(new TensorVector(p), new AdamOptions(1e-3));
    }

    private static Tensor weight(long... shape) {
        return keep(randn(shape).mul(new Scalar(0.03)).detach()).requires_grad_(true);
    }

    private static Tensor keep(Tensor tensor) {
        tensor.retainReference();
        return tensor;
    }

    private Tensor layer(Tensor in, int i) {
        return linear(in, p[i], new TensorOptional(p[i + 1]));
    }

    @Benchmark
    public float step() {
        try (PointerScope scope = new PointerScope()) {
            adam.zero_grad();
            Tensor h = relu(layer(x, 0));
            Tensor mu = layer(h, 2);
            Tensor logVar = layer(h, 4);
            Tensor sigma = logVar.mul(new Scalar(0.5)).exp();
            Tensor z = mu.add(randn_like(sigma).mul(sigma));
            Tensor kl = logVar.add(new Scalar(1.0)).sub(mu.square()).sub(logVar.exp()).sum().mul(new Scalar(-0.5));
            Tensor logits = layer(relu(layer(z, 6)), 8);
            Tensor loss = binary_cross_entropy_with_logits(
                            logits, x, new TensorOptional(), new TensorOptional(), REDUCE_SUM)
                    .add(kl)
                    .div(new Scalar(128));
            loss.backward();
            adam.step();
            return loss.item_float();
        }
    }
}
