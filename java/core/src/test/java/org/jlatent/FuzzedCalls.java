package org.jlatent;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jlatent.LikelihoodOps.Distribution;
import org.jlatent.OpsFuzzTest.Made;

/** The calls of {@link OpsFuzzTest} but for convolutions and pooling. */
final class FuzzedCalls {
    private FuzzedCalls() {}

    /** Draws arguments, calls one operation, and says what shapes its documentation promises. */
    interface Call {
        List<Made> run(Fuzz f);
    }

    static List<Map.Entry<String, Call>> all() {
        List<Map.Entry<String, Call>> calls = new ArrayList<>();
        calls.add(Map.entry("matmul", FuzzedCalls::matmul));
        calls.add(Map.entry("activation", FuzzedCalls::activation));
        calls.add(Map.entry("activation backward", FuzzedCalls::activationBackward));
        calls.add(Map.entry("concat elu", FuzzedCalls::concatElu));
        calls.add(Map.entry("add, multiply", FuzzedCalls::pairs));
        calls.add(Map.entry("scale", FuzzedCalls::scale));
        calls.add(Map.entry("fill", FuzzedCalls::fill));
        calls.add(Map.entry("cast", FuzzedCalls::cast));
        calls.add(Map.entry("sum, mean", FuzzedCalls::sums));
        calls.add(Map.entry("sumRows", FuzzedCalls::sumRows));
        calls.add(Map.entry("softmax", FuzzedCalls::softmax));
        calls.add(Map.entry("randomNormal, dropout", FuzzedCalls::noise));
        calls.add(Map.entry("gaussian", FuzzedCalls::gaussian));
        calls.add(Map.entry("likelihood", FuzzedCalls::likelihood));
        calls.add(Map.entry("norm", FuzzedCalls::norm));
        calls.add(Map.entry("concat", FuzzedCalls::concat));
        calls.add(Map.entry("slice", FuzzedCalls::slice));
        calls.add(Map.entry("repeat", FuzzedCalls::repeat));
        calls.add(Map.entry("upsample", FuzzedCalls::upsample));
        calls.add(Map.entry("embedding", FuzzedCalls::embedding));
        calls.add(Map.entry("vector quantize", FuzzedQuantizeCalls::pass));
        calls.add(Map.entry("vector quantize average", FuzzedQuantizeCalls::average));
        calls.add(Map.entry("vector quantize usage", FuzzedQuantizeCalls::usage));
        calls.add(Map.entry("vector quantize histogram", FuzzedQuantizeCalls::histogram));
        calls.add(Map.entry("layout", FuzzedCalls::layout));
        calls.add(Map.entry("tensor", FuzzedCalls::tensor));
        calls.add(Map.entry("tape", FuzzedCalls::tape));
        calls.addAll(FuzzedImageCalls.all());
        calls.addAll(FuzzedScalarCalls.all());
        return calls;
    }

    static List<Made> made(Tensor tensor, Shape expected) {
        return List.of(new Made(tensor, expected));
    }

    private static List<Made> matmul(Fuzz f) {
        long m = f.extent();
        long k = f.extent();
        long n = f.extent();
        boolean ta = f.chance(0.5);
        boolean tb = f.chance(0.5);
        DType dtype = f.chance(0.2) ? DType.BF16 : DType.F32;
        Tensor a = ta ? f.stored(dtype, k, m) : f.stored(dtype, m, k);
        Tensor b = tb ? f.stored(dtype, n, k) : f.stored(dtype, k, n);
        Tensor bias = f.optional(n);
        Activation activation = f.one(Activation.values());
        DType out = f.chance(0.05) ? DType.I32 : dtype;
        Tensor y = Ops.matmul(f.scope(), a, ta, b, tb, bias, activation, out);
        return made(y, Shape.of(a.shape().get(ta ? 1 : 0), b.shape().get(tb ? 0 : 1)));
    }

    private static List<Made> activation(Fuzz f) {
        Tensor x = f.tensor(f.shape());
        return made(Ops.activationForward(f.scope(), f.one(Activation.values()), x), x.shape());
    }

