package org.jlatent.bench;

import static org.bytedeco.pytorch.global.torch.elu;
import static org.bytedeco.pytorch.global.torch.gelu;
import static org.bytedeco.pytorch.global.torch.linear;
import static org.bytedeco.pytorch.global.torch.softplus;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.jlatent.Activation;
import org.jlatent.Ops;
import org.jlatent.nn.Elementwise;
import org.jlatent.nn.Embedding;
import org.jlatent.nn.Functions;
import org.jlatent.nn.Init;
import org.jlatent.nn.Linear;

import java.util.LinkedHashMap;
import java.util.Map;

/** Products, activations, sums, softmax, embedding, concat and slice, held against libtorch. */
final class DenseParity {
    private final Comparison comparison;

    DenseParity(Comparison comparison) {
        this.comparison = comparison;
    }

    void run() {
        matmul();
        linears();
        activations();
        arithmetic();
        sums();
        softmax();
        embedding();
        concatAndSlice();
    }

    static Tensor activate(Activation activation, Tensor x) {
        return switch (activation) {
            case IDENTITY -> x;
            case RELU -> x.relu();
            case TANH -> x.tanh();
            case SIGMOID -> x.sigmoid();
            case SOFTPLUS -> softplus(x, new Scalar(1.0), new Scalar(100.0));
            case ELU -> elu(x);
            case SILU -> x.mul(x.sigmoid());
            case GELU -> gelu(x, "tanh");
        };
    }

    private void matmul() {
        for (long[] s : new long[][] {{1, 1, 1}, {3, 1, 5}, {17, 33, 9}, {64, 1000, 31}}) {
            for (int transposes = 0; transposes < 4; transposes++) {
                boolean ta = (transposes & 1) != 0;
                boolean tb = (transposes & 2) != 0;
                org.jlatent.Tensor a =
                        ta ? comparison.normal(s[1], s[0]) : comparison.normal(s[0], s[1]);
                org.jlatent.Tensor b =
                        tb ? comparison.normal(s[2], s[1]) : comparison.normal(s[1], s[2]);
                Tensor ra = Comparison.torch(a);
                Tensor rb = Comparison.torch(b);
                comparison.check(
                        "matmul",
                        a.shape()
                                + (ta ? " transposed" : "")
                                + " by "
                                + b.shape()
                                + (tb ? " transposed" : ""),
                        s[1],
                        Map.of(),
                        tape -> Ops.matmul(tape.scope(), a, ta, b, tb, null, Activation.IDENTITY),
                        t -> (ta ? ra.t() : ra).matmul(tb ? rb.t() : rb));
            }
        }
    }

    private void linears() {
        for (Activation activation : Activation.values()) {
            for (int[] s :
                    new int[][] {{1, 1, 1}, {3, 5, 1}, {1, 7, 3}, {17, 33, 9}, {128, 784, 400}}) {
                Linear layer = new Linear(new Init(comparison.scope(), 1), s[1], s[2], activation);
                org.jlatent.Tensor x = comparison.normal(s[0], s[1]);
                comparison.check(
                        "linear",
                        x.shape() + " to " + s[2] + " " + activation,
                        s[1],
                        comparison.leaves(x, layer),
                        tape -> layer.forward(tape, x),
                        t -> activate(activation, linear(t[0], t[1], new TensorOptional(t[2]))));
            }
        }
    }

    private void activations() {
        for (Activation activation : Activation.values()) {
            for (float size : new float[] {1, 10, 100}) {
                org.jlatent.Tensor x = comparison.normal(7, 143);
                float[] values = x.toFloatArray();
                for (int i = 0; i < values.length; i++) {
                    values[i] *= size;
                }
                x.copyFrom(values);
                comparison.check(
                        "activation",
                        activation + " of values of order " + size,
                        1,
                        Map.of("x", x),
                        tape -> new Elementwise(activation).forward(tape, x),
                        t -> activate(activation, t[0]));
            }
        }
    }

    private void arithmetic() {
        for (long[] shape : new long[][] {{1}, {17}, {3, 5, 7}}) {
            Map<String, org.jlatent.Tensor> leaves = new LinkedHashMap<>();
            leaves.put("a", comparison.normal(shape));
            leaves.put("b", comparison.normal(shape));
            comparison.check(
                    "add",
                    leaves.get("a").shape().toString(),
                    1,
                    leaves,
                    tape -> Functions.add(tape, leaves.get("a"), leaves.get("b")),
                    t -> t[0].add(t[1]));
            Map<String, org.jlatent.Tensor> factors = new LinkedHashMap<>();
            factors.put("a", comparison.normal(shape));
            factors.put("b", comparison.normal(shape));
            comparison.check(
                    "multiply",
                    factors.get("a").shape().toString(),
                    1,
                    factors,
                    tape -> Functions.multiply(tape, factors.get("a"), factors.get("b")),
                    t -> t[0].mul(t[1]));
        }
    }

