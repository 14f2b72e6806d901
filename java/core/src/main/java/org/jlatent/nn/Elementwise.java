package org.jlatent.nn;

import org.jlatent.Activation;
import org.jlatent.Ops;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * An activation as a layer of its own, any shape. {@link Linear} fuses it where one follows the
 * other.
 */
public record Elementwise(Activation activation) implements Layer {

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        Tensor y = Ops.activationForward(tape.scope(), activation, x);
        Tensor saved = activation.differentiatesFromOutput() ? y : x;
        return tape.record(
                activation.name(),
                x,
                y,
                dy -> Ops.activationBackward(tape.scope(), activation, saved, dy));
    }
}
