package org.jlatent.models;

import org.jlatent.Tensor;

/**
 * What images are conditioned on.
 *
 * @param labels classes, one an image; or null
 * @param map {@code [batch, height, width, channels]}, a vector a pixel; or null
 */
public record Condition(int[] labels, Tensor map) {
    private static final Condition NONE = new Condition(null, null);

    /** Nothing. */
    public static Condition none() {
        return NONE;
    }

    /** A class each. */
    public static Condition ofLabels(int... classes) {
        return new Condition(classes, null);
    }

    /** A vector for each pixel. */
    public static Condition ofMap(Tensor vectors) {
        return new Condition(null, vectors);
    }
}
