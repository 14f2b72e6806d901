package org.jlatent.cuda;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import jcuda.JCudaVersion;
import jcuda.driver.JCudaDriver;
import jcuda.jcublas.JCublas2;
import jcuda.jcudnn.JCudnn;
import org.jlatent.DeviceException;
import org.jlatent.JlatentException;
import org.jlatent.internal.Hashes;
import org.jlatent.internal.Native;
import org.jlatent.internal.NativeLibraries;

/**
 * Loads JCuda, in one place: its native libraries come out of our own cache folder, matched to the
 * cuBLAS and cuDNN that are here.
 *
 * <p>Left alone, JCuda unpacks to fixed names in the common temporary folder and trusts whatever
 * lies there already; and a class of its whose library does not load is lost for good.
 */
final class JCudaNatives {
    private static final String VERSION = "12.6.0";
    private static final String END = "-linux-x86_64.so";
    private static final String DRIVER = "libJCudaDriver-" + VERSION + END;
    private static final String CUBLAS = "libJCublas2-" + VERSION + END;
    private static final String CUDNN = "libJCudnn-" + VERSION + END; // asks for cuDNN 9
    private static final String CUDNN_8 = "libJCudnn-11.7.0" + END;

    private static boolean loaded;

    private JCudaNatives() {}

    /**
     * @param cublas the soname that was found: 12 as it is, 13 through our forwarder
     * @param cudnn the soname that was found: JCudnn's library is the one for it, under the name
     *     that JCudnn looks for
     * @throws DeviceException when a library of JCuda's does not open
     */
    static synchronized void load(String cublas, String cudnn) {
        if (loaded) {
            return;
        }
        if (cublas.endsWith(".13")) { // once it is open, whoever asks for cuBLAS 12 gets it
            requireOpens(CudaNatives.forwarder());
        }
        boolean eight = cudnn.endsWith(".8");
        List<String> names = List.of(DRIVER, CUBLAS, CUDNN);
        String key = String.join(" ", names) + (eight ? CUDNN_8 : "");
        Path folder =
                NativeLibraries.unpack(
                        Hashes.sha256(key.getBytes(StandardCharsets.UTF_8)),
                        names,
                        name -> eight && name.equals(CUDNN) ? cudnn8() : resource(name));
        names.forEach(name -> requireOpens(folder.resolve(name)));
        initialise(folder);
        loaded = true;
    }

    // JCuda looks for its libraries where the property points while its classes are initialised.
    // The
    // JDK has read the property for good once a temporary file was made, so nobody else sees the
    // detour.
    private static void initialise(Path folder) {
        settleTemporaryFolder();
        String before = System.setProperty("java.io.tmpdir", folder.toString());
        try {
            for (Class<?> type : List.of(JCudaDriver.class, JCublas2.class, JCudnn.class)) {
                Class.forName(type.getName());
            }
        } catch (LinkageError | ClassNotFoundException e) {
            throw new DeviceException("JCuda cannot be used: " + e.getMessage());
        } finally {
            System.setProperty("java.io.tmpdir", before);
        }
    }

    /** Before any JCuda class is initialised: one that fails to do so is lost for good. */
    static void requireOpens(Path library) {
        String refused = Native.probe(library.toString());
        if (refused != null) {
            throw new DeviceException("JCuda cannot be used: " + refused);
        }
    }

    private static InputStream cudnn8() throws IOException {
        return CudaNatives.resource(CUDNN_8);
    }

    private static InputStream resource(String name) throws IOException {
        InputStream in = JCudaVersion.class.getClassLoader().getResourceAsStream("lib/" + name);
        if (in == null) {
            throw new IOException(
                    "the class path holds no "
                            + name
                            + ": add jcuda-natives, jcublas-natives and jcudnn-natives "
                            + VERSION
                            + " of org.jcuda");
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
