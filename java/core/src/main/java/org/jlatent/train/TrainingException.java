package org.jlatent.train;

import org.jlatent.JlatentException;

/** Training cannot go on: a value is not finite. The message names the step and the tensor. */
public final class TrainingException extends JlatentException {
    /**
     * @param message says at which step, what, and what to do
     */
    public TrainingException(String message) {
        super(message);
    }
}
