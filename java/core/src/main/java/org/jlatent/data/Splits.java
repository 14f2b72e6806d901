package org.jlatent.data;

import java.util.Optional;

/**
 * A data set's parts; they share no image.
 *
 * @param validation where the data set comes with one
 */
public record Splits(ImageSet train, Optional<ImageSet> validation, ImageSet test) {}
