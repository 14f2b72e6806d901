package org.jlatent.data;

import java.util.Optional;

/**
 * A data set's parts; no index of the set is in two of them.
 *
 * @param validation where the data set comes with one
 * @param augmentation what changes from epoch to epoch in training; {@code train} is without it
 */
public record Splits(
        ImageSet train, Optional<ImageSet> validation, ImageSet test, Augmentation augmentation) {
    /** Training images that stay as they are. */
    public Splits(ImageSet train, Optional<ImageSet> validation, ImageSet test) {
        this(train, validation, test, Augmentation.NONE);
    }
}
