package org.example.consumer;

import java.util.List;
import org.jlatent.Activation;
import org.jlatent.Device;
import org.jlatent.GradientCheck;
import org.jlatent.Ops;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.nn.Init;
import org.jlatent.nn.Layer;
import org.jlatent.nn.Likelihoods;
import org.jlatent.nn.Module;

/** A layer of one's own, with its own backward pass, checked against finite differences. */
final class OwnModule {
    private OwnModule() {}

    /** y = factor x, the factor learned. */
    static final class Scaled extends Module implements Layer {
        private final Tensor factor;

        Scaled(Init init) {
            factor = parameter("factor", init.scope().scalar(1.5f));
        }

        @Override
        public Tensor forward(Tape tape, Tensor x) {
            Scope scope = tape.scope();
            Tensor y = Ops.scale(scope, x, factor);
            tape.record(
                    "scaled",
                    List.of(x, factor),
                    List.of(y),
                    () -> {
                        Tensor dy = tape.gradient(y);
                        tape.accumulate(x, Ops.scale(scope, dy, factor));
                        tape.accumulate(factor, dot(scope, x, dy).reshape(Shape.of(1)));
                    });
            return y;
        }

        private static Tensor dot(Scope scope, Tensor a, Tensor b) {
            Shape row = Shape.of(1, a.shape().elements());
            return Ops.matmul(
                    scope, a.reshape(row), false, b.reshape(row), true, null, Activation.IDENTITY);
        }
    }

    static void run() {
        try (Device device = Device.cpu();
                Scope scope = new Scope(device)) {
            Scaled scaled = new Scaled(new Init(scope, 1));
            Tensor x = scope.of(Shape.of(2, 2), 0.5f, -0.25f, 0.75f, 1);
            Tensor target = scope.of(Shape.of(2, 2), 0.1f, 0.2f, 0.3f, 0.4f);
            Tensor one = scope.scalar(1);
            for (Tensor leaf : List.of(x, scaled.parameters().get("factor"))) {
                GradientCheck.check(
                        scope,
                        leaf,
                        (tape, changed) ->
                                Likelihoods.gaussian(1)
                                        .loss(tape, scaled.forward(tape, x), target, one)
                                        .total());
            }
        }
        System.out.println("module: its gradients agree with finite differences");
    }
}
