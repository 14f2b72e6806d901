package org.jlatent.data;

import org.jlatent.JlatentException;

/** Data that is missing or damaged; the message names the file. */
public final class DataException extends JlatentException {
    public DataException(String message) {
        super(message);
    }

    public DataException(String message, Throwable cause) {
        super(message, cause);
    }
}
