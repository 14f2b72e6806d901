package org.jlatent.train;

import java.util.Map;

/**
 * Does the steps of a training run, in order. What came of a step may be known some steps later.
 */
interface Steps extends AutoCloseable {

    /** Hears what came of every step, in their order. */
    interface Listener {
        /**
         * @param images in the step
         * @param values the loss first, then the metrics, as {@code Model.Objective} has them
         */
        void done(int images, Map<String, float[]> values);
    }

    /**
     * One step.
     *
     * @param number from 1
     * @param images values of the batch, a row an image; read before this returns
     * @param size images in the batch
     * @throws TrainingException when the loss or a gradient of this step, or of an earlier one that
     *     the listener has not heard of, is not finite
     */
    void step(long number, float[] images, int size, float learningRate);

    /** Returns when the listener has heard of all steps. */
    void finish();

    @Override
    void close();
}