    private static List<Made> activationBackward(Fuzz f) {
        Shape shape = f.shape();
        Tensor x = f.tensor(shape);
        Tensor dy = f.tensor(shape.toArray());
        return made(
                Ops.activationBackward(f.scope(), f.one(Activation.values()), x, dy), x.shape());
    }

    private static List<Made> pairs(Fuzz f) {
        Shape shape = f.shape();
        Tensor a = f.tensor(shape);
        Tensor b = f.tensor(shape.toArray());
        return made(
                f.chance(0.5) ? Ops.add(f.scope(), a, b) : Ops.multiply(f.scope(), a, b), shape);
    }

    private static List<Made> scale(Fuzz f) {
        Tensor x = f.tensor(f.shape());
        return made(Ops.scale(f.scope(), x, f.tensor(1)), x.shape());
    }

    private static List<Made> fill(Fuzz f) {
        Shape shape = f.shape();
        Tensor x = f.target(shape.toArray());
        Ops.fill(x, f.value());
        return made(x, x.shape());
    }

    private static List<Made> cast(Fuzz f) {
        Tensor x = f.tensor(f.shape());
        return made(Ops.cast(f.scope(), x, f.one(DType.values())), x.shape());
    }

    /** The shape without an axis. */
    private static Shape without(Shape shape, int axis) {
        int index = axis < 0 ? axis + shape.rank() : axis;
        long[] left = new long[shape.rank() - 1];
        for (int i = 0; i < left.length; i++) {
            left[i] = shape.get(i < index ? i : i + 1);
        }
        return left.length == 0 ? Shape.of(1) : Shape.of(left);
    }

    private static List<Made> sums(Fuzz f) {
        Tensor x = f.tensor(f.shape());
        Scope scope = f.scope();
        if (f.chance(0.3)) {
            return made(f.chance(0.5) ? Ops.sum(scope, x) : Ops.mean(scope, x), Shape.of(1));
        }
        int axis = f.number(-x.shape().rank(), x.shape().rank());
        Tensor y = f.chance(0.5) ? Ops.sum(scope, x, axis) : Ops.mean(scope, x, axis);
        return made(y, without(x.shape(), axis));
    }

    private static List<Made> sumRows(Fuzz f) {
        Tensor x = f.tensor(f.shape());
        Tensor y = Ops.sumRows(f.scope(), x);
        return made(y, Shape.of(x.shape().get(-1)));
    }

    private static List<Made> softmax(Fuzz f) {
        Shape shape = f.shape();
        Tensor x = f.tensor(shape);
        Scope scope = f.scope();
        Tensor y =
                switch (f.below(4)) {
                    case 0 -> Ops.softmax(scope, x);
                    case 1 -> Ops.logSoftmax(scope, x);
                    case 2 -> Ops.softmaxBackward(scope, x, f.tensor(shape.toArray()));
                    default -> Ops.logSoftmaxBackward(scope, x, f.tensor(shape.toArray()));
                };
        return made(y, shape);
    }

    private static List<Made> noise(Fuzz f) {
        Random random = f.noise();
        if (f.chance(0.1)) {
            random.advance();
        }
        int site = f.number(0, 9);
        Shape shape = f.shape();
        if (f.chance(0.5)) {
            return made(Ops.randomNormal(f.scope(), shape, random, site), shape);
        }
        float drop = f.setting(0, 0.99);
        return made(
                Ops.dropout(f.scope(), f.tensor(shape), random, site, drop, f.chance(0.5)), shape);
    }

