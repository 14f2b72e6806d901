package org.jlatent.models;

import org.jlatent.data.ImageShape;
import org.jlatent.models.AutoregressiveModel.Draws;

/** A model that makes up images. */
public interface GenerativeModel {

    /** The images that come of it. */
    ImageShape image();

    /** Classes that images can be asked for of; 0: none. */
    int classes();

    /**
     * Draws images; the same for the same seed.
     *
     * @param condition classes, one an image, where there are any
     * @return {@code count values} numbers, row-major
     * @throws IllegalArgumentException unless the model is conditioned on what it is given, and
     *     draws in the way it is told to
     */
    float[] sample(int count, Condition condition, Draws how);

    /** Draws images of a model without classes, from the distribution itself. */
    default float[] sample(int count, long seed) {
        return sample(count, Condition.none(), Draws.of(seed));
    }
}
