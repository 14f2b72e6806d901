package org.jlatent.data;

import org.jlatent.JlatentException;

/** Data that is missing or damaged; the message names the file. */
public final class DataException extends JlatentException {
    /**
     * @param message names the data and says what is wrong with it
     */
    public DataException(String message) {
        super(message);
    }

    /**
     * @param message names the data and says what is wrong with it
     * @param cause what happened below
     */
    public DataException(String message, Throwable cause) {
        super(message, cause);
    }
}
