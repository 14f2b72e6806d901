package org.jlatent.nn;

import org.jlatent.Tape;
import org.jlatent.Tensor;

/** A differentiable function of one tensor. */
@FunctionalInterface
public interface Layer {

    /**
     * @return the output, recorded on {@code tape} and owned by its scope
     */
    Tensor forward(Tape tape, Tensor x);
}
