package org.jlatent.data;

import java.util.function.LongSupplier;

/** Keeps a data set within the heap, so that one too large is an error that says so. */
final class Memory {
    private final String what;
    private final LongSupplier spare;
    private long taken;
    private long limit;

    /**
     * @param what named in the error
     */
    Memory(String what) {
        this(what, Memory::spare);
    }

    Memory(String what, LongSupplier spare) {
        this.what = what;
        this.spare = spare;
        this.limit = spare.getAsLong();
    }

    /**
     * To be called before {@code bytes} are held.
     *
     * @throws DataException if the heap cannot take them
     */
    synchronized void take(long bytes) {
        if (taken + bytes > limit) {
            System.gc(); // what looks used may be garbage
            limit = taken + spare.getAsLong();
            if (taken + bytes > limit) {
                throw new DataException(
                        what
                                + " needs more than the "
                                + (limit >> 20)
                                + " MiB of memory there are for it: give Java more (such as"
                                + " JAVA_TOOL_OPTIONS=-Xmx8g), or make"
                                + " images smaller (resize, crop)");
            }
        }
        taken += bytes;
    }

    /** Bytes the heap can still take; a fifth of it is for everything else. */
    private static long spare() {
        Runtime runtime = Runtime.getRuntime();
        long most = runtime.maxMemory();
        long spare = most / 5 * 4 - (runtime.totalMemory() - runtime.freeMemory());
        return spare < most / 50 ? 0 : spare; // not worth another collection
    }
}
