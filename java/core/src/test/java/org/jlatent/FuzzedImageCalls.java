package org.jlatent;

import static org.jlatent.FuzzedCalls.made;

import java.util.List;
import java.util.Map;
import org.jlatent.FuzzedCalls.Call;
import org.jlatent.OpsFuzzTest.Made;

/** The convolutions, masked ones too, and pooling among the calls of {@link OpsFuzzTest}. */
final class FuzzedImageCalls {
    private FuzzedImageCalls() {}

    static List<Map.Entry<String, Call>> all() {
        return List.of(
                Map.entry("conv", FuzzedImageCalls::conv),
                Map.entry("transposed conv", FuzzedImageCalls::transposed),
                Map.entry("conv weight gradient", FuzzedImageCalls::weightGradient),
                Map.entry("masked conv", FuzzedImageCalls::maskedConv),
                Map.entry("masked conv gradients", FuzzedImageCalls::maskedConvGradients),
                Map.entry("row lstm", FuzzedImageCalls::rowLstm),
                Map.entry("pixel sampler", FuzzedImageCalls::pixelSampler),
                Map.entry("causal attention", FuzzedImageCalls::causalAttention),
                Map.entry("max pool", f -> pool(f, false)),
                Map.entry("average pool", f -> pool(f, true)),
                Map.entry("pool winners", FuzzedImageCalls::forgedWinners));
    }

    private static ConvOps.Options options(Fuzz f) {
        return new ConvOps.Options(
                f.number(1, 3),
                f.number(1, 3),
                f.number(0, 3),
                f.number(0, 3),
                f.number(0, 3),
                f.number(0, 3),
                f.number(1, 2),
                f.number(1, 2),
                f.chance(0.2) ? f.number(1, 3) : 1);
    }

    /** Batch, height, width, channels: images that a kernel may fit into. */
    private static Shape images(Fuzz f, long channels) {
        return f.bent(f.extent(), 2 + f.extent(), 2 + f.extent(), channels);
    }

    private static Shape weight(Fuzz f, long channels, ConvOps.Options o) {
        long filters = o.groups() < 8 ? o.groups() * f.extent() : f.extent();
        return f.bent(filters, 1 + f.below(3), 1 + f.below(3), channels / o.groups());
    }

    private static Shape output(Shape x, Shape w, ConvOps.Options o) {
        return Shape.of(
                x.get(0),
                o.outHeight(x.get(1), w.get(1)),
                o.outWidth(x.get(2), w.get(2)),
                w.get(0));
    }

    /** What the output of such images would be, or something else where there is none. */
    private static Shape outputOrOther(Fuzz f, Shape x, Shape w, ConvOps.Options o) {
        if (x.rank() != 4 || w.rank() != 4) {
            return f.shape(4);
        }
        Shape out = output(x, w, o);
        return out.elements() > 1 << 16 ? f.shape(4) : f.bent(out.toArray());
    }

    private static List<Made> conv(Fuzz f) {
        ConvOps.Options o = options(f);
        long channels = o.groups() < 8 ? o.groups() * f.extent() : f.extent();
        DType dtype = f.chance(0.2) ? DType.BF16 : DType.F32;
        Shape images = images(f, channels);
        Shape kernel = weight(f, channels, o);
        Tensor x = f.stored(dtype, images.toArray());
        Tensor w = f.stored(dtype, kernel.toArray());
        Tensor bias = f.optional(kernel.rank() == 0 ? 1 : kernel.get(0));
        Activation activation = f.one(Activation.values());
        DType result = f.chance(0.2) ? f.one(DType.values()) : dtype;
        Tensor y = ConvOps.forward(f.scope(), x, w, bias, o, activation, result);
        return made(y, output(x.shape(), w.shape(), o));
    }

    private static List<Made> transposed(Fuzz f) {
        ConvOps.Options o = options(f);
        long channels = o.groups() < 8 ? o.groups() * f.extent() : f.extent();
        DType dtype = f.chance(0.2) ? DType.BF16 : DType.F32;
        Shape images = images(f, channels);
        Shape kernel = weight(f, channels, o);
        Tensor y = f.stored(dtype, outputOrOther(f, images, kernel, o).toArray());
        Tensor w = f.stored(dtype, kernel.toArray());
        Tensor x =
                ConvOps.transposed(
                        f.scope(),
                        y,
                        w,
                        f.optional(channels),
                        images,
                        o,
                        f.one(Activation.values()),
                        f.chance(0.2) ? f.one(DType.values()) : dtype);
        return made(x, images);
    }

    private static List<Made> weightGradient(Fuzz f) {
        ConvOps.Options o = options(f);
        long channels = o.groups() < 8 ? o.groups() * f.extent() : f.extent();
        DType dtype = f.chance(0.2) ? DType.BF16 : DType.F32;
        Shape images = images(f, channels);
        Shape kernel = weight(f, channels, o);
        Tensor x = f.stored(dtype, images.toArray());
        Tensor dy = f.stored(dtype, outputOrOther(f, images, kernel, o).toArray());
        return made(ConvOps.weightGradient(f.scope(), x, dy, kernel, o), kernel);
    }

