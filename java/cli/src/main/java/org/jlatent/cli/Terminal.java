package org.jlatent.cli;

/** Whether someone is looking. */
final class Terminal {
    private Terminal() {}

    /** Standard input and output are a terminal. */
    @SuppressWarnings(
            "SystemConsoleNull") // from JDK 22 on there is a console object everywhere, but it says
    // so
    static boolean isInteractive() {
        return System.console() != null
                && System.getenv("TERM") != null
                && !System.getenv("TERM").equals("dumb");
    }
}
