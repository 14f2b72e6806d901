package org.jlatent.bench;

import static org.bytedeco.pytorch.global.torch.batch_norm;
import static org.bytedeco.pytorch.global.torch.group_norm;
import static org.bytedeco.pytorch.global.torch.layer_norm;

import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AdamOptions;
import org.bytedeco.pytorch.AdamWOptions;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.jlatent.Ops;
import org.jlatent.Tape;
import org.jlatent.nn.BatchNorm;
import org.jlatent.nn.Functions;
import org.jlatent.nn.GroupNorm;
import org.jlatent.nn.Init;
import org.jlatent.nn.LayerNorm;
import org.jlatent.train.Adam;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/** Normalizations and the optimizer, held against libtorch. */
@SuppressWarnings("try") // a PointerScope frees what is made while it is open
final class NormParity {
    private static final double EPSILON = 1e-5f;
    private static final float[] MEANS = {0, 1000};

    private final Comparison comparison;

    NormParity(Comparison comparison) {
        this.comparison = comparison;
    }

    void run() {
        layer();
        group();
        batch();
        adam();
    }

    private org.jlatent.Tensor around(float mean, long... shape) {
        org.jlatent.Tensor x = comparison.normal(shape);
        return Ops.add(comparison.scope(), x, comparison.scope().filled(x.shape(), mean));
    }

    /**
     * The largest {@code 1 / sqrt(variance + epsilon)} along the last axis: a gradient for x is a
     * difference of values of that size, and vanishes for one item and nearly so for two.
     */
    private static double roots(Tensor items) {
        return items.var(new long[] {-1}, new ScalarOptional(new Scalar(0)), false)
                .add(new Scalar(EPSILON))
                .rsqrt()
                .max()
                .item_double();
    }

    private void layer() {
        for (long[] shape :
                new long[][] {{5, 7}, {1, 1}, {4, 2}, {3, 2, 1000}, {33, 64}, {2, 3, 5, 17}}) {
            long channels = shape[shape.length - 1];
            for (float mean : MEANS) {
                LayerNorm layer = new LayerNorm(new Init(comparison.scope(), 1), channels);
                org.jlatent.Tensor x = around(mean, shape);
                comparison.check(
                        "layer_norm",
                        x.shape() + " around " + mean,
                        channels,
                        roots(Comparison.torch(x)),
                        comparison.leaves(x, layer),
                        tape -> layer.forward(tape, x),
                        t ->
                                layer_norm(
                                        t[0],
                                        new long[] {channels},
                                        new TensorOptional(t[1]),
                                        new TensorOptional(t[2]),
                                        EPSILON,
                                        false));
            }
        }
    }

    private void group() {
        for (long[] s :
                new long[][] {
                    {1, 2, 3, 5, 8},
                    {2, 2, 3, 5, 8},
                    {8, 2, 3, 5, 8},
                    {4, 1, 1, 1, 4},
                    {3, 4, 7, 7, 63},
                    {32, 2, 8, 8, 128},
                    {2, 3, 10},
                    {1, 2, 9, 6}
                }) {
            long groups = s[0];
            long[] shape = Arrays.copyOfRange(s, 1, s.length);
            long channels = shape[shape.length - 1];
            for (float mean : MEANS) {
                GroupNorm layer = new GroupNorm(new Init(comparison.scope(), 1), groups, channels);
                org.jlatent.Tensor x = around(mean, shape);
                comparison.check(
                        "group_norm",
                        x.shape() + " in " + groups + " around " + mean,
                        x.shape().elements() / shape[0] / groups,
                        roots(
                                Comparison.torch(x)
                                        .reshape(shape[0], -1, groups, channels / groups)
                                        .transpose(1, 2)
                                        .reshape(shape[0], groups, -1)),
                        comparison.leaves(x, layer),
                        tape -> layer.forward(tape, x),
                        t ->
                                group_norm(
                                                t[0].movedim(-1, 1),
                                                groups,
                                                new TensorOptional(t[1]),
                                                new TensorOptional(t[2]),
                                                EPSILON,
                                                false)
                                        .movedim(1, -1));
            }
        }
    }

    private void batch() {
        for (long[] shape :
                new long[][] {
                    {2, 1}, {5, 7}, {3, 4, 5, 6}, {128, 33}, {4, 16, 16, 64}, {2, 1, 1, 3}
                }) {
            for (float mean : MEANS) {
                training(around(mean, shape), " around " + mean);
                inference(around(mean, shape), " around " + mean);
            }
        }
    }

    private void training(org.jlatent.Tensor x, String around) {
        long channels = x.shape().get(-1);
        BatchNorm layer = new BatchNorm(new Init(comparison.scope(), 1), channels);
        String what = x.shape() + around;
        long items = x.shape().rows();
        try (PointerScope pointers = new PointerScope()) {
            Tensor mean = Comparison.torch(layer.runningMean());
            Tensor variance = Comparison.torch(layer.runningVariance());
            Map<String, org.jlatent.Tensor> leaves = comparison.leaves(x, layer);
            comparison.check(
                    "batch_norm",
                    what,
                    items,
                    roots(Comparison.torch(x).reshape(-1, channels).t()),
                    leaves,
                    tape -> layer.forward(tape, x),
                    t -> {
                        Tensor y = batchNorm(t[0], t[1], t[2], mean, variance, true);
                        comparison.compare(
                                "batch_norm",
                                what,
                                "the running mean",
                                items,
                                0,
                                layer.runningMean(),
                                mean);
                        comparison.compare(
                                "batch_norm",
                                what,
                                "the running variance",
                                items,
                                0,
                                layer.runningVariance(),
                                variance);
                        return y;
                    });
        }
    }

