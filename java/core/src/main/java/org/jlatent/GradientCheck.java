package org.jlatent;

import java.util.function.BiFunction;

/**
 * Compares the tape's gradients with central differences: for tests of one's own operations and
 * modules.
 *
 * <p>The function is evaluated in f32, so differences carry rounding noise of about 1e-7 |f| / h;
 * the default tolerance suits losses of order 1.
 */
public final class GradientCheck {
    private static final float STEP = 1e-2f;
    private static final double TOLERANCE = 2e-3;

    private GradientCheck() {}

    /** {@link #check(Scope, Tensor, BiFunction, double)} with the usual tolerance. */
    public static void check(Scope scope, Tensor leaf, BiFunction<Tape, Tensor, Tensor> loss) {
        check(scope, leaf, loss, TOLERANCE);
    }

    /**
     * Compares the gradient of every element of {@code leaf}.
     *
     * @param scope where the evaluations live
     * @param leaf the tensor to differentiate for; its values are changed and restored
     * @param loss maps the leaf to a scalar; must give the same value for the same leaf, noise
     *     included
     * @param tolerance on |analytic - numeric| / max(1, |numeric|)
     * @throws AssertionError naming the worst element
     */
    public static void check(
            Scope scope, Tensor leaf, BiFunction<Tape, Tensor, Tensor> loss, double tolerance) {
        Tape tape = new Tape(scope);
        tape.watch(leaf);
        tape.backward(loss.apply(tape, leaf));
        Tensor gradient = tape.gradient(leaf);
        if (gradient == null) {
            throw new AssertionError("the loss does not depend on the leaf " + leaf.shape());
        }
        float[] analytic = gradient.toFloatArray();
        float[] values = leaf.toFloatArray();
        for (int i = 0; i < values.length; i++) {
            // Richardson: two step sizes cancel the h^2 term, so that h can stay large against
            // rounding.
            double coarse = difference(scope, leaf, values, i, STEP, loss);
            double fine = difference(scope, leaf, values, i, STEP / 2, loss);
            double numeric = (4 * fine - coarse) / 3;
            double error = Math.abs(analytic[i] - numeric) / Math.max(1, Math.abs(numeric));
            if (!(error <= tolerance)) {
                throw new AssertionError(
                        "gradient of element "
                                + i
                                + " of "
                                + leaf.shape()
                                + ": tape says "
                                + analytic[i]
                                + ", differences say "
                                + numeric);
            }
        }
    }

    private static double difference(
            Scope scope,
            Tensor leaf,
            float[] values,
            int i,
            float h,
            BiFunction<Tape, Tensor, Tensor> loss) {
        float at = values[i];
        values[i] = at + h;
        leaf.copyFrom(values);
        double above = loss.apply(Tape.inference(scope), leaf).item();
        double up = values[i];
        values[i] = at - h;
        leaf.copyFrom(values);
        double below = loss.apply(Tape.inference(scope), leaf).item();
        double down = values[i];
        values[i] = at;
        leaf.copyFrom(values);
        return (above - below) / (up - down);
    }
}
