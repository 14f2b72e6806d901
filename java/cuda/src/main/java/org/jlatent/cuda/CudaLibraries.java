package org.jlatent.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;
import org.jlatent.JlatentException;
import org.jlatent.internal.Hashes;
import org.jlatent.internal.Native;
import org.jlatent.internal.NativeLibraries;

/**
 * Looks for the libraries that CUDA needs, by opening each, before any class that depends on them
 * is touched.
 */
final class CudaLibraries {
    private static final String LIST =
            "cuda.txt"; // one "sha256  name" a line, written by the native build

    /**
     * @param needed without it nothing runs
     */
    private record Library(String use, boolean needed, List<String> names, String remedy) {}

    private static final List<Library> LIBRARIES =
            List.of(
                    new Library(
                            "driver", true, List.of("libcuda.so.1"), "install the NVIDIA driver"),
                    new Library(
                            "matrix products",
                            false,
                            List.of("libcublas.so.13", "libcublas.so.12"),
                            "install cuBLAS (not used yet)"),
                    new Library(
                            "convolutions",
                            false,
                            List.of("libcudnn.so.9", "libcudnn.so.8"),
                            "install cuDNN (not used yet)"));

    private final Function<String, String> probe; // null: it opens; else why not
    private final Function<String, String> locate;
    private String
            kernelsError; // why the kernel library does not open; null: it does, or was not tried
    private long kernels;

    /**
     * @param probe answers null when a library opens, else the linker's words
     * @param locate answers where an opened library lies
     */
    CudaLibraries(Function<String, String> probe, Function<String, String> locate) {
        this.probe = probe;
        this.locate = locate;
    }

    static CudaLibraries ofThisMachine() {
        return new CudaLibraries(Native::probe, Native::locate);
    }

    Optional<String> unavailabilityCause() {
        try {
            for (Library library : LIBRARIES) {
                if (library.needed && found(library).isEmpty()) {
                    return Optional.of(
                            String.join(" or ", library.names)
                                    + " ("
                                    + library.use
                                    + ") was not found; "
                                    + library.remedy);
                }
            }
            return Optional.ofNullable(kernels());
        } catch (JlatentException e) {
            return Optional.of(e.getMessage());
        }
    }

    private Optional<String> found(Library library) {
        return library.names.stream().filter(name -> probe.apply(name) == null).findFirst();
    }

    /** Opens the kernel library, once. */
    private synchronized String kernels() {
        if (kernels == 0 && kernelsError == null) {
            try {
                kernels = Native.openKernels(unpackKernels());
            } catch (JlatentException e) {
                kernelsError = e.getMessage();
            }
        }
        return kernelsError;
    }

    /** Address of the table of launchers; {@link #unavailabilityCause} was empty. */
    long openKernels() {
        return kernels;
    }

    /** The kernel library, named by {@code -Djlatent.cuda.library}, or out of the jar. */
    private static Path unpackKernels() {
        String given = System.getProperty("jlatent.cuda.library");
        if (given != null) {
            return Path.of(given);
        }
        try {
            String list = new String(resource(LIST).readAllBytes(), StandardCharsets.UTF_8).strip();
            String name = list.substring(list.indexOf("  ") + 2);
            return NativeLibraries.unpack(
                            Hashes.sha256(list.getBytes(StandardCharsets.UTF_8)),
                            List.of(name),
                            CudaLibraries::resource)
                    .resolve(name);
        } catch (IOException e) {
            throw new JlatentException(
                    "cannot read the CUDA kernels out of the jar: " + e.getMessage(), e);
        }
    }

    private static InputStream resource(String name) throws IOException {
        return NativeLibraries.resource(CudaLibraries.class, "org.jlatent.cuda.linux_x86_64", name)
                .orElseThrow(
                        () ->
                                new JlatentException(
                                        "the CUDA kernels are not there: add the dependency"
                                                + " org.jlatent:jlatent-cuda with the classifier"
                                                + " linux-x86_64, from a build where nvcc is installed"));
    }

    List<String> report() {
        List<String> lines = new ArrayList<>();
        boolean driver = found(LIBRARIES.get(0)).isPresent();
        for (Library library : LIBRARIES) {
            Optional<String> name = found(library);
            lines.add(
                    line(
                            String.join(" | ", library.names),
                            library.use,
                            name.map(n -> "found, " + locate.apply(n))
                                    .orElse("not found: " + library.remedy)));
        }
        String error = driver ? kernels() : null;
        lines.add(
                line(
                        "libjlatent_cuda",
                        "kernels",
                        !driver ? "not tried without a driver" : error == null ? "ok" : error));
        return lines;
    }

    private static String line(String names, String use, String verdict) {
        return String.format(Locale.ROOT, "%-34s %-16s %s", names, use, verdict);
    }
}
