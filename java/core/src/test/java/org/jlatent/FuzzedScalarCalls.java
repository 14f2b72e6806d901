package org.jlatent;

import static org.jlatent.FuzzedCalls.made;

import java.util.List;
import java.util.Map;
import org.jlatent.FuzzedCalls.Call;
import org.jlatent.OpsFuzzTest.Made;

/** Scalar quantizations, levels and rows of length 1 among the calls of {@link OpsFuzzTest}. */
final class FuzzedScalarCalls {
    private FuzzedScalarCalls() {}

    static List<Map.Entry<String, Call>> all() {
        return List.of(
                Map.entry("l2Normalize", FuzzedScalarCalls::l2Normalize),
                Map.entry("finite scalar", FuzzedScalarCalls::finiteScalar),
                Map.entry("finite scalar decode", FuzzedScalarCalls::finiteScalarDecode),
                Map.entry("lookup free", FuzzedScalarCalls::lookupFree),
                Map.entry("lookup free decode", FuzzedScalarCalls::lookupFreeDecode),
                Map.entry("levels", FuzzedScalarCalls::levelsOfValues),
                Map.entry("level likelihood", FuzzedScalarCalls::levelLikelihood),
                Map.entry("level draw", FuzzedScalarCalls::levelDraw));
    }

    private static List<Made> l2Normalize(Fuzz f) {
        Shape shape = f.shape();
        Tensor x = f.tensor(shape);
        Tensor y =
                f.chance(0.5)
                        ? NormOps.l2Normalize(f.scope(), x)
                        : NormOps.l2NormalizeBackward(f.scope(), x, f.tensor(shape.toArray()));
        return made(y, shape);
    }

    private static int[] levels(Fuzz f) {
        int[] levels = new int[(int) f.extent()];
        for (int i = 0; i < levels.length; i++) {
            levels[i] = f.chance(0.01) ? f.number(0, 2) : 2 + f.below(9);
        }
        return levels;
    }

    /** Some axes, and the last of this length. */
    private static Shape rowsOf(Fuzz f, long last) {
        return f.bent(f.shape(f.below(3)).withLast(last).toArray());
    }

    private static List<Made> finiteScalar(Fuzz f) {
        int[] levels = levels(f);
        Shape shape = rowsOf(f, levels.length);
        Tensor x = f.tensor(shape);
        Scope scope = f.scope();
        FiniteScalarQuantizeOps.Result r = FiniteScalarQuantizeOps.forward(scope, x, levels);
        Tensor dq = f.tensor(shape.toArray());
        return List.of(
                new Made(r.codes(), shape.withoutLast()),
                new Made(r.q(), shape),
                new Made(FiniteScalarQuantizeOps.backward(scope, x, dq, levels), shape));
    }

    private static List<Made> finiteScalarDecode(Fuzz f) {
        int[] levels = levels(f);
        Shape shape = f.shape(f.below(3));
        Tensor codes = f.codes(shape, FiniteScalarQuantizeOps.codes(levels));
        Tensor q = FiniteScalarQuantizeOps.decode(f.scope(), codes, levels);
        return made(q, shape.withLast(levels.length));
    }

    private static List<Made> lookupFree(Fuzz f) {
        Shape shape = rowsOf(f, f.extent());
        Tensor x = f.tensor(shape);
        Tensor beta = f.optional(1);
        Tensor gamma = f.optional(1);
        float temperature = f.setting(0.01, 2);
        Scope scope = f.scope();
        LookupFreeQuantizeOps.Result r =
                LookupFreeQuantizeOps.forward(scope, x, temperature, beta, gamma);
        LookupFreeQuantizeOps.Gradients d =
                new LookupFreeQuantizeOps.Gradients(
                        f.optional(shape.toArray()), f.optional(1), f.optional(1));
        Tensor dx = LookupFreeQuantizeOps.backward(scope, x, temperature, beta, gamma, r, d);
        return List.of(
                new Made(r.codes(), shape.withoutLast()),
                new Made(r.q(), shape),
                new Made(r.commitment(), Shape.of(1)),
                new Made(r.penalty(), Shape.of(1)),
                new Made(r.entropies(), Shape.of(2)),
                new Made(r.bitLogOdds(), Shape.of(shape.get(-1))),
                new Made(dx, shape));
    }

    private static List<Made> lookupFreeDecode(Fuzz f) {
        int dims = f.number(1, 30);
        Shape shape = f.shape(f.below(3));
        Tensor codes = f.codes(shape, 1 << Math.min(Math.max(dims, 0), 30));
        return made(LookupFreeQuantizeOps.decode(f.scope(), codes, dims), shape.withLast(dims));
    }

    private static List<Made> levelsOfValues(Fuzz f) {
        Tensor values = f.tensor(f.shape());
        return made(
                LikelihoodLevelsOps.ofValues(f.scope(), values, f.number(2, 300)), values.shape());
    }

    private static LikelihoodLevelsOps.Options levelOptions(Fuzz f) {
        return switch (f.below(5)) {
            case 0 -> LikelihoodLevelsOps.Options.bernoulli();
            case 1, 2 -> LikelihoodLevelsOps.Options.categorical(f.number(2, 70));
            default ->
                    LikelihoodLevelsOps.Options.logisticMixture(
                            f.number(1, 4), f.number(2, 300), f.number(1, 5));
        };
    }

    private static List<Made> levelLikelihood(Fuzz f) {
        LikelihoodLevelsOps.Options options = levelOptions(f);
        long xRows = f.extent();
        long rows = xRows * f.number(1, 3);
        long pixels = f.extent();
        Tensor parameters = f.tensor(rows, pixels, options.parametersPerPixel());
        Tensor x = f.codes(f.bent(xRows, pixels, options.channels()), options.levels());
        LikelihoodOps.Result r =
                LikelihoodLevelsOps.nll(
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

    private static List<Made> levelDraw(Fuzz f) {
        LikelihoodLevelsOps.Options options = levelOptions(f);
        Shape shape = f.bent(f.extent(), f.extent(), options.channels());
        Tensor parameters = f.tensor(shape.withLast(options.parametersPerPixel()).toArray());
        Tensor x =
                LikelihoodLevelsOps.draw(
                        f.scope(),
                        options,
                        parameters,
                        shape,
                        f.noise(),
                        f.below(9),
                        f.setting(0.1, 2),
                        f.chance(0.7) ? 0 : f.number(0, options.levels()));
        return made(x, shape);
    }
}
