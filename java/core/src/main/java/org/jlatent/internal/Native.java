package org.jlatent.internal;

import java.nio.Buffer;
import java.nio.file.Path;

/** Memory, libraries and texts: the JNI functions that belong to no operation. */
public final class Native {
    static {
        NativeLibraries.loadJni();
    }

    private Native() {}

    /** Null when the library opens, else what dlopen says. {@code name} is a soname or a path. */
    public static String probe(String name) {
        return probe0(name);
    }

    /** The path a library opened by {@link #probe} was found at, or null. */
    public static String locate(String name) {
        return locate0(name);
    }

    /** Address of the table of launchers in a kernel library; never closed again. */
    public static long openKernels(Path library) {
        return open(library, "jl_open_kernels", "jl_open_error");
    }

    /** Address of the table of dense operations; never closed again. */
    static long openDense(Path library) {
        return open(library, "jl_open_dense", "");
    }

    /** Address of the first element of a direct buffer, whatever its position. */
    public static long bufferAddress(Buffer buffer) {
        return bufferAddress0(buffer);
    }

    private static long open(Path library, String opener, String error) {
        long[] table = new long[1];
        String cause = open0(library.toString(), opener, error, table);
        if (cause != null) {
            throw new UnsupportedPlatformException("cannot open " + library + ": " + cause);
        }
        return table[0];
    }

    /** Zeroed memory, 256-byte aligned; 0 when there is none left. */
    static native long allocate0(long bytes);

    static native void free0(long address);

    static native void zero0(long address, long bytes);

    static native void copyFloatsIn0(float[] source, int offset, long address, int count);

    static native void copyFloatsOut0(long address, float[] destination, int offset, int count);

    static native void copyBytesIn0(byte[] source, int offset, long address, int count);

    static native void copyBytesOut0(long address, byte[] destination, int offset, int count);

    static native void copy0(long source, long destination, long bytes);

    private static native long bufferAddress0(Buffer buffer);

    private static native String probe0(String name);

    private static native String locate0(String name);

    private static native String open0(String library, String opener, String error, long[] table);
}
