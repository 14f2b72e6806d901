package org.jlatent.internal;

import org.jlatent.JlatentException;

/** The native libraries do not run on this machine; the message says why and what does work. */
public final class UnsupportedPlatformException extends JlatentException {
    public UnsupportedPlatformException(String message) {
        super(message);
    }

    public UnsupportedPlatformException(String message, Throwable cause) {
        super(message, cause);
    }
}
