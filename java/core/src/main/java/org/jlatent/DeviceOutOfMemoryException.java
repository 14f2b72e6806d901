package org.jlatent;

/**
 * A device has less memory left than was asked for; the message says how much. Smaller batches, or
 * another device, help.
 */
public final class DeviceOutOfMemoryException extends DeviceException {
    /**
     * @param message says what was asked for, and what is there
     */
    public DeviceOutOfMemoryException(String message) {
        super(message);
    }
}
