package org.jlatent.nn;

import java.util.SplittableRandom;
import org.jlatent.JlatentException;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tensor;

/**
 * Makes a model's parameters: owns the scope they live in and the random numbers they start from.
 */
public final class Init {
    private final Scope scope;
    private final SplittableRandom random;

    /**
     * The same seed gives the same parameters.
     *
     * @param scope owns the parameters
     */
    public Init(Scope scope, long seed) {
        this.scope = scope;
        this.random = new SplittableRandom(seed);
    }

    /** Owns the parameters. */
    public Scope scope() {
        return scope;
    }

    /** Room for the values, unless so many can only be a mistake. */
    private static float[] room(Shape shape) {
        long most = Math.min(Integer.MAX_VALUE - 8, Runtime.getRuntime().maxMemory() / 8);
        if (shape.elements() > most) {
            throw new JlatentException(
                    "a parameter "
                            + shape
                            + " does not fit into memory: make the model smaller, or give Java"
                            + " more (such as JAVA_TOOL_OPTIONS=-Xmx8g)");
        }
        return new float[(int) shape.elements()];
    }

    /** Uniform in [-bound, bound). */
    public Tensor uniform(Shape shape, double bound) {
        float[] values = room(shape);
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) ((2.0 * random.nextDouble() - 1.0) * bound);
        }
        return scope.of(shape, values);
    }

    /** Normal with mean 0. */
    public Tensor normal(Shape shape, double standardDeviation) {
        float[] values = room(shape);
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (random.nextGaussian() * standardDeviation);
        }
        return scope.of(shape, values);
    }

    /** Uniform with bound sqrt(6 / (fanIn + fanOut)) [Glorot, Bengio 2010, eq. 16]. */
    public Tensor glorot(Shape shape, long fanIn, long fanOut) {
        return uniform(shape, Math.sqrt(6.0 / (fanIn + fanOut)));
    }
}
