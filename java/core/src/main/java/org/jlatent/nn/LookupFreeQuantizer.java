package org.jlatent.nn;

import java.util.List;
import org.jlatent.LookupFreeQuantizeOps;
import org.jlatent.LookupFreeQuantizeOps.Gradients;
import org.jlatent.LookupFreeQuantizeOps.Result;
import org.jlatent.Ops;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * Every value of a vector becomes its sign, -1 or 1, and these bits are the code [Yu et al. 2023,
 * "Language Model Beats Diffusion", sec. 3.1]. There is no codebook; the loss draws values to their
 * signs and, by an entropy penalty, keeps codes certain for each vector and evenly used over all.
 *
 * <p>Buffer: {@code seen}, which counts codes for {@link #health}.
 */
public final class LookupFreeQuantizer extends Quantizer {
    private static final float TEMPERATURE = 1; // the slope of the penalty reaches |x| of about 1

    private final int bits;
    private final Tensor beta;
    private final Tensor entropyWeight;
    private final CodeCounts counts;

    /**
     * @param bits of a code, the dimensions of a vector, 1 to 24
     * @param beta weight of the commitment loss, at least 0; mostly 0.25
     * @param entropyWeight weight of the entropy penalty, at least 0; mostly 0.1
     */
    public LookupFreeQuantizer(Init init, int bits, float beta, float entropyWeight) {
        if (bits < 1 || bits > 24) { // health counts each of the 2^bits codes
            throw new IllegalArgumentException("bits must be in [1, 24], got " + bits);
        }
        this.bits = bits;
        this.beta = init.scope().scalar(weight("beta", beta));
        this.entropyWeight = init.scope().scalar(weight("entropyWeight", entropyWeight));
        this.counts = new CodeCounts(init.scope(), Shape.of(), codes());
        buffer("seen", counts.seen());
    }

    private static float weight(String name, float value) {
        if (!(value >= 0) || Float.isInfinite(value)) {
            throw new IllegalArgumentException(
                    name + " must be finite and at least 0, got " + value);
        }
        return value;
    }

    @Override
    public long dims() {
        return bits;
    }

    @Override
    public long codes() {
        return 1L << bits;
    }

    @Override
    public Shape books() {
        return Shape.of();
    }

    @Override
    public Quantized forward(Tape tape, Tensor x) {
        if (x.shape().rank() == 0 || x.shape().get(-1) != bits) {
            throw new ShapeException(
                    "the last axis of x must have " + bits + " bits, got " + x.shape());
        }
        Scope scope = tape.scope();
        Result r = LookupFreeQuantizeOps.forward(scope, x, TEMPERATURE, beta, null);
        Tensor loss = Ops.add(scope, r.commitment(), Ops.scale(scope, r.penalty(), entropyWeight));
        tape.record(
                "lookup-free quantize",
                List.of(x),
                List.of(r.q(), loss),
                () -> tape.accumulate(x, gradient(tape, x, r, loss)));
        return new Quantized(r.q(), r.codes(), loss, counts.of(tape, r.codes()));
    }

    private Tensor gradient(Tape tape, Tensor x, Result r, Tensor loss) {
        Scope scope = tape.scope();
        Tensor d = tape.gradient(loss);
        Tensor dPenalty = d == null ? null : Ops.scale(scope, d, entropyWeight);
        return LookupFreeQuantizeOps.backward(
                scope,
                x,
                TEMPERATURE,
                beta,
                null,
                r,
                new Gradients(tape.gradient(r.q()), d, dPenalty));
    }

    @Override
    public Tensor decode(Scope scope, Tensor codes) {
        return LookupFreeQuantizeOps.decode(scope, codes, bits);
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
