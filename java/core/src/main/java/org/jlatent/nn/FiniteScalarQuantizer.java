package org.jlatent.nn;

import java.util.Arrays;
import org.jlatent.FiniteScalarQuantizeOps;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * Every value of a vector is bounded and rounded to one of a few levels in [-1, 1]; the code says
 * which combination of levels it is [Mentzer et al. 2023, sec. 3.1]. Nothing is learnt, and there
 * is no loss: the gradient goes straight through the rounding.
 *
 * <p>Buffer: {@code seen}, which counts codes for {@link #health}.
 */
public final class FiniteScalarQuantizer extends Quantizer {
    private static final long MOST_CODES = 1 << 24;

    private final int[] levels;
    private final CodeCounts counts;

    /**
     * @param levels of each value of a vector; some good ones: 8 6 5 for 240 codes, 8 5 5 5 for
     *     1000, 7 5 5 5 5 for 4375 [ibid., table 1]
     * @throws IllegalArgumentException unless each is at least 2 and there are 2^24 codes at most
     */
    public FiniteScalarQuantizer(Init init, int... levels) {
        this.levels = levels.clone();
        if (codes() > MOST_CODES) {
            throw new IllegalArgumentException(
                    "health counts each code, which are 2^24 at most, got "
                            + codes()
                            + " of levels "
                            + Arrays.toString(levels));
        }
        this.counts = new CodeCounts(init.scope(), Shape.of(), codes());
        buffer("seen", counts.seen());
    }

    @Override
    public long dims() {
        return levels.length;
    }

    @Override
    public long codes() {
        return FiniteScalarQuantizeOps.codes(levels);
    }

    @Override
    public Shape books() {
        return Shape.of();
    }

    @Override
    public Quantized forward(Tape tape, Tensor x) {
        Scope scope = tape.scope();
        FiniteScalarQuantizeOps.Result r = FiniteScalarQuantizeOps.forward(scope, x, levels);
        tape.record(
                "finite scalar quantize",
                x,
                r.q(),
                dq -> FiniteScalarQuantizeOps.backward(scope, x, dq, levels));
        return new Quantized(r.q(), r.codes(), null, counts.of(tape, r.codes()));
    }

    @Override
    public Tensor decode(Scope scope, Tensor codes) {
        return FiniteScalarQuantizeOps.decode(scope, codes, levels);
    }

    @Override
    public CodebookHealth health() {
        return counts.health(0);
    }

    @Override
    public void clearHealth() {
        counts.clear();
    }
}
