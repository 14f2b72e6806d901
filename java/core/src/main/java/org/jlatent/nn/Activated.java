package org.jlatent.nn;

import org.jlatent.Activation;
import org.jlatent.Ops;
import org.jlatent.Scope;
import org.jlatent.Tensor;

/** {@code f(product)}, computed with the product where the gradient can be told from the result. */
record Activated(Activation f) {

    /** What the product itself should apply. */
    Activation fused() {
        return f.differentiatesFromOutput() ? f : Activation.IDENTITY;
    }

    /** From what the product gave to the layer's output. */
    Tensor output(Scope scope, Tensor product) {
        return f.differentiatesFromOutput() ? product : Ops.activationForward(scope, f, product);
    }

    /** Gradient before the activation; {@code product} as given to {@link #output}. */
    Tensor gradient(Scope scope, Tensor product, Tensor dy) {
        return f == Activation.IDENTITY ? dy : Ops.activationBackward(scope, f, product, dy);
    }
}
