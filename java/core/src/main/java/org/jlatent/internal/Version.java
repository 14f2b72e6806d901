package org.jlatent.internal;

/** The version of jlatent. */
public final class Version {
    public static final String TEXT = "0.1.0";

    private Version() {}
}
