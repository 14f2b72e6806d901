package org.jlatent.data;

import java.util.Optional;

/**
 * A data set's parts; no index of the set is in two of them.
 *
 * @param validation where the data set comes with one
 */
public record Splits(ImageSet train, Optional<ImageSet> validation, ImageSet test) {}
