package org.jlatent.train;

import java.util.Map;
import java.util.Optional;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.models.Model;

/** Where a value that is not finite comes from, in words. */
final class NonFinite {
    private NonFinite() {}

    /** Of a loss: data, a parameter, or an operation. */
    static String culprit(Model model, Tape tape, Tensor x) {
        if (!finite(x)) {
            return "the images hold a value that is not finite";
        }
        return parameter(model)
                .orElseGet(
                        () ->
                                "the first value that is not finite comes out of "
                                        + tape.firstNonFinite());
    }

    /** The first parameter that is to blame; empty when all are finite. */
    static Optional<String> parameter(Model model) {
        return model.parameters().entrySet().stream()
                .filter(p -> !finite(p.getValue()))
                .findFirst()
                .map(p -> "parameter " + p.getKey() + " holds a value that is not finite");
    }

    /** The first parameter whose gradient is to blame. */
    static String gradient(Model model, Tape tape) {
        return model.parameters().entrySet().stream()
                .filter(
                        p ->
                                tape.gradient(p.getValue()) != null
                                        && !finite(tape.gradient(p.getValue())))
                .map(Map.Entry::getKey)
                .findFirst()
                .orElse("several tensors together");
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
