package org.jlatent.train;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jlatent.Precision;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.models.Model;
import org.jlatent.models.Model.Objective;

/** Steps done one by one, each looked at before the weights change. */
final class EagerSteps implements Steps {
    private final Model model;
    private final Adam adam;
    private final Precision precision;
    private final Scope scratch;
    private final Listener listener;

    /**
     * @param scratch is cleared for every step
     */
    EagerSteps(Model model, Adam adam, Precision precision, Scope scratch, Listener listener) {
        this.model = model;
        this.adam = adam;
        this.precision = precision;
        this.scratch = scratch;
        this.listener = listener;
    }

    @Override
    public void step(long number, float[] images, int[] labels, float learningRate) {
        listener.done(labels.length, values(run(scratch, number, images, labels, learningRate)));
    }

    /** One step in a scope of its own choice. */
    Objective run(Scope scope, long number, float[] images, int[] labels, float learningRate) {
        scope.clear();
        Tape tape = new Tape(scope, precision);
        model.watch(tape);
        Tensor x = scope.of(Shape.of(labels.length, images.length / labels.length), images);
        Objective objective = model.objective(tape, x, labels);
        NonFinite.checkLoss(objective.loss(), number, model, tape, x);
        tape.backward(objective.loss());
        adam.setLearningRate(learningRate);
        adam.step(tape);
        if (adam.skippedSteps() > 0) {
            throw NonFinite.inGradient(number, model, tape);
        }
        model.random().advance();
        return objective;
    }

    static Map<String, float[]> values(Objective objective) {
        Map<String, float[]> values = new LinkedHashMap<>();
        values.put("loss", objective.loss().toFloatArray());
        objective.metrics().forEach((name, metric) -> values.put(name, metric.toFloatArray()));
        return values;
    }

    @Override
    public void finish() {}

    @Override
    public void close() {}
}
