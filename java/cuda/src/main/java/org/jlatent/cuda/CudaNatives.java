package org.jlatent.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import org.jlatent.JlatentException;
import org.jlatent.internal.Hashes;
import org.jlatent.internal.NativeLibraries;

/** The files of our own jar of native libraries, unpacked: the kernels and the cuBLAS forwarder. */
final class CudaNatives {
    static final String MODULE = "org.jlatent.cuda.linux_x86_64";
    static final String FORWARDER = "libcublas.so.12";
    private static final String KERNELS = "libjlatent_cuda"; // and the CUDA version, as in 13

    private static final String LIST =
            "cuda.txt"; // one "sha256  name" a line, written by the native build

    private CudaNatives() {}

    /**
     * Kernel libraries, that of the newest CUDA first: the one named by {@code
     * -Djlatent.cuda.library}, or those in the jar. Which one a machine's driver takes shows when
     * it is opened.
     */
    static List<Path> kernels() {
        String given = System.getProperty("jlatent.cuda.library");
        return given != null ? List.of(Path.of(given)) : unpack(KERNELS);
    }

    /** Our libcublas.so.12, which passes calls on to libcublas.so.13. */
    static Path forwarder() {
        return unpack(FORWARDER).get(0);
    }

    private static List<Path> unpack(String start) {
        try {
            byte[] list = resource(LIST).readAllBytes();
            List<String> names =
                    new String(list, StandardCharsets.UTF_8)
                            .lines()
                            .map(line -> line.substring(line.indexOf("  ") + 2))
                            .toList();
            List<String> wanted =
                    names.stream()
                            .filter(name -> name.startsWith(start))
                            .sorted(Comparator.reverseOrder())
                            .toList();
            if (wanted.isEmpty()) {
                throw missing(start);
            }
            Path folder = NativeLibraries.unpack(Hashes.sha256(list), names, CudaNatives::resource);
            return wanted.stream().map(folder::resolve).toList();
        } catch (IOException e) {
            throw new JlatentException(
                    "cannot read the CUDA kernels out of the jar: " + e.getMessage(), e);
        }
    }

    static InputStream resource(String name) throws IOException {
        return NativeLibraries.resource(CudaNatives.class, MODULE, name)
                .orElseThrow(() -> missing(name));
    }

    private static JlatentException missing(String name) {
        return new JlatentException(
                "the CUDA kernels are not there ("
                        + name
                        + "): add the dependency org.jlatent:jlatent-cuda with the classifier"
                        + " linux-x86_64, from a build where nvcc is installed");
    }
}