    private void inference(org.jlatent.Tensor x, String around) {
        long channels = x.shape().get(-1);
        BatchNorm layer = new BatchNorm(new Init(comparison.scope(), 1), channels);
        Map<String, org.jlatent.Tensor> leaves = comparison.leaves(x, layer);
        layer.forward(new Tape(comparison.scope()), x); // running statistics other than 0 and 1
        Tensor[] t = leaves.values().stream().map(Comparison::torch).toArray(Tensor[]::new);
        Tensor mean = Comparison.torch(layer.runningMean());
        Tensor variance = Comparison.torch(layer.runningVariance());
        comparison.check(
                "batch_norm inference",
                x.shape() + around,
                1,
                Map.of(),
                tape -> layer.forward(tape, x),
                none -> batchNorm(t[0], t[1], t[2], mean, variance, false));
    }

    private static Tensor batchNorm(
            Tensor x, Tensor weight, Tensor bias, Tensor mean, Tensor variance, boolean training) {
        return batch_norm(
                        x.movedim(-1, 1),
                        new TensorOptional(weight),
                        new TensorOptional(bias),
                        new TensorOptional(mean),
                        new TensorOptional(variance),
                        training,
                        BatchNorm.MOMENTUM,
                        EPSILON,
                        false)
                .movedim(1, -1);
    }

    private void adam() {
        Adam.Options plain = Adam.Options.defaults();
        adam("adam", plain);
        adam("adam", plain.withLearningRate(0.1f).withBetas(0.5f, 0.9f).withEpsilon(1e-3f));
        adam("adamw", plain.withLearningRate(0.01f).withWeightDecay(0.1f));
        adam("adam", plain.withMaxNorm(0.5f));
    }

    /** Five steps on matrices, of gradients that change with each. */
    private void adam(String operation, Adam.Options o) {
        int steps = 5;
        comparison.count(operation);
        try (PointerScope pointers = new PointerScope()) {
            Map<String, org.jlatent.Tensor> ours = new LinkedHashMap<>();
            ours.put("a", comparison.normal(1, 1));
            ours.put("b", comparison.normal(17, 33));
            ours.put("c", comparison.normal(3, 5, 7, 2));
            Tensor[] theirs =
                    ours.values().stream()
                            .map(p -> Comparison.torch(p).requires_grad_(true))
                            .toArray(Tensor[]::new);
            Adam adam = new Adam(comparison.scope(), ours, o);
            Optimizer reference = o.weightDecay() > 0 ? adamW(theirs, o) : adam(theirs, o);
            for (int step = 0; step < steps; step++) {
                Tape tape = new Tape(comparison.scope());
                reference.zero_grad();
                org.jlatent.Tensor loss = null;
                int i = 0;
                for (org.jlatent.Tensor p : ours.values()) {
                    org.jlatent.Tensor gradient = comparison.normal(p.shape().toArray());
                    tape.watch(p);
                    org.jlatent.Tensor part =
                            Functions.sum(tape, Functions.multiply(tape, p, gradient));
                    loss = loss == null ? part : Functions.add(tape, loss, part);
                    theirs[i++].mul(Comparison.torch(gradient)).sum().backward();
                }
                tape.backward(loss);
                adam.step(tape);
                if (o.maxNorm() > 0) {
                    org.bytedeco.pytorch.global.torch.clip_grad_norm_(
                            new TensorVector(theirs), o.maxNorm());
                }
                reference.step();
            }
            int i = 0;
            for (Map.Entry<String, org.jlatent.Tensor> p : ours.entrySet()) {
                comparison.compare(
                        operation,
                        o.toString(),
                        "parameter " + p.getKey(),
                        steps,
                        0,
                        p.getValue(),
                        theirs[i++].detach());
            }
        } finally {
            comparison.scope().clear();
        }
    }

    private static Optimizer adam(Tensor[] parameters, Adam.Options o) {
        AdamOptions options = new AdamOptions(o.learningRate());
        betas(options.betas(), o);
        options.eps().put(o.epsilon());
        return new org.bytedeco.pytorch.Adam(new TensorVector(parameters), options);
    }

    private static Optimizer adamW(Tensor[] parameters, Adam.Options o) {
        AdamWOptions options = new AdamWOptions(o.learningRate());
        betas(options.betas(), o);
        options.eps().put(o.epsilon());
        options.weight_decay().put(o.weightDecay());
        return new org.bytedeco.pytorch.AdamW(new TensorVector(parameters), options);
    }

    /** A std::tuple, which libstdc++ stores last element first. */
    private static void betas(DoublePointer tuple, Adam.Options o) {
        tuple.put(0, o.beta2()).put(1, o.beta1());
    }
}
