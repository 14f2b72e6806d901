package org.jlatent.nn;

import org.jlatent.Tape;
import org.jlatent.Tensor;

/** A differentiable function of one tensor. */
@FunctionalInterface
public interface Layer {

    /**
     * Applies the layer.
     *
     * @return the output, recorded on {@code tape} and owned by its scope
     * @throws org.jlatent.ShapeException if the layer does not take x's shape
     */
    Tensor forward(Tape tape, Tensor x);
}
