package org.jlatent.nn;

import org.jlatent.Ops;
import org.jlatent.Random;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * Sets values to 0 at random while training, and scales the others so that the mean stays
 * [Srivastava et al. 2014]; hands x through when the tape does not record. The mask is not stored:
 * backward computes it again.
 */
public final class Dropout implements Layer {
    private final Random random;
    private final int site;
    private final float drop;

    /**
     * @param random must stay at the same step from a forward to its backward pass
     * @param site which random draw of the model this is
     * @param drop probability of being set to 0, in [0, 1)
     */
    public Dropout(Random random, int site, float drop) {
        if (!(drop >= 0 && drop < 1)) {
            throw new IllegalArgumentException("drop must be in [0, 1), got " + drop);
        }
        this.random = random;
        this.site = site;
        this.drop = drop;
    }

    /** Whether it never sets anything to 0. */
    public boolean isNone() {
        return drop == 0;
    }

    /**
     * @param x any shape
     */
    @Override
    public Tensor forward(Tape tape, Tensor x) {
        if (!tape.recording() || drop == 0) {
            return x;
        }
        return tape.record("dropout", x, mask(tape, x), dy -> mask(tape, dy));
    }

    private Tensor mask(Tape tape, Tensor t) {
        return Ops.dropout(tape.scope(), t, random, site, drop, true);
    }
}
