package org.jlatent;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;

/**
 * Reverse-mode differentiation: operations record how to go back, {@link #backward} goes back
 * through them in reverse order.
 *
 * <p>Gradients are kept for tensors that lead from a {@linkplain #watch watched} tensor (parameters
 * are) to the loss; for all others nothing is computed. Everything the tape makes lives in its
 * scope, and is gone when that is cleared: a tape serves one step. It belongs to the thread of its
 * device.
 */
public final class Tape {
    private record Step(List<Tensor> outputs, Runnable backward) {}

    private final Scope scope;
    private final boolean recording;
    private final Precision precision;
    private final List<Step> steps = new ArrayList<>();
    private final Map<Tensor, Tensor> gradients = new HashMap<>();
    private final Set<Tensor> tracked = new HashSet<>();
    private final List<String> labels = new ArrayList<>();
    private Tensor seed;

    /**
     * A tape that records, in f32.
     *
     * @param scope owns what operations and gradients allocate
     */
    public Tape(Scope scope) {
        this(scope, Precision.F32);
    }

    /** A tape that records. */
    public Tape(Scope scope, Precision precision) {
        this(scope, true, precision);
    }

    private Tape(Scope scope, boolean recording, Precision precision) {
        this.scope = scope;
        this.recording = recording;
        this.precision = precision;
    }

    /** A tape that records nothing, for inference in f32. */
    public static Tape inference(Scope scope) {
        return inference(scope, Precision.F32);
    }

    /** A tape that records nothing, for inference. */
    public static Tape inference(Scope scope, Precision precision) {
        return new Tape(scope, false, precision);
    }

    /** Owns everything the tape makes. */
    public Scope scope() {
        return scope;
    }

    /**
     * {@code x} as a factor of a product or convolution: rounded to the tape's {@link Precision}.
     * Only what is multiplied and summed in f32 should go through this.
     *
     * @return x itself where nothing is to be rounded
     */
    public Tensor factor(Tensor x) {
        return factors() == DType.BF16 ? Ops.cast(scope, x, DType.BF16) : x;
    }

    /**
     * What factors are rounded to, F32 (not at all) or BF16: for operations that do it themselves.
     */
    public DType factors() {
        return precision == Precision.BF16 ? DType.BF16 : DType.F32;
    }

    /** Whether operations should keep what backward needs. */
    public boolean recording() {
        return recording;
    }

    /** Asks for the gradient of {@code leaf}. */
    public void watch(Tensor leaf) {
        if (recording) {
            tracked.add(leaf);
        }
    }

    /** Whether a gradient of {@code tensor} is wanted. */
    public boolean tracks(Tensor tensor) {
        return tracked.contains(tensor);
    }

    /**
     * Records an operation. {@code backward} is run once, when some output has a gradient; it reads
     * {@link #gradient} of the outputs and calls {@link #accumulate} for the inputs that are
     * tracked.
     *
     * @param label names the operation when a value turns out not to be finite
     * @param inputs what the outputs depend on; when none of them is tracked nothing is recorded
     */
    public void record(String label, List<Tensor> inputs, List<Tensor> outputs, Runnable backward) {
        if (!recording || inputs.stream().noneMatch(tracked::contains)) {
            return;
        }
        tracked.addAll(outputs);
        steps.add(new Step(List.copyOf(outputs), backward));
        labels.add(label);
    }

    /**
     * Records an operation of one input and one output; {@code backward} maps the output's gradient
     * to the input's.
     */
    public Tensor record(
            String label, Tensor input, Tensor output, UnaryOperator<Tensor> backward) {
        record(
                label,
                List.of(input),
                List.of(output),
                () -> accumulate(input, backward.apply(gradient(output))));
        return output;
    }

    /** Gradient of the loss for {@code tensor}; null when the loss does not depend on it. */
    public Tensor gradient(Tensor tensor) {
        return gradients.get(tensor);
    }

    /**
     * Adds to the gradient of {@code tensor}; does nothing when it is not tracked.
     *
     * @throws ShapeException unless {@code gradient} has the tensor's shape
     */
    public void accumulate(Tensor tensor, Tensor gradient) {
        if (!tracks(tensor)) {
            return;
        }
        if (!gradient.shape().equals(tensor.shape())) {
            throw new ShapeException(
                    "gradient " + gradient.shape() + " for a tensor " + tensor.shape());
        }
        gradients.merge(tensor, gradient, (a, b) -> Ops.add(scope, a, b));
    }

    /**
     * Whether {@code gradient} is the 1 that backward started from: multiplying with it can be left
     * out.
     */
    public boolean isSeed(Tensor gradient) {
        return gradient == seed;
    }

    /**
     * Fills in the gradients of everything that {@code loss} depends on.
     *
     * @param loss one element, recorded on this tape
     * @throws ShapeException if it has more
     * @throws IllegalStateException if it depends on no watched tensor, or this was called before
     */
    public void backward(Tensor loss) {
        if (seed != null) { // the gradients of both would add up
            throw new IllegalStateException(
                    "backward has been called: a tape serves one step, record the next on a new one");
        }
        if (loss.shape().elements() != 1) {
            throw new ShapeException("backward starts from a scalar, not from " + loss.shape());
        }
        if (!tracks(loss)) {
            throw new IllegalStateException("the loss does not depend on any watched tensor");
        }
        seed = scope.filled(loss.shape(), 1.0f);
        gradients.put(loss, seed);
        for (int i = steps.size() - 1; i >= 0; i--) {
            Step step = steps.get(i);
            if (step.outputs.stream().anyMatch(gradients::containsKey)) {
                step.backward.run();
            }
        }
    }

    /**
     * The first recorded output that holds a value that is not finite, by its operation's label;
     * null when all are. Waits for the device.
     */
    public String firstNonFinite() {
        for (int i = 0; i < steps.size(); i++) {
            for (Tensor output : steps.get(i).outputs) {
                for (float value : output.toFloatArray()) {
                    if (!Float.isFinite(value)) {
                        return labels.get(i) + " " + output.shape();
                    }
                }
            }
        }
        return null;
    }
}
