package org.jlatent.cuda;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import jcuda.runtime.JCuda;
import org.jlatent.DeviceException;
import org.jlatent.JlatentException;
import org.jlatent.internal.Native;
import org.jlatent.internal.NativeLibraries;

/**
 * Initialises JCuda, in one place: its native library comes out of our own cache folder, and its
 * calls throw.
 *
 * <p>Left alone, JCuda unpacks to a fixed name in the common temporary folder and trusts whatever
 * lies there already.
 */
final class JCudaNatives {
    private static final String VERSION = "12.6.0";
    private static final String RUNTIME = "libJCudaRuntime-" + VERSION + "-linux-x86_64.so";
    private static boolean initialised;

    private JCudaNatives() {}

    /**
     * @throws DeviceException when JCuda's library does not open
     */
    static synchronized void initialise() {
        if (initialised) {
            return;
        }
        Path folder =
                NativeLibraries.unpack(
                        "jcuda-" + VERSION, List.of(RUNTIME), JCudaNatives::resource);
        requireOpens(folder.resolve(RUNTIME));
        // JCuda looks for its library where the property points while its class is initialised. The
        // JDK has read the property for good once a temporary file was made, so nobody else sees
        // the detour.
        settleTemporaryFolder();
        String before = System.setProperty("java.io.tmpdir", folder.toString());
        try {
            JCuda.setExceptionsEnabled(true);
        } finally {
            System.setProperty("java.io.tmpdir", before);
        }
        initialised = true;
    }

    /** Before any JCuda class is initialised: one that fails to do so is lost for good. */
    static void requireOpens(Path library) {
        String refused = Native.probe(library.toString());
        if (refused != null) {
            throw new DeviceException("JCuda cannot be used: " + refused);
        }
    }

    private static InputStream resource(String name) throws IOException {
        InputStream in = JCuda.class.getClassLoader().getResourceAsStream("lib/" + name);
        if (in == null) {
            throw new IOException(
                    "the class path holds no " + name + ": add org.jcuda:jcuda-natives:" + VERSION);
        }
        return in;
    }

    private static void settleTemporaryFolder() {
        try {
            Files.delete(Files.createTempFile("jlatent", null));
            Files.delete(File.createTempFile("jlatent", null).toPath());
        } catch (IOException e) {
            throw new JlatentException(
                    "cannot write to the temporary folder: " + e.getMessage(), e);
        }
    }
}
