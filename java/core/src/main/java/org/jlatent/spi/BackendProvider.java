package org.jlatent.spi;

import java.util.Optional;

/** Found by {@link java.util.ServiceLoader}: one kind of device. */
public interface BackendProvider {

    /** {@code "cuda"}. */
    String kind();

    /**
     * Why {@link #open} would fail on this machine; empty when it would not. Never throws, never a
     * linkage error.
     */
    Optional<String> unavailabilityCause();

    /**
     * Opens a device of this kind.
     *
     * @throws org.jlatent.DeviceException with the cause where there is none
     */
    Backend open();
}
