package org.jlatent;

/** A tensor's shape or device does not fit an operation; the message names both. */
public final class ShapeException extends JlatentException {
    /**
     * @param message names what was given and what fits
     */
    public ShapeException(String message) {
        super(message);
    }
}
