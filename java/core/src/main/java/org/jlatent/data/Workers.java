package org.jlatent.data;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;

/**
 * Works on all cores while the caller brings more; tells the log how far it is when that takes
 * long. To be used from one thread.
 */
final class Workers<T> implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger(Workers.class.getName());
    private static final long QUIET = 5_000_000_000L; // nanoseconds between two lines
    private static final int AHEAD = 16; // tasks waiting for a core

    private final String what;
    private final ExecutorService threads;
    private final Semaphore places;
    private final List<Future<T>> futures = new ArrayList<>();
    private long told = System.nanoTime();
    private volatile boolean failed;

    /**
     * @param what is being opened, for the log
     */
    Workers(String what) {
        this.what = what;
        int cores = Runtime.getRuntime().availableProcessors();
        this.places = new Semaphore(AHEAD * cores);
        this.threads =
                Executors.newFixedThreadPool(
                        cores,
                        task -> {
                            Thread thread = new Thread(task, "jlatent-decode");
                            thread.setDaemon(true);
                            return thread;
                        });
    }

    /** Waits while too much is under way; does nothing once a task has failed. */
    void submit(Callable<T> task) {
        places.acquireUninterruptibly();
        if (failed) {
            places.release();
            return;
        }
        futures.add(
                threads.submit(
                        () -> {
                            boolean done = false;
                            try {
                                T result = task.call();
                                done = true;
                                return result;
                            } finally {
                                if (!done) {
                                    failed = true;
                                }
                                places.release();
                            }
                        }));
        if (System.nanoTime() - told > QUIET) {
            told = System.nanoTime();
            LOG.log(System.Logger.Level.INFO, "{0}: {1} read so far", what, futures.size());
        }
    }

    /** What the tasks returned, in their order, or threw. */
    List<T> results() {
        List<T> results = new ArrayList<>(futures.size());
        try {
            for (Future<T> future : futures) {
                results.add(future.get());
            }
            return results;
        } catch (ExecutionException e) {
            if (e.getCause() instanceof RuntimeException cause) {
                throw cause;
            }
            if (e.getCause() instanceof OutOfMemoryError) {
                throw new DataException(
                        what + " does not fit into memory: give Java more (-Xmx)", e);
            }
            throw new IllegalStateException(e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new DataException("interrupted while opening " + what, e);
        }
    }

    @Override
    public void close() {
        threads.shutdownNow();
    }
}
