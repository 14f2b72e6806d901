package org.jlatent;

/**
 * A device refused or failed an operation; the message names the operation and gives the device's
 * own words.
 */
public class DeviceException extends JlatentException {
    public DeviceException(String message) {
        super(message);
    }
}
