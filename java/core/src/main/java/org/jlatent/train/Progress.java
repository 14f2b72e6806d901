package org.jlatent.train;

import java.util.Map;

/**
 * Where training stands.
 *
 * @param epoch epochs begun, from 1
 * @param step steps done
 * @param steps steps in all
 * @param metrics means over the images of the step or epoch, {@code loss} among them
 * @param validation the same on the validation images; empty between epochs and where there are
 *     none
 * @param imagesPerSecond of training so far, validation left out
 */
public record Progress(
        int epoch,
        long step,
        long steps,
        Map<String, Double> metrics,
        Map<String, Double> validation,
        double imagesPerSecond) {

    /** Whether all steps are done. */
    public boolean finished() {
        return step >= steps;
    }
}