    private static List<Made> gaussian(Fuzz f) {
        long rows = f.extent();
        long dims = f.extent();
        int samples = f.number(1, 3);
        Posterior q =
                f.chance(0.5)
                        ? Posterior.packed(f.tensor(rows, 2 * dims))
                        : Posterior.of(f.tensor(rows, dims), f.tensor(rows, dims));
        GaussianOps.Options options =
                new GaussianOps.Options(
                        samples,
                        f.setting(-9, 0),
                        f.setting(0, 9),
                        f.chance(0.5) ? 0 : f.setting(0, 1),
                        f.number(0, 9),
                        f.chance(0.5));
        Random random = f.chance(0.2) ? null : f.noise();
        Tensor noise = f.optional(rows * samples, dims);
        Tensor klWeight = f.optional(1);
        Scope scope = f.scope();
        GaussianOps.Result r = GaussianOps.forward(scope, q, options, random, noise, klWeight);
        Shape perSample = Shape.of(q.rows(), samples);
        List<Made> all = new ArrayList<>();
        all.add(new Made(r.z(), Shape.of(q.rows() * samples, q.dims())));
        all.add(new Made(r.klRows(), Shape.of(q.rows())));
        all.add(new Made(r.klTotal(), Shape.of(1)));
        all.add(new Made(r.logQ(), perSample));
        all.add(new Made(r.logP(), perSample));
        all.add(new Made(r.klLive(), Shape.of(q.dims())));
        GaussianOps.Gradients d =
                new GaussianOps.Gradients(
                        f.optional(rows * samples, dims),
                        f.optional(rows),
                        f.optional(1),
                        f.optional(rows, samples),
                        f.optional(rows, samples));
        Posterior gradient =
                GaussianOps.backward(
                        scope, q, options, random, noise, klWeight, f.optional(dims), d);
        for (int i = 0; i < gradient.tensors().size(); i++) {
            all.add(new Made(gradient.tensors().get(i), q.tensors().get(i).shape()));
        }
        if (gradient.meanToArray().length != q.rows() * q.dims()) {
            throw new AssertionError("a mean of another size");
        }
        return all;
    }

    private static List<Made> likelihood(Fuzz f) {
        long xRows = f.extent();
        long rows = xRows * f.number(1, 3);
        long dims = f.extent();
        LikelihoodOps.Options options =
                new LikelihoodOps.Options(
                        f.one(Distribution.values()), f.chance(0.3), f.setting(-3, 3));
        Tensor parameters = f.tensor(rows, dims * options.parametersPerValue());
        Tensor x = f.tensor(xRows, dims);
        LikelihoodOps.Result r =
                LikelihoodOps.nll(
                        f.scope(),
                        options,
                        parameters,
                        x,
                        f.optional(rows),
                        f.optional(1),
                        f.chance(0.5));
        return List.of(
                new Made(r.nllRows(), Shape.of(parameters.shape().get(0))),
                new Made(r.nllTotal(), Shape.of(1)),
                new Made(r.dParameters(), parameters.shape()));
    }

    private static List<Made> norm(Fuzz f) {
        Shape shape = f.shape();
        long channels = shape.rank() == 0 ? 1 : shape.get(-1);
        NormOps.Kind kind = f.one(NormOps.Kind.values());
        long groups =
                kind != NormOps.Kind.GROUP
                        ? f.number(1, 1)
                        : f.chance(0.5) ? 1 : f.chance(0.5) ? channels : f.number(1, 4);
        NormOps.Options options = new NormOps.Options(kind, groups, f.setting(1e-6, 1));
        Tensor x = f.tensor(shape);
        Tensor gamma = f.optional(channels);
        Tensor beta = f.optional(channels);
        Scope scope = f.scope();
        if (f.chance(0.2)) {
            Tensor y =
                    NormOps.inference(
                            scope, options, x, gamma, beta, f.tensor(channels), f.tensor(channels));
            return made(y, shape);
        }
        NormOps.Running running =
                (kind == NormOps.Kind.BATCH && f.chance(0.5)) || f.chance(0.02)
                        ? new NormOps.Running(
                                f.target(channels), f.target(channels), f.setting(0, 1))
                        : null;
        NormOps.Result r = NormOps.forward(scope, options, x, gamma, beta, running);
        Tensor dy = f.tensor(shape.toArray());
        NormOps.Gradients d =
                NormOps.backward(scope, options, x, gamma, r.statistics(), dy, f.chance(0.7));
        return List.of(
                new Made(r.y(), shape),
                new Made(d.dx(), shape),
                new Made(d.dGamma(), Shape.of(channels)),
                new Made(d.dBeta(), Shape.of(channels)));
    }

