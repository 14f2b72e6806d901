package org.jlatent.nn;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.jlatent.GaussianOps;
import org.jlatent.Posterior;
import org.jlatent.Random;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * Draws z ~ q(z|x) = N(mu, exp(logVar)) by the reparameterization trick, with KL(q || N(0, I)), in
 * one kernel each way [Kingma, Welling 2014, eq. 10]. The noise is not stored: backward computes it
 * again.
 */
public final class GaussianSample {
    private final Random random;
    private final GaussianOps.Options options;

    /**
     * @param random must stay at the same step from a forward to its backward pass
     */
    public GaussianSample(Random random, GaussianOps.Options options) {
        this.random = random;
        this.options = options;
    }

    /**
     * @param klWeight one element that multiplies the total KL, or null for 1
     * @return every field recorded on the tape; {@link GaussianOps.Result} gives the shapes
     */
    public GaussianOps.Result forward(Tape tape, Posterior q, Tensor klWeight) {
        GaussianOps.Result r =
                GaussianOps.forward(tape.scope(), q, options, random, null, klWeight);
        List<Tensor> outputs = new ArrayList<>(List.of(r.z(), r.klRows(), r.klTotal()));
        Stream.of(r.logQ(), r.logP()).filter(Objects::nonNull).forEach(outputs::add);
        tape.record(
                "gaussian sample",
                q.tensors(),
                outputs,
                () -> {
                    GaussianOps.Gradients d =
                            new GaussianOps.Gradients(
                                    tape.gradient(r.z()),
                                    tape.gradient(r.klRows()),
                                    tape.gradient(r.klTotal()),
                                    r.logQ() == null ? null : tape.gradient(r.logQ()),
                                    r.logP() == null ? null : tape.gradient(r.logP()));
                    Posterior dq =
                            GaussianOps.backward(
                                    tape.scope(),
                                    q,
                                    options,
                                    random,
                                    null,
                                    klWeight,
                                    r.klLive(),
                                    d);
                    for (int i = 0; i < q.tensors().size(); i++) {
                        tape.accumulate(q.tensors().get(i), dq.tensors().get(i));
                    }
                });
        return r;
    }
}
