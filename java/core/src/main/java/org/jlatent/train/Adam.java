package org.jlatent.train;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jlatent.DType;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.internal.Kernels;
import org.jlatent.spi.Backend;

/**
 * Adam and AdamW over all parameters in one kernel, with global-norm clipping and an optional
 * moving average of the weights [Kingma, Ba 2015; Loshchilov, Hutter 2019]; formulas in
 * kernels/adam/adam.h.
 *
 * <p>Belongs to the thread of the parameters' device. A gradient norm that is not finite changes no
 * weight; {@link #skippedSteps} counts it.
 */
public final class Adam {
    private static final int DESCRIPTOR_BYTES = 56; // jl_adam_tensor
    private static final int STEP = 6; // indices into jl_adam_state, as 32-bit words
    private static final int SKIPPED = 7;
    private static final int GRADIENT_NORM = 8;
    private static final int STOP = 10;
    static final int STATE_WORDS = 12;

    /**
     * @param learningRate step size
     * @param beta1 decay of the first moment
     * @param beta2 decay of the second moment
     * @param epsilon added to the root of the second moment
     * @param weightDecay decoupled; matrices only, biases and other vectors are not decayed
     * @param maxNorm gradients are scaled down to this global norm; 0: no clipping
     * @param averageDecay of the moving average of the weights; 0: none is kept
     */
    public record Options(
            float learningRate,
            float beta1,
            float beta2,
            float epsilon,
            float weightDecay,
            float maxNorm,
            float averageDecay) {
        public Options {
            require(
                    learningRate >= 0 && Float.isFinite(learningRate),
                    "learningRate must be at least 0",
                    learningRate);
            require(beta1 >= 0 && beta1 < 1, "beta1 must be in [0, 1)", beta1);
            require(beta2 >= 0 && beta2 < 1, "beta2 must be in [0, 1)", beta2);
            require(epsilon > 0, "epsilon must be positive", epsilon);
            require(weightDecay >= 0, "weightDecay must be at least 0", weightDecay);
            require(maxNorm >= 0, "maxNorm must be at least 0", maxNorm);
            require(
                    averageDecay >= 0 && averageDecay < 1,
                    "averageDecay must be in [0, 1)",
                    averageDecay);
        }

        private static void require(boolean condition, String rule, float given) {
            if (!condition) {
                throw new IllegalArgumentException(rule + ", got " + given);
            }
        }

        /** Adam as published: 1e-3, 0.9, 0.999, 1e-8. */
        public static Options defaults() {
            return new Options(1e-3f, 0.9f, 0.999f, 1e-8f, 0.0f, 0.0f, 0.0f);
        }

        /** With another step size. */
        public Options withLearningRate(float rate) {
            return new Options(rate, beta1, beta2, epsilon, weightDecay, maxNorm, averageDecay);
        }

        /** With other decays of the moments. */
        public Options withBetas(float first, float second) {
            return new Options(
                    learningRate, first, second, epsilon, weightDecay, maxNorm, averageDecay);
        }

        /** With another epsilon. */
        public Options withEpsilon(float value) {
            return new Options(
                    learningRate, beta1, beta2, value, weightDecay, maxNorm, averageDecay);
        }

        /** With another decoupled weight decay; 0: none. */
        public Options withWeightDecay(float decay) {
            return new Options(learningRate, beta1, beta2, epsilon, decay, maxNorm, averageDecay);
        }

        /** With another limit of the global norm; 0: no clipping. */
        public Options withMaxNorm(float norm) {
            return new Options(
                    learningRate, beta1, beta2, epsilon, weightDecay, norm, averageDecay);
        }

        /** With another decay of the average of the weights; 0: none is kept. */
        public Options withAverageDecay(float decay) {
            return new Options(learningRate, beta1, beta2, epsilon, weightDecay, maxNorm, decay);
        }
    }

    private record Slot(
            String name, Tensor value, Tensor first, Tensor second, Tensor average, float decay) {}

    private final List<Slot> slots = new ArrayList<>();
    private final Tensor state; // a jl_adam_state

    /**
     * An optimizer that has done no step.
     *
     * @param scope owns the optimizer's state
     * @param parameters by name, as {@code Module.parameters} gives them
     */
    public Adam(Scope scope, Map<String, Tensor> parameters, Options options) {
        parameters.forEach(
                (name, value) ->
                        slots.add(
                                new Slot(
                                        name,
                                        value,
                                        scope.zeros(value.shape()),
                                        scope.zeros(value.shape()),
                                        options.averageDecay() > 0 ? copy(scope, value) : null,
                                        value.shape().rank() >= 2 ? options.weightDecay() : 0.0f)));
        state = scope.zeros(Shape.of(STATE_WORDS));
        state.device()
                .backend()
                .copyIn(
                        new float[] {
                            options.learningRate(),
                            options.beta1(),
                            options.beta2(),
                            options.epsilon(),
                            options.maxNorm(),
                            options.averageDecay()
                        },
                        0,
                        state.address(),
                        6);
    }

