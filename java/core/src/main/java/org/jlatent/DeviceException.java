package org.jlatent;

/**
 * A device refused or failed an operation; the message names the operation and gives the device's
 * own words.
 */
public class DeviceException extends JlatentException {
    /**
     * @param message names the operation and the cause
     */
    public DeviceException(String message) {
        super(message);
    }
}
