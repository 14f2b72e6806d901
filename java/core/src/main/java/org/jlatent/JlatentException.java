package org.jlatent;

/**
 * Base of everything that a user can cause and mend; the message is one line that names what was
 * given and what to do.
 */
public class JlatentException extends RuntimeException {
    public JlatentException(String message) {
        super(message);
    }

    public JlatentException(String message, Throwable cause) {
        super(message, cause);
    }
}