    private static MaskedConvOps.Options maskedOptions(Fuzz f) {
        MaskedConvOps.Taps taps = f.one(MaskedConvOps.Taps.values());
        int kernel = f.chance(0.9) ? 2 * f.below(3) + 1 : f.number(1, 7);
        int groups = f.chance(0.3) ? f.number(1, 3) : 1;
        return new MaskedConvOps.Options(
                taps,
                kernel,
                groups,
                f.one(MaskedConvOps.Epilogue.values()),
                f.chance(0.5) ? DType.F32 : f.one(DType.values()));
    }

    /** A multiple of the groups, mostly. */
    private static long grouped(Fuzz f, MaskedConvOps.Options o) {
        return o.groups() < 8 && f.chance(0.95) ? o.groups() * f.extent() : f.extent();
    }

    private static Shape maskedWeight(Fuzz f, MaskedConvOps.Options o, long channels) {
        long filters = o.filters(grouped(f, o));
        return f.bent(o.weightShape(channels, filters).toArray());
    }

    private static List<Made> maskedConv(Fuzz f) {
        MaskedConvOps.Options o = maskedOptions(f);
        long channels = grouped(f, o);
        Tensor x = f.tensor(images(f, channels));
        Tensor weight = f.tensor(maskedWeight(f, o, channels));
        long filters = weight.shape().rank() == 0 ? 1 : weight.shape().get(0);
        Shape s = x.shape();
        boolean image = s.rank() == 4;
        boolean gradient = f.chance(0.5);
        MaskedConvOps.Result r =
                MaskedConvOps.forward(
                        f.scope(),
                        x,
                        weight,
                        f.optional(filters),
                        f.optional(s.rank() == 0 ? 1 : s.get(0), filters),
                        image ? f.optional(s.get(0), s.get(1), s.get(2), filters) : null,
                        o,
                        gradient);
        boolean gate = o.epilogue().isGated();
        Shape sums = Shape.of(s.get(0), s.get(1), s.get(2), filters);
        Shape out = gate ? Shape.of(s.get(0), s.get(1), s.get(2), filters / 2) : sums;
        if (r.gates() == null) {
            return made(r.y(), out);
        }
        Tensor dSums =
                MaskedConvOps.backwardGate(
                        f.scope(), o.epilogue(), r.gates(), f.tensor(out.toArray()));
        return List.of(new Made(r.y(), out), new Made(r.gates(), sums), new Made(dSums, sums));
    }

    private static List<Made> maskedConvGradients(Fuzz f) {
        MaskedConvOps.Options o = maskedOptions(f);
        long channels = grouped(f, o);
        Tensor x = f.tensor(images(f, channels));
        Tensor weight = f.tensor(maskedWeight(f, o, channels));
        Shape s = x.shape();
        long filters = weight.shape().rank() == 0 ? 1 : weight.shape().get(0);
        Tensor dSums =
                s.rank() == 4
                        ? f.tensor(s.get(0), s.get(1), s.get(2), filters)
                        : f.tensor(f.shape());
        Tensor dx = MaskedConvOps.backwardData(f.scope(), dSums, weight, o);
        MaskedConvOps.Gradients d = MaskedConvOps.backwardWeight(f.scope(), x, dSums, o);
        return List.of(
                new Made(dx, dSums.shape().withoutLast().withLast(weight.shape().get(3))),
                new Made(d.dWeight(), o.weightShape(s.get(3), filters)),
                new Made(d.dBias(), Shape.of(filters)));
    }

    private static List<Made> rowLstm(Fuzz f) {
        long channels = f.extent();
        Tensor sums = f.tensor(images(f, 4 * channels));
        Tensor state = f.tensor(f.bent(4 * channels, 1, 3, channels));
        RowLstmOps.Result r = RowLstmOps.forward(f.scope(), sums, state);
        Shape s = sums.shape();
        Shape maps = Shape.of(s.get(0), s.get(1), s.get(2), channels);
        Tensor dh = f.tensor(f.bent(maps.toArray()));
        RowLstmOps.Gradients d = RowLstmOps.backward(f.scope(), r, state, dh);
        return List.of(
                new Made(r.h(), maps),
                new Made(r.c(), maps),
                new Made(r.gates(), s),
                new Made(d.dSums(), s),
                new Made(d.dState(), state.shape()));
    }

