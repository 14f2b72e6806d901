package org.jlatent.train;

/** How the learning rate changes: a factor on the optimizer's rate. */
@FunctionalInterface
public interface Schedule {

    /**
     * @param step steps done so far, from 0
     * @param steps steps in all
     */
    double factor(long step, long steps);

    /** Always 1. */
    static Schedule constant() {
        return (step, steps) -> 1.0;
    }

    /** Half a cosine from 1 down to 0 [Loshchilov, Hutter 2017]. */
    static Schedule cosine() {
        return (step, steps) -> 0.5 * (1.0 + Math.cos(Math.PI * step / steps));
    }

    /** Falls by {@code factor} every {@code interval} steps. */
    static Schedule decay(double factor, long interval) {
        return (step, steps) -> Math.pow(factor, (double) Math.floorDiv(step, interval));
    }

    /** This schedule, reached by a straight line from 0 over the first {@code warmup} steps. */
    default Schedule withWarmup(long warmup) {
        return (step, steps) -> factor(step, steps) * (step < warmup ? (step + 1.0) / warmup : 1.0);
    }
}
