package org.jlatent;

import java.lang.System.Logger.Level;
import java.lang.ref.Cleaner;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * With {@code -Djlatent.leaks=true}: remembers where each device and scope was opened, and logs a
 * warning with that place for each that was dropped without having been closed. It only reports;
 * the memory stays lost.
 */
final class Leaks {
    private static final boolean ON = Boolean.getBoolean("jlatent.leaks");
    private static final Set<Report> OPEN = ConcurrentHashMap.newKeySet();

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

        Report(String what, Throwable opened) {
            this.what = what;
            this.opened = opened;
        }

        @Override
        public void closed() {
            OPEN.remove(this);
        }

        @Override
        public void run() {
            if (OPEN.contains(this)) {
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
        OPEN.add(report);
        Holder.CLEANER.register(resource, report);
        return report;
    }

    /** What was opened since this was asked last and is open still, with the place. */
    static List<String> open() {
        List<Report> open = List.copyOf(OPEN);
        OPEN.removeAll(open);
        return open.stream()
                .map(report -> report.what + ", opened here: " + place(report))
                .toList();
    }

    private static List<StackTraceElement> place(Report report) {
        return Arrays.stream(report.opened.getStackTrace()).skip(1).limit(10).toList();
    }
}
