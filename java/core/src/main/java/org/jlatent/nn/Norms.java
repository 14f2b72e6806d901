package org.jlatent.nn;

import java.util.List;
import org.jlatent.NormOps;
import org.jlatent.ShapeException;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/** What the normalizing layers share. */
final class Norms {
    private Norms() {}

    static void requireChannels(String kind, long channels) {
        if (channels < 1) {
            throw new ShapeException(kind + " norm needs at least one channel, got " + channels);
        }
    }

    static Tensor forward(
            Tape tape,
            String label,
            NormOps.Options options,
            Tensor x,
            Tensor weight,
            Tensor bias,
            NormOps.Running running) {
        NormOps.Result r = NormOps.forward(tape.scope(), options, x, weight, bias, running);
        tape.record(
                label,
                List.of(x, weight, bias),
                List.of(r.y()),
                () -> {
                    NormOps.Gradients d =
                            NormOps.backward(
                                    tape.scope(),
                                    options,
                                    x,
                                    weight,
                                    r.statistics(),
                                    tape.gradient(r.y()),
                                    tape.tracks(x));
                    tape.accumulate(weight, d.dGamma());
                    tape.accumulate(bias, d.dBeta());
                    if (d.dx() != null) {
                        tape.accumulate(x, d.dx());
                    }
                });
        return r.y();
    }
}
