package org.jlatent.nn;

import java.util.SplittableRandom;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
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

    /**
     * Uniform in [-bound, bound).
     *
     * @throws ShapeException if the shape has more elements than an array can
     */
    public Tensor uniform(Shape shape, double bound) {
        float[] values = values(shape);
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) ((2.0 * random.nextDouble() - 1.0) * bound);
        }
        return scope.of(shape, values);
    }

    /**
     * Normal with mean 0.
     *
     * @throws ShapeException if the shape has more elements than an array can
     */
    public Tensor normal(Shape shape, double standardDeviation) {
        float[] values = values(shape);
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (random.nextGaussian() * standardDeviation);
        }
        return scope.of(shape, values);
    }

    private static float[] values(Shape shape) {
        if (shape.elements() > Integer.MAX_VALUE - 8) {
            throw new ShapeException(
                    "a parameter " + shape + " is larger than an array can be; use smaller layers");
        }
        return new float[(int) shape.elements()];
    }

    /** Uniform with bound sqrt(6 / (fanIn + fanOut)) [Glorot, Bengio 2010, eq. 16]. */
    public Tensor glorot(Shape shape, long fanIn, long fanOut) {
        return uniform(shape, Math.sqrt(6.0 / (fanIn + fanOut)));
    }
}