    private static List<Made> concat(Fuzz f) {
        Shape shape = f.shape();
        int axis = f.number(-shape.rank(), Math.max(0, shape.rank() - 1));
        Tensor[] parts = new Tensor[f.below(4)];
        long extent = 0;
        int index = axis < 0 ? axis + shape.rank() : axis;
        for (int i = 0; i < parts.length; i++) {
            long[] extents = shape.toArray();
            if (index >= 0 && index < extents.length && f.chance(0.5)) {
                extents[index] = f.extent();
            }
            parts[i] = f.tensor(extents);
            extent +=
                    index >= 0 && index < parts[i].shape().rank() ? parts[i].shape().get(index) : 0;
        }
        Tensor y = ShapeOps.concat(f.scope(), axis, parts);
        long[] expected = parts[0].shape().toArray();
        expected[index] = extent;
        return made(y, Shape.of(expected));
    }

    private static List<Made> slice(Fuzz f) {
        Shape shape = f.shape();
        int axis = f.number(-shape.rank(), Math.max(0, shape.rank() - 1));
        long from = f.number(0, 3);
        long to = f.chance(0.05) ? Long.MAX_VALUE : from + f.number(0, 3);
        if (f.chance(0.3)) {
            Tensor dy = f.tensor(shape);
            long[] whole = shape.toArray();
            if (axis >= 0 && axis < whole.length) {
                whole[axis] += f.number(0, 4);
            }
            Shape of = f.bent(whole);
            return made(ShapeOps.sliceBackward(f.scope(), dy, of, axis, from), of);
        }
        Tensor y = ShapeOps.slice(f.scope(), f.tensor(shape), axis, from, to);
        long[] expected = shape.toArray();
        expected[axis < 0 ? axis + expected.length : axis] = to - from;
        return made(y, Shape.of(expected));
    }

    private static List<Made> repeat(Fuzz f) {
        Shape shape = f.shape();
        int axis = f.number(0, shape.rank());
        long count = f.chance(0.05) ? Long.MAX_VALUE - f.below(2) : f.number(0, 4);
        if (count > 1 << 16 && count < 1L << 40) {
            count <<= 20; // what the machine might have the memory for is not worth the time
        }
        Tensor y = ShapeOps.repeat(f.scope(), f.tensor(shape), axis, count);
        long[] expected = new long[shape.rank() + 1];
        for (int i = 0; i < expected.length; i++) {
            expected[i] = i == axis ? count : shape.get(i < axis ? i : i - 1);
        }
        return made(y, Shape.of(expected));
    }

    private static List<Made> concatElu(Fuzz f) {
        Tensor x = f.tensor(f.shape());
        Tensor y = Ops.concatElu(f.scope(), x);
        Shape twice = x.shape().withoutLast().withLast(2 * x.shape().get(-1));
        Tensor dy = f.tensor(f.chance(0.9) ? twice : f.shape());
        Tensor dx = Ops.concatEluBackward(f.scope(), x, dy);
        return List.of(new Made(y, twice), new Made(dx, x.shape()));
    }

    private static List<Made> upsample(Fuzz f) {
        Shape s = f.bent(f.extent(), f.extent(), f.extent(), f.extent());
        int y = f.number(1, 3);
        int x = y > 1 << 10 ? Integer.MAX_VALUE : f.number(1, 3);
        if (x > 1 << 10) {
            y = Integer.MAX_VALUE;
        }
        if (f.chance(0.5)) {
            Tensor large = ShapeOps.upsample(f.scope(), f.tensor(s), y, x);
            Shape expected =
                    Shape.of(
                            s.get(0),
                            Math.multiplyExact(s.get(1), y),
                            Math.multiplyExact(s.get(2), x),
                            s.get(3));
            return made(large, expected);
        }
        Tensor dy =
                f.chance(0.1) || s.rank() != 4
                        ? f.tensor(s)
                        : f.tensor(s.get(0), s.get(1) * y, s.get(2) * x, s.get(3));
        Tensor dx = ShapeOps.upsampleBackward(f.scope(), dy, y, x);
        Shape l = dy.shape();
        return made(dx, Shape.of(l.get(0), l.get(1) / y, l.get(2) / x, l.get(3)));
    }

