package org.jlatent.cli;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jline.utils.Signals;

/**
 * SIGINT and SIGTERM while there is work to save: the first one asks it to stop, the second ends
 * the process at once.
 */
final class Interrupts implements AutoCloseable {
    private static final int SIGINT = 2;
    private static final int SIGTERM = 15;
    private final Map<String, Object> before = new LinkedHashMap<>();
    private int code;

    /**
     * @param stop asks the work to stop; called by another thread
     */
    Interrupts(Runnable stop) {
        register("INT", SIGINT, stop);
        register("TERM", SIGTERM, stop);
    }

    private void register(String name, int number, Runnable stop) {
        before.put(name, Signals.register(name, () -> onSignal(128 + number, stop)));
    }

    private synchronized void onSignal(int exitCode, Runnable stop) {
        if (code != 0) {
            Runtime.getRuntime().halt(exitCode);
        }
        code = exitCode;
        stop.run();
    }

    /** What the process is to exit with; 0: there was no signal. */
    synchronized int exitCode() {
        return code;
    }

    @Override
    public void close() {
        before.forEach(Signals::unregister);
    }
}
