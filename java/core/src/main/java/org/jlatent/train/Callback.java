package org.jlatent.train;

/** Told how training goes; {@link Progress} says what. */
public interface Callback {

    /** After every step. */
    default void onStep(Progress progress) {}

    /** After every epoch, with the epoch's means and those on the validation images. */
    default void onEpoch(Progress progress) {}
}