    private static List<Made> embedding(Fuzz f) {
        int rows = (int) f.extent();
        long dims = f.extent();
        Shape shape = f.shape(f.below(3));
        Tensor codes = f.codes(shape, rows);
        long[] expected = Arrays.copyOf(shape.toArray(), shape.rank() + 1);
        expected[shape.rank()] = dims;
        if (f.chance(0.5)) {
            Tensor counter = f.chance(0.3) ? f.counter() : null;
            Tensor table = f.tensor(rows, dims);
            Tensor y = EmbeddingOps.forward(f.scope(), table, codes, counter);
            expected[shape.rank()] = table.shape().get(1);
            return made(y, Shape.of(expected));
        }
        long of = f.chance(0.05) ? Long.MAX_VALUE : f.chance(0.05) ? f.number(-1, 1) : rows;
        if (of > 1 << 16) {
            of = Math.max(of, 1L << 50);
        }
        Tensor dy = f.tensor(expected);
        Tensor dTable = EmbeddingOps.backward(f.scope(), codes, dy, of);
        return made(dTable, Shape.of(of, dy.shape().get(-1)));
    }

    private static List<Made> layout(Fuzz f) {
        Shape s = f.bent(f.extent(), f.extent(), f.extent(), f.extent());
        if (f.chance(0.5)) {
            Tensor x = f.tensor(s);
            boolean from = f.chance(0.5);
            Tensor y = from ? Layout.fromNchw(f.scope(), x) : Layout.toNchw(f.scope(), x);
            return made(
                    y,
                    from
                            ? Shape.of(s.get(0), s.get(2), s.get(3), s.get(1))
                            : Shape.of(s.get(0), s.get(3), s.get(1), s.get(2)));
        }
        int n = f.number(1, 3);
        int c = f.number(1, 3);
        int h = f.number(1, 3);
        int w = f.number(1, 3);
        long elements = (long) n * c % 4096 * h % 4096 * w % 4096;
        float[] values = new float[(int) Math.max(0, elements)];
        float[] back = Layout.toNchw(Layout.fromNchw(values, n, c, h, w), n, c, h, w);
        return made(f.scope().of(Shape.of(back.length), back), Shape.of(values.length));
    }

    private static List<Made> tensor(Fuzz f) {
        Shape shape = f.shape();
        Tensor x = f.target(shape.toArray());
        switch (f.below(8)) {
            case 0 -> x.copyFrom(new float[f.below(9)]);
            case 1 -> x.copyFrom(new int[f.below(9)]);
            case 2 -> x.copyTo(new float[f.below(9)]);
            case 3 -> x.item();
            case 4 -> x = x.reshape(f.shape());
            case 5 -> x = f.scope().filled(f.bent(x.shape().toArray()), f.value());
            case 6 -> x = f.scope().of(shape, new float[f.below(9)]);
            default -> x = f.scope().ofInts(shape, new int[f.below(9)]);
        }
        if (x.toString().isEmpty() || x.bytes() < 0) {
            throw new AssertionError("a tensor without a name or of less than nothing");
        }
        return made(x, x.shape());
    }

    private static List<Made> tape(Fuzz f) {
        Tape tape = f.chance(0.1) ? Tape.inference(f.scope()) : new Tape(f.scope());
        Tensor x = f.tensor(f.shape());
        if (f.chance(0.9)) {
            tape.watch(x);
        }
        Tensor y = Ops.add(tape.scope(), x, x);
        tape.record("twice", x, y, dy -> Ops.add(tape.scope(), dy, dy));
        Tensor loss = f.chance(0.1) ? y : Ops.sum(tape.scope(), y);
        Shape of = y.shape();
        tape.record(
                "sum",
                y,
                loss,
                d ->
                        ShapeOps.repeat(tape.scope(), d, 0, of.elements())
                                .reshape(f.bent(of.toArray())));
        if (f.chance(0.1)) {
            tape.accumulate(x, f.tensor(f.shape()));
        }
        tape.backward(loss);
        tape.firstNonFinite();
        return made(tape.gradient(x), x.shape());
    }
}
