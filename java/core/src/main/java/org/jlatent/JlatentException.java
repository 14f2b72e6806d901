package org.jlatent;

/**
 * Base of everything that a user can cause and mend; the message is one line that names what was
 * given and what to do.
 */
public class JlatentException extends RuntimeException {
    /**
     * @param message one line: what was given, what to do
     */
    public JlatentException(String message) {
        super(oneLine(message));
    }

    /**
     * @param message one line: what was given, what to do
     * @param cause what happened below
     */
    public JlatentException(String message, Throwable cause) {
        super(oneLine(message), cause);
    }

    /** Names and headers of damaged files may hold anything; a terminal should not see it. */
    private static String oneLine(String message) {
        return message == null ? null : message.replaceAll("\\p{Cntrl}+", " ");
    }
}
