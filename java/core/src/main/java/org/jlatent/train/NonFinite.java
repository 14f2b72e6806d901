package org.jlatent.train;

import java.util.Map;
import java.util.Optional;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.models.Model;

/** Where a value that is not finite comes from, in words. */
final class NonFinite {
    private NonFinite() {}

    /**
     * @param step from 1
     * @param x the images that the loss is of
     * @throws TrainingException unless the loss is finite
     */
    static void checkLoss(Tensor loss, long step, Model model, Tape tape, Tensor x) {
        float value = loss.item();
        if (!Float.isFinite(value)) {
            throw new TrainingException(
                    "the loss is "
                            + value
                            + " at step "
                            + step
                            + ": "
                            + culprit(model, tape, x)
                            + "; lower the learning rate or look at the data");
        }
    }

    /** Of a loss: data, a parameter, or an operation. */
    private static String culprit(Model model, Tape tape, Tensor x) {
        if (!finite(x)) {
            return "the images hold a value that is not finite";
        }
        return parameter(model)
                .orElseGet(
                        () ->
                                "the first value that is not finite comes out of "
                                        + tape.firstNonFinite());
    }

    /** What to throw when the optimizer met a gradient that is not finite. */
    static TrainingException inGradient(long step, Model model, Tape tape) {
        String which =
                model.parameters().entrySet().stream()
                        .filter(
                                p ->
                                        tape.gradient(p.getValue()) != null
                                                && !finite(tape.gradient(p.getValue())))
                        .map(Map.Entry::getKey)
                        .findFirst()
                        .orElse("several tensors together");
        return new TrainingException(
                "a gradient is not finite at step "
                        + step
                        + ": that of "
                        + which
                        + "; lower the learning rate or set a maximum norm");
    }

    /**
     * An activation such as ReLU can hide what is wrong with a weight from the loss.
     *
     * @param step after which this is
     * @throws TrainingException unless all parameters are finite
     */
    static void checkParameters(long step, Model model) {
        parameter(model)
                .ifPresent(
                        what -> {
                            throw new TrainingException("after step " + step + " " + what);
                        });
    }

    /** The first parameter that is to blame; empty when all are finite. */
    private static Optional<String> parameter(Model model) {
        return model.parameters().entrySet().stream()
                .filter(p -> !finite(p.getValue()))
                .findFirst()
                .map(p -> "parameter " + p.getKey() + " holds a value that is not finite");
    }

    private static boolean finite(Tensor tensor) {
        for (float value : tensor.toFloatArray()) {
            if (!Float.isFinite(value)) {
                return false;
            }
        }
        return true;
    }
}
