package org.jlatent.train;

import org.jlatent.JlatentException;

/** Training cannot go on: a value is not finite. The message names the step and the tensor. */
public final class TrainingException extends JlatentException {
    public TrainingException(String message) {
        super(message);
    }
}
