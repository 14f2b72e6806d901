package org.jlatent;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jlatent.OpsFuzzTest.Made;
import org.jlatent.VectorQuantizeOps.Averages;
import org.jlatent.VectorQuantizeOps.Estimator;
import org.jlatent.VectorQuantizeOps.Gradients;
import org.jlatent.VectorQuantizeOps.InputGradients;
import org.jlatent.VectorQuantizeOps.Result;

/** The calls of {@link OpsFuzzTest} to {@link VectorQuantizeOps}. */
final class FuzzedQuantizeCalls {
    private FuzzedQuantizeCalls() {}

    /** Extents of one call: of x's rows, of a codebook with two to four axes, and of x. */
    private record Extents(long[] rows, long[] codebook) {
        static Extents of(Fuzz f) {
            long[] rows = new long[f.below(3)];
            Arrays.setAll(rows, i -> f.extent());
            long[] codebook = new long[2 + f.below(3)];
            Arrays.setAll(codebook, i -> Math.max(f.extent(), f.chance(0.02) ? 0 : 1));
            return new Extents(rows, codebook);
        }

        private long[] leading(int without) {
            return Arrays.copyOf(codebook, codebook.length - without);
        }

        long[] x() {
            long heads = codebook.length < 4 ? 1 : codebook[0];
            return followed(rows, heads * codebook[codebook.length - 1]);
        }

        long[] codes() {
            return followed(rows, leading(2));
        }

        long[] counts() {
            return leading(1);
        }

        private static long[] followed(long[] extents, long... more) {
            long[] all = Arrays.copyOf(extents, extents.length + more.length);
            System.arraycopy(more, 0, all, extents.length, more.length);
            return all;
        }
    }

    private static DType type(Fuzz f) {
        return f.chance(0.3) ? DType.BF16 : DType.F32;
    }

    static List<Made> pass(Fuzz f) {
        Extents e = Extents.of(f);
        DType type = type(f);
        Tensor x = f.stored(type, e.x());
        Tensor codebook = f.tensor(e.codebook());
        Tensor beta = f.optional(1);
        Tensor invalid = f.chance(0.3) ? f.counter() : null;
        Scope scope = f.scope();
        Result r =
                VectorQuantizeOps.forward(scope, x, codebook, f.optional(e.rows()), beta, invalid);
        Extents given = new Extents(x.shape().withoutLast().toArray(), codebook.shape().toArray());
        List<Made> all = new ArrayList<>();
        all.add(new Made(r.codes(), Shape.of(given.codes())));
        all.add(new Made(r.q(), x.shape()));
        all.add(new Made(r.rowErrors(), Shape.of(given.rows())));
        all.add(new Made(r.codebookLoss(), Shape.of(1)));
        all.add(new Made(r.commitment(), Shape.of(1)));
        all.add(new Made(r.histogram(), Shape.of(given.counts())));
        all.add(new Made(r.valid(), Shape.of(1)));
        Gradients d =
                new Gradients(
                        f.chance(0.3) ? null : f.stored(type, e.x()), f.optional(1), f.optional(1));
        InputGradients g =
                VectorQuantizeOps.backward(
                        scope, x, codebook, beta, r, f.one(Estimator.values()), d);
        all.add(new Made(g.dx(), x.shape()));
        if (g.dCodebook() != null) {
            all.add(new Made(g.dCodebook(), codebook.shape()));
        }
        return all;
    }

    static List<Made> average(Fuzz f) {
        Extents e = Extents.of(f);
        Tensor x = f.stored(type(f), e.x());
        Tensor codes = f.codes(f.bent(e.codes()), (int) e.counts()[e.counts().length - 1]);
        Averages settings =
                Averages.of(
                        f.scope(),
                        f.bent(e.codebook()),
                        f.setting(0, 0.99),
                        f.setting(0, 1),
                        f.setting(0, 1));
        Averages averages =
                new Averages(
                        settings.state(),
                        f.target(e.counts()),
                        f.chance(0.3) ? null : f.target(e.codebook()));
        Tensor codebook = f.target(e.codebook());
        Random random = f.chance(0.3) ? null : f.noise();
        VectorQuantizeOps.average(f.scope(), x, codes, averages, random, f.number(0, 9), codebook);
        return List.of(
                new Made(codebook, Shape.of(e.codebook())),
                new Made(averages.counts(), Shape.of(e.counts())));
    }

    static List<Made> usage(Fuzz f) {
        Shape shape = f.shape(1 + f.below(3));
        Tensor histogram = f.codes(shape, 100);
        Tensor seen = f.scope().empty(f.bent(shape.toArray()), DType.I32);
        seen.copyFrom(new int[(int) seen.shape().elements()]);
        long[] expected = shape.toArray();
        Tensor usage = VectorQuantizeOps.usage(f.scope(), histogram, seen);
        expected[expected.length - 1] = 3;
        return FuzzedCalls.made(usage, Shape.of(expected));
    }

    static List<Made> histogram(Fuzz f) {
        int most = 1 + f.below(9);
        Shape books = f.shape(f.below(3));
        long[] codes = Extents.followed(new long[] {f.extent()}, books.toArray());
        Tensor histogram =
                VectorQuantizeOps.histogram(f.scope(), f.codes(f.bent(codes), most), books, most);
        return FuzzedCalls.made(histogram, books.withLast(most));
    }
}
