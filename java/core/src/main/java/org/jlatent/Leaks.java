package org.jlatent;

import java.lang.System.Logger.Level;
import java.lang.ref.Cleaner;

/**
 * With {@code -Djlatent.leaks=true}: remembers where each device and scope was opened, and logs a
 * warning with that place for each that was dropped without having been closed. It only reports;
 * the memory stays lost.
 */
final class Leaks {
    private static final boolean ON = Boolean.getBoolean("jlatent.leaks");

    private Leaks() {}

    /** Called by what was opened when it is closed. */
    interface Ticket {
        void closed();
    }

    /** Started only when it is wanted: it has a thread. */
    private static final class Holder {
        static final Cleaner CLEANER = Cleaner.create();
    }

    /** Refers to everything but what was opened. */
    private static final class Report implements Runnable, Ticket {
        private final String what;
        private final Throwable opened;
        private volatile boolean closed;

        Report(String what, Throwable opened) {
            this.what = what;
            this.opened = opened;
        }

        @Override
        public void closed() {
            closed = true;
        }

        @Override
        public void run() {
            if (!closed) {
                System.getLogger(Leaks.class.getName())
                        .log(
                                Level.WARNING,
                                what + " was never closed; it was opened here:",
                                opened);
            }
        }
    }

    /** {@code what} names it in the report: {@code "a scope on cpu"}. */
    static Ticket opened(Object resource, String what) {
        if (!ON) {
            return () -> {};
        }
        Report report = new Report(what, new Throwable(what));
        Holder.CLEANER.register(resource, report);
        return report;
    }
}
