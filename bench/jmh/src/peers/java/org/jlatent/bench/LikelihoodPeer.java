package org.jlatent.bench;

import static org.bytedeco.pytorch.global.torch.cross_entropy_loss;
import static org.bytedeco.pytorch.global.torch.grad;
import static org.bytedeco.pytorch.global.torch.softplus;
import static org.bytedeco.pytorch.global.torch.stack;
import static org.bytedeco.pytorch.global.torch.where;
import static org.jlatent.bench.LikelihoodBenchmark.CHANNELS;
import static org.jlatent.bench.LikelihoodBenchmark.COMPONENTS;
import static org.jlatent.bench.LikelihoodBenchmark.LEVELS;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AbstractTensor;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.jlatent.LikelihoodOps;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Setup;

import java.util.stream.IntStream;

/**
 * {@link LikelihoodBenchmark} in libtorch: its cross entropy, and the mixture composed of its
 * operations. Where a bin holds less than 1e-5 the density at its middle stands for it, as is usual
 * where differences of sigmoids are taken: so the two are held against each other to 1e-4 of the
 * total only.
 */
@SuppressWarnings("try") // a PointerScope frees what is made while it is open
public class LikelihoodPeer extends Peer {
    private static final long SUM = 2; // of at::Reduction
    private static final long NONE_IGNORED = -100;
    private static final double HALF_BIN = 1.0 / (LEVELS - 1);
    private static final double LEAST = 1e-5;

    private Tensor[] logits;
    private Tensor[] mixtures;
    private Tensor target; // [values]
    private Tensor value; // [pixels, channels, 1] in [-1, 1]

    @Setup
    public void setUp() {
        LikelihoodBenchmark ours = new LikelihoodBenchmark();
        ours.setUp();
        logits = leaves(ours.logits);
        mixtures = leaves(ours.mixtures);
        int[] levels = ours.x.toIntArray();
        long[] wide = IntStream.of(levels).asLongStream().toArray();
        float[] values = new float[levels.length];
        for (int i = 0; i < values.length; i++) {
            values[i] = 2.0f * levels[i] / (LEVELS - 1) - 1;
        }
        target = keep(AbstractTensor.create(wide, wide.length));
        value = keep(AbstractTensor.create(values, values.length / CHANNELS, CHANNELS, 1));
        try (PointerScope scope = new PointerScope()) {
            LikelihoodOps.Result r = ours.categoricalForwardAndBackward(); // of the first input
            requireSame("categorical", r, categorical(0));
            require("gradient", LEVELS, r.dParameters(), gradient(categorical(0), logits[0]));
            ours.categoricalForward(); // the second's turn
            requireSame("mixture", ours.mixtureForward(), mixture(0));
        }
        ours.tearDown();
    }

    private static void requireSame(String what, LikelihoodOps.Result ours, Tensor theirs) {
        double expected = theirs.item_double();
        float got = ours.nllTotal().toFloatArray()[0];
        if (!(Math.abs(got - expected) <= 1e-4 * Math.abs(expected))) {
            throw new IllegalStateException(what + ": " + got + ", libtorch has " + expected);
        }
    }

    private Tensor categorical(int i) {
        return cross_entropy_loss(
                logits[i].view(-1, LEVELS), target, new TensorOptional(), SUM, NONE_IGNORED, 0);
    }

    private Tensor mixture(int i) {
        int pairs = CHANNELS * (CHANNELS - 1) / 2;
        Tensor p = mixtures[i].view(-1, 1 + 2 * CHANNELS + pairs, COMPONENTS);
        Tensor means = p.narrow(1, 1, CHANNELS);
        Tensor logScales = p.narrow(1, 1 + CHANNELS, CHANNELS).clamp_min(new Scalar(-7.0));
        Tensor coupling = p.narrow(1, 1 + 2 * CHANNELS, pairs).tanh();
        Tensor x0 = value.select(1, 0);
        Tensor x1 = value.select(1, 1);
        Tensor second = means.select(1, 1).add(coupling.select(1, 0).mul(x0));
        Tensor third =
                means.select(1, 2)
                        .add(coupling.select(1, 1).mul(x0))
                        .add(coupling.select(1, 2).mul(x1));
        Tensor center = value.sub(stack(new TensorVector(means.select(1, 0), second, third), 1));
        Tensor inverse = logScales.neg().exp();
        Tensor upper = center.add(new Scalar(HALF_BIN)).mul(inverse);
        Tensor lower = center.sub(new Scalar(HALF_BIN)).mul(inverse);
        Tensor middle = center.mul(inverse);
        Tensor difference = upper.sigmoid().sub(lower.sigmoid());
        Tensor density =
                middle.sub(logScales)
                        .sub(softplus(middle).mul(new Scalar(2.0)))
                        .add(new Scalar(Math.log(2 * HALF_BIN)));
        Tensor inner =
                where(
                        difference.gt(new Scalar(LEAST)),
                        difference.clamp_min(new Scalar(1e-12)).log(),
                        density);
        Tensor logP =
                where(
                        value.lt(new Scalar(-0.999)),
                        upper.sub(softplus(upper)),
                        where(value.gt(new Scalar(0.999)), softplus(lower).neg(), inner));
        return logP.sum(1).add(p.select(1, 0).log_softmax(1)).logsumexp(1).sum().neg();
    }

    private static Tensor gradient(Tensor loss, Tensor parameters) {
        return grad(new TensorVector(loss), new TensorVector(parameters)).get(0);
    }

    @Benchmark
    public void categoricalForward() {
        try (PointerScope scope = new PointerScope()) {
            AutoGradMode off = new AutoGradMode(false);
            categorical(turn() % logits.length);
            off.close();
        }
    }

    @Benchmark
    public void categoricalForwardAndBackward() {
        try (PointerScope scope = new PointerScope()) {
            int i = turn() % logits.length;
            gradient(categorical(i), logits[i]);
        }
    }

    @Benchmark
    public void mixtureForward() {
        try (PointerScope scope = new PointerScope()) {
            AutoGradMode off = new AutoGradMode(false);
            mixture(turn() % mixtures.length);
            off.close();
        }
    }

    @Benchmark
    public void mixtureForwardAndBackward() {
        try (PointerScope scope = new PointerScope()) {
            int i = turn() % mixtures.length;
            gradient(mixture(i), mixtures[i]);
        }
    }
}