    private static Tensor copy(Scope scope, Tensor value) {
        return scope.of(value.shape(), value.toFloatArray());
    }

    /** The step size from now on. */
    public void setLearningRate(float rate) {
        state.device().backend().copyIn(new float[] {rate}, 0, state.address(), 1);
    }

    /**
     * One step with the gradients of {@code tape}; parameters that the loss does not depend on stay
     * as they are.
     */
    public void step(Tape tape) {
        ByteBuffer table =
                ByteBuffer.allocate(slots.size() * DESCRIPTOR_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (Slot slot : slots) {
            Tensor gradient = tape.gradient(slot.value);
            table.putLong(slot.value.address()).putLong(gradient == null ? 0 : gradient.address());
            table.putLong(slot.first.address()).putLong(slot.second.address());
            table.putLong(slot.average == null ? 0 : slot.average.address())
                    .putLong(slot.value.shape().elements());
            table.putFloat(slot.decay).putFloat(0.0f);
        }
        Backend backend = state.device().backend();
        Tensor descriptors = // jl_adam_tensor, one a slot
                tape.scope().empty(Shape.of((long) slots.size() * DESCRIPTOR_BYTES / Float.BYTES));
        backend.copyIn(table.array(), descriptors.address());
        Kernels.adamStep(backend, descriptors.address(), slots.size(), state.address());
    }

    /** Steps done. Waits for the device. */
    public int steps() {
        return word(STEP);
    }

    /** Steps left out because the gradient's norm was not finite. Waits for the device. */
    public int skippedSteps() {
        return word(SKIPPED);
    }

    /** Global norm of the last step's gradient, before clipping. Waits for the device. */
    public float gradientNorm() {
        return Float.intBitsToFloat(word(GRADIENT_NORM));
    }

    private int word(int index) {
        return ByteBuffer.wrap(words())
                .order(ByteOrder.LITTLE_ENDIAN)
                .getInt(index * Integer.BYTES);
    }

    /**
     * From now on a step whose gradient is not finite is the last: those after it change nothing
     * either, so that the weights are still there for whoever looks later.
     */
    void stopWhenSkipped() {
        byte[] words = words();
        ByteBuffer.wrap(words).order(ByteOrder.LITTLE_ENDIAN).putInt(STOP * Integer.BYTES, 1);
        setWords(words);
    }

    /** The step size is read from page-locked memory from now on, when the device gets there. */
    void setLearningRate(FloatBuffer rate) {
        Tensor.wrap(state.device(), state.address(), Float.BYTES, Shape.of(1), DType.F32, state)
                .copyFrom(rate);
    }

    /** Writes the state into a buffer of {@value #STATE_WORDS} words. */
    void copyState(FloatBuffer to) {
        state.copyTo(to);
    }

    /** How many steps were left out, of a state that {@link #copyState} wrote. */
    static int skippedSteps(FloatBuffer copied) {
        return Float.floatToRawIntBits(copied.get(SKIPPED));
    }

    /** The jl_adam_state, byte for byte. Waits for the device. */
    byte[] words() {
        byte[] bytes = new byte[STATE_WORDS * Integer.BYTES];
        state.device().backend().copyOut(state.address(), bytes);
        return bytes;
    }

    /** Takes over what {@link #words} gave. */
    void setWords(byte[] bytes) {
        state.device().backend().copyIn(bytes, state.address());
    }

    /** Moments and averages: {@code first.NAME}, {@code second.NAME}, {@code average.NAME}. */
    Map<String, Tensor> tensors() {
        Map<String, Tensor> all = new LinkedHashMap<>();
        for (Slot slot : slots) {
            all.put("first." + slot.name, slot.first);
            all.put("second." + slot.name, slot.second);
            if (slot.average != null) {
                all.put("average." + slot.name, slot.average);
            }
        }
        return all;
    }

    /** The moving averages of the weights by parameter name; empty when none are kept. */
    public Map<String, Tensor> averages() {
        Map<String, Tensor> averages = new LinkedHashMap<>();
        slots.stream().filter(s -> s.average != null).forEach(s -> averages.put(s.name, s.average));
        return averages;
    }
}