    /** Two masked convolutions, the first mostly of a mask A, and one to parameters. */
    private static List<Made> pixelSampler(Fuzz f) {
        int levels = f.number(2, 5);
        MaskedConvOps.Options any = maskedOptions(f);
        int groups = any.groups();
        MaskedConvOps.Options first =
                f.chance(0.2)
                        ? any
                        : MaskedConvOps.Options.of(MaskedConvOps.Taps.RASTER_A, 3)
                                .withGroups(groups)
                                .withEpilogue(any.epilogue());
        long channels = f.chance(0.7) ? groups : grouped(f, first);
        Shape image = f.bent(f.extent(), f.extent(), f.extent(), channels);
        SamplerProgram program = new SamplerProgram();
        int node =
                f.chance(0.5)
                        ? program.pixels(channels, f.value(), f.value())
                        : program.embedding(f.tensor(levels, f.extent()), channels);
        node = fuzzedConv(f, program, node, first, maskedWeight(f, first, program.channels(node)));
        MaskedConvOps.Options second =
                f.chance(0.2)
                        ? maskedOptions(f)
                        : MaskedConvOps.Options.of(MaskedConvOps.Taps.RASTER_B, 3)
                                .withGroups(groups);
        Shape weight = maskedWeight(f, second, program.channels(node));
        node = fuzzedConv(f, program, node, second, weight);
        node = program.activation(node, f.one(Activation.values()));
        if (f.chance(0.2)) {
            node = program.upsample(program.subsample(node));
        }
        if (f.chance(0.1)) {
            node = program.concatElu(node);
        }
        MaskedConvOps.Options linear =
                MaskedConvOps.Options.of(MaskedConvOps.Taps.RASTER_B, 1).withGroups(groups);
        Shape last = linear.weightShape(program.channels(node), levels * channels);
        fuzzedConv(f, program, node, linear, last);
        PixelSamplerOps.Options options =
                PixelSamplerOps.Options.of(LikelihoodLevelsOps.Options.categorical(levels))
                        .withGroups(groups)
                        .withTemperature(f.setting(0.1, 2))
                        .withTopK(f.chance(0.8) ? 0 : f.number(0, 2))
                        .withFirstImage(f.chance(0.9) ? 0 : f.number(0, 9));
        Tensor given = f.chance(0.5) ? null : f.codes(image, levels);
        PixelSamplerOps.Result r =
                PixelSamplerOps.sample(
                        f.scope(), program, image, options, given, f.noise(), f.chance(0.5));
        return List.of(
                new Made(r.image(), image),
                new Made(
                        r.parameters(),
                        r.parameters() == null
                                ? null
                                : image.withoutLast().withLast(levels * channels)),
                new Made(r.margins(), image.withoutLast()));
    }

    private static int fuzzedConv(
            Fuzz f, SamplerProgram program, int input, MaskedConvOps.Options o, Shape weight) {
        Tensor bias = f.optional(weight.rank() == 0 ? 1 : weight.get(0));
        return program.maskedConv(input, f.tensor(weight), bias, null, SamplerProgram.NONE, o);
    }

    private static List<Made> causalAttention(Fuzz f) {
        int heads = f.number(1, 3);
        long channels = heads < 8 && f.chance(0.95) ? 3L * heads * f.extent() : f.extent();
        Tensor qkv =
                f.chance(0.5)
                        ? f.tensor(f.extent(), f.extent(), channels)
                        : f.tensor(f.extent(), f.extent(), f.extent(), channels);
        boolean gradient = f.chance(0.5);
        CausalAttentionOps.Result r = CausalAttentionOps.forward(f.scope(), qkv, heads, gradient);
        Shape s = qkv.shape();
        Shape y = s.withoutLast().withLast(s.get(-1) / 3);
        if (!gradient) {
            return made(r.y(), y);
        }
        Tensor dy = f.tensor(y.toArray());
        return List.of(
                new Made(r.y(), y),
                new Made(CausalAttentionOps.backward(f.scope(), qkv, heads, r, dy), s));
    }

    private static PoolOps.Options options(Fuzz f, boolean average) {
        int height = f.number(1, 3);
        int width = f.number(1, 3);
        return new PoolOps.Options(
                height,
                width,
                f.number(1, 3),
                f.number(1, 3),
                f.chance(0.1) ? height / 2 : f.number(0, 1),
                f.chance(0.1) ? width / 2 : f.number(0, 1),
                average);
    }

    private static Shape output(Shape x, PoolOps.Options o) {
        return Shape.of(
                x.get(0),
                (x.get(1) + 2L * o.padY() - o.height()) / o.strideY() + 1,
                (x.get(2) + 2L * o.padX() - o.width()) / o.strideX() + 1,
                x.get(3));
    }

    private static List<Made> pool(Fuzz f, boolean average) {
        PoolOps.Options o = options(f, average);
        Tensor x = f.tensor(images(f, f.extent()));
        Scope scope = f.scope();
        boolean gradient = f.chance(0.7);
        PoolOps.Result r = PoolOps.forward(scope, x, o, gradient);
        Shape out = output(x.shape(), o);
        if (!gradient) {
            return made(r.y(), out);
        }
        Tensor dy = f.tensor(out.toArray());
        Tensor dx = PoolOps.backward(scope, dy, r.winners(), x.shape(), o);
        return List.of(new Made(r.y(), out), new Made(dx, x.shape()));
    }

    private static List<Made> forgedWinners(Fuzz f) {
        PoolOps.Options o = options(f, false);
        Shape images = images(f, f.extent());
        Tensor x = f.tensor(images);
        Tensor winners = PoolOps.forward(f.scope(), x, o, true).winners();
        Tensor forged = f.codes(winners.shape(), Integer.MAX_VALUE);
        Shape out = output(x.shape(), o);
        Tensor dy = f.tensor(out.toArray());
        return made(
                PoolOps.backward(f.scope(), dy, f.chance(0.1) ? null : forged, images, o), images);
    }
}
