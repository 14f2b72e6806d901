package org.jlatent.bench;

import static org.bytedeco.pytorch.global.torch.grad;
import static org.bytedeco.pytorch.global.torch.ones;
import static org.bytedeco.pytorch.global.torch.randn;
import static org.bytedeco.pytorch.global.torch.randn_like;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;

/** {@link GaussianBenchmark} as libtorch users write it, eager. */
@SuppressWarnings("try") // a PointerScope frees what is made while it is open
public class GaussianPeer extends Peer {
    @Param({"20", "24"})
    int log2;

    private Tensor mu;
    private Tensor logVar;
    private Tensor dz;
    private Tensor one;

    @Setup
    public void setUp() {
        long[] shape = {(1L << log2) / 64, 64};
        mu = keep(randn(shape)).requires_grad_(true);
        logVar = keep(randn(shape).mul(new Scalar(0.1)).detach()).requires_grad_(true);
        dz = keep(randn(shape));
        one = keep(ones(new long[] {}));
    }

    private Tensor[] sample() {
        Tensor sigma = logVar.mul(new Scalar(0.5)).exp();
        Tensor z = mu.add(randn_like(sigma).mul(sigma));
        Tensor kl = logVar.add(new Scalar(1.0)).sub(mu.square()).sub(logVar.exp()).sum().mul(new Scalar(-0.5));
        return new Tensor[] {z, kl};
    }

    @Benchmark
    public void forward() {
        try (PointerScope scope = new PointerScope()) {
            AutoGradMode off = new AutoGradMode(false);
            sample();
            off.close();
        }
    }

    @Benchmark
    public void forwardAndBackward() {
        try (PointerScope scope = new PointerScope()) {
            Tensor[] r = sample();
            grad(new TensorVector(r[0], r[1]), new TensorVector(mu, logVar), new TensorVector(dz, one), new BoolOptional(),
                    false, false);
        }
    }
}
