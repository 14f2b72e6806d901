package org.jlatent.bench;

import static org.bytedeco.pytorch.global.torch.binary_cross_entropy_with_logits;
import static org.bytedeco.pytorch.global.torch.linear;
import static org.bytedeco.pytorch.global.torch.randn_like;
import static org.bytedeco.pytorch.global.torch.relu;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Adam;
import org.bytedeco.pytorch.AdamOptions;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.jlatent.Ops;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Setup;

import java.util.Map;

/**
 * {@link VaeStepBenchmark} in libtorch: the same parameters, images, loss and optimizer. Before
 * anything is timed, the loss and every gradient must be the same for the same noise.
 */
@SuppressWarnings("try") // a PointerScope frees what is made while it is open
public class VaeStepPeer extends Peer {
    private static final int REDUCE_SUM = 2;
    private static final int LATENT = 20;
    private static final int NOISE = 1; // the site that the model draws it from
    private static final int TERMS = 128 * 784; // what a gradient may be a sum of

    private Tensor[] x;
    private Tensor[] p;
    private Adam adam;

    /** What is to be equalled. */
    VaeStepBenchmark ours() {
        return new VaeStepBenchmark();
    }

    @Setup
    public void setUp() {
        VaeStepBenchmark ours = ours();
        ours.setUp();
        x = copies(ours.x);
        p = leaves(ours.vae.parameters().values().toArray(org.jlatent.Tensor[]::new));
        adam = new Adam(new TensorVector(p), new AdamOptions(1e-3));
        requireSame(ours);
        ours.tearDown();
    }

    private void requireSame(VaeStepBenchmark ours) {
        try (PointerScope scope = new PointerScope()) {
            Tape tape = new Tape(ours.step);
            org.jlatent.Tensor loss = ours.gradients(tape, ours.x[0]).loss();
            Shape shape = Shape.of(VaeStepBenchmark.BATCH, LATENT);
            org.jlatent.Tensor noise =
                    Ops.randomNormal(tape.scope(), shape, ours.vae.random(), NOISE);
            adam.zero_grad();
            Tensor reference = loss(x[0], copy(noise));
            reference.backward();
            require("the loss", TERMS, loss, reference.reshape(1));
            int i = 0;
            for (Map.Entry<String, org.jlatent.Tensor> own : ours.vae.parameters().entrySet()) {
                require(
                        "the gradient for " + own.getKey(),
                        TERMS,
                        tape.gradient(own.getValue()),
                        p[i++].grad());
            }
        }
    }

    /** A parameter by place, as {@code Vae.parameters} has them. */
    final Tensor parameter(int i) {
        return p[i];
    }

    /** A linear layer, from the place of its weight. */
    final Tensor layer(Tensor in, int i) {
        return linear(in, p[i], new TensorOptional(p[i + 1]));
    }

    /** {@code [batch, 784]} to mu and logVar side by side. */
    Tensor encode(Tensor in) {
        return layer(relu(layer(in, 0)), 2);
    }

    /** {@code [batch, 20]} to logits {@code [batch, 784]}. */
    Tensor decode(Tensor z) {
        return layer(relu(layer(z, 4)), 6);
    }

    /** Null noise: drawn. */
    private Tensor loss(Tensor in, Tensor noise) {
        Tensor packed = encode(in);
        Tensor mu = packed.narrow(1, 0, LATENT);
        Tensor logVar = packed.narrow(1, LATENT, LATENT);
        Tensor sigma = logVar.mul(new Scalar(0.5)).exp();
        Tensor z = mu.add((noise == null ? randn_like(sigma) : noise).mul(sigma));
        Tensor kl =
                logVar.add(new Scalar(1.0))
                        .sub(mu.square())
                        .sub(logVar.exp())
                        .sum()
                        .mul(new Scalar(-0.5));
        return binary_cross_entropy_with_logits(
                        decode(z), in, new TensorOptional(), new TensorOptional(), REDUCE_SUM)
                .add(kl)
                .div(new Scalar(VaeStepBenchmark.BATCH));
    }

    @Benchmark
    public float step() {
        try (PointerScope scope = new PointerScope()) {
            adam.zero_grad();
            Tensor loss = loss(x[turn()], null);
            loss.backward();
            adam.step();
            return loss.item_float();
        }
    }
}
