package org.jlatent;

/** A tensor's shape or device does not fit an operation; the message names both. */
public final class ShapeException extends JlatentException {
    public ShapeException(String message) {
        super(message);
    }
}