    private void sums() {
        for (long[] shape : new long[][] {{1, 1, 1}, {3, 5, 7}, {2, 1, 1031}, {999, 3, 2}}) {
            for (int axis = -1; axis < 3; axis++) {
                int along = axis;
                for (boolean mean : new boolean[] {false, true}) {
                    org.jlatent.Tensor x = comparison.normal(shape);
                    comparison.check(
                            mean ? "mean" : "sum",
                            x.shape() + " along " + axis,
                            x.shape().get(axis),
                            Map.of("x", x),
                            tape ->
                                    mean
                                            ? Functions.mean(tape, x, along)
                                            : Functions.sum(tape, x, along),
                            t -> mean ? t[0].mean(along) : t[0].sum(along));
                }
            }
            org.jlatent.Tensor x = comparison.normal(shape);
            comparison.check(
                    "sum",
                    x.shape() + " of all",
                    x.shape().elements(),
                    Map.of("x", x),
                    tape -> Functions.sum(tape, x),
                    t -> t[0].sum());
            org.jlatent.Tensor v = comparison.normal(shape);
            comparison.check(
                    "mean",
                    v.shape() + " of all",
                    v.shape().elements(),
                    Map.of("x", v),
                    tape -> Functions.mean(tape, v),
                    t -> t[0].mean());
        }
    }

    private void softmax() {
        for (long[] shape : new long[][] {{5, 7}, {3, 1}, {2, 3, 1000}, {2, 4097}, {1, 256}}) {
            for (boolean hard : new boolean[] {false, true}) {
                for (boolean log : new boolean[] {false, true}) {
                    org.jlatent.Tensor x = comparison.normal(shape);
                    if (hard) { // some masked, the others overflow unless the largest is taken off
                        float[] values = x.toFloatArray();
                        for (int i = 0; i < values.length; i++) {
                            values[i] = i % 5 == 1 ? Float.NEGATIVE_INFINITY : 100 + 30 * values[i];
                        }
                        x.copyFrom(values);
                    }
                    comparison.check(
                            log ? "log_softmax" : "softmax",
                            x.shape() + (hard ? " large" : ""),
                            x.shape().get(-1),
                            Map.of("x", x),
                            tape ->
                                    log
                                            ? Functions.logSoftmax(tape, x)
                                            : Functions.softmax(tape, x),
                            t -> log ? t[0].log_softmax(-1) : t[0].softmax(-1));
                }
            }
        }
    }

    private void embedding() {
        for (int[] s :
                new int[][] {{1, 1, 1}, {7, 3, 20}, {512, 64, 1000}, {5, 17, 3}, {3, 8, 5000}}) {
            Embedding layer = new Embedding(new Init(comparison.scope(), 1), s[0], s[1]);
            org.jlatent.Tensor codes =
                    comparison.codes(
                            s[0], s[2] % 4 == 0 ? new long[] {4, s[2] / 4} : new long[] {s[2]});
            Tensor wide = org.bytedeco.pytorch.AbstractTensor.create(codes.toIntArray());
            long[] out =
                    codes.shape().rank() == 2
                            ? new long[] {4, s[2] / 4, s[1]}
                            : new long[] {s[2], s[1]};
            comparison.check(
                    "embedding",
                    codes.shape() + " of " + s[0] + "x" + s[1],
                    1,
                    layer.parameters(),
                    tape -> layer.forward(tape, codes),
                    t -> org.bytedeco.pytorch.global.torch.embedding(t[0], wide).reshape(out));
        }
    }

    private void concatAndSlice() {
        for (int axis = -3; axis < 3; axis++) {
            int along = axis;
            Map<String, org.jlatent.Tensor> parts = new LinkedHashMap<>();
            for (int i = 0; i < 3; i++) {
                long[] shape = {3, 5, 7};
                shape[Math.floorMod(axis, 3)] = new long[] {4, 1, 9}[i];
                parts.put("part " + i, comparison.normal(shape));
            }
            org.jlatent.Tensor[] ours = parts.values().toArray(org.jlatent.Tensor[]::new);
            comparison.check(
                    "concat",
                    "3 along " + axis,
                    1,
                    parts,
                    tape -> Functions.concat(tape, along, ours),
                    t -> org.bytedeco.pytorch.global.torch.cat(new TensorVector(t), along));
            for (long[] range : new long[][] {{0, 3}, {1, 2}, {2, 3}}) {
                org.jlatent.Tensor x = comparison.normal(3, 4, 5);
                comparison.check(
                        "slice",
                        x.shape() + " from " + range[0] + " to " + range[1] + " along " + axis,
                        1,
                        Map.of("x", x),
                        tape -> Functions.slice(tape, x, along, range[0], range[1]),
                        t -> t[0].narrow(along, range[0], range[1] - range[0]));
            }
        }
    }
}
