package org.jlatent.cuda;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jlatent.JlatentException;
import org.jlatent.internal.Native;

/**
 * Looks for the libraries that CUDA needs, by opening each, before any class that depends on them
 * is touched.
 */
final class CudaLibraries {
    /**
     * @param names any of them will do; the first is preferred
     */
    private record Library(String use, List<String> names, String remedy) {}

    private static final Library DRIVER =
            new Library("driver", List.of("libcuda.so.1"), "install the NVIDIA driver");
    private static final Library CUBLAS =
            new Library(
                    "matrix products",
                    List.of("libcublas.so.12", "libcublas.so.13"),
                    "install cuBLAS of CUDA 12 or 13, or put its folder on LD_LIBRARY_PATH");
    private static final Library CUDNN =
            new Library(
                    "convolutions",
                    List.of("libcudnn.so.9", "libcudnn.so.8"),
                    "install cuDNN 9 or 8, or put its folder on LD_LIBRARY_PATH");
    private static final List<Library> LIBRARIES = List.of(DRIVER, CUBLAS, CUDNN);

    private final Function<String, String> probe;
    private final Function<String, String> locate;
    private final BiConsumer<String, String> loadJCuda;
    private final Supplier<Kernels> openKernels;
    private boolean tried;
    private String error; // why what is ours or JCuda's does not open; null: it does
    private Kernels kernels;

    /**
     * A kernel library that has been opened.
     *
     * @param library its file's name
     * @param table address of the table of launchers
     */
    record Kernels(String library, long table) {}

    /**
     * @param probe answers null when a library opens, else the linker's words
     * @param locate answers where an opened library lies
     * @param loadJCuda as {@link JCudaNatives#load}
     * @param openKernels opens the kernel library that fits
     */
    CudaLibraries(
            Function<String, String> probe,
            Function<String, String> locate,
            BiConsumer<String, String> loadJCuda,
            Supplier<Kernels> openKernels) {
        this.probe = probe;
        this.locate = locate;
        this.loadJCuda = loadJCuda;
        this.openKernels = openKernels;
    }

    static CudaLibraries ofThisMachine() {
        return new CudaLibraries(
                Native::probe,
                CudaLibraries::locate,
                JCudaNatives::load,
                () -> openKernels(CudaNatives.kernels()));
    }

    /** The file itself: links have shorter names, without the version. */
    private static String locate(String name) {
        String found = Native.locate(name);
        if (found == null) {
            return name;
        }
        try {
            return Path.of(found).toRealPath().toString();
        } catch (IOException e) {
            return found;
        }
    }

    /** The first library that the driver takes. */
    static Kernels openKernels(List<Path> libraries) {
        List<String> refusals = new ArrayList<>();
        for (Path library : libraries) {
            try {
                return new Kernels(library.getFileName().toString(), Native.openKernels(library));
            } catch (JlatentException e) {
                refusals.add(e.getMessage());
            }
        }
        throw new JlatentException(String.join("; ", refusals));
    }

    Optional<String> unavailabilityCause() {
        try {
            for (Library library : LIBRARIES) {
                if (found(library).isEmpty()) {
                    return Optional.of(
                            String.join(" or ", library.names)
                                    + " ("
                                    + library.use
                                    + ") was not found; "
                                    + library.remedy);
                }
            }
            return Optional.ofNullable(open());
        } catch (JlatentException e) {
            return Optional.of(e.getMessage());
        }
    }

    private Optional<String> found(Library library) {
        return library.names.stream().filter(name -> probe.apply(name) == null).findFirst();
    }

    /** Opens the kernels and JCuda, once. All libraries were found. */
    private synchronized String open() {
        if (!tried) {
            tried = true;
            try {
                kernels = openKernels.get();
                loadJCuda.accept(found(CUBLAS).orElseThrow(), found(CUDNN).orElseThrow());
            } catch (JlatentException e) {
                error = e.getMessage();
            }
        }
        return error;
    }

    /** Address of the table of launchers; {@link #unavailabilityCause} was empty. */
    long kernels() {
        return kernels.table;
    }

    List<String> report() {
        List<String> lines = new ArrayList<>();
        boolean all = true;
        for (Library library : LIBRARIES) {
            Optional<String> name = found(library);
            all &= name.isPresent();
            lines.add(
                    line(
                            String.join(" | ", library.names),
                            library.use,
                            name.map(n -> "found" + version(locate.apply(n)))
                                    .orElse("not found: " + library.remedy)));
        }
        String verdict =
                !all
                        ? "not tried without the libraries above"
                        : unavailabilityCause().orElseGet(() -> "ok, " + kernels.library);
        lines.add(line("libjlatent_cuda, JCuda", "kernels", verdict));
        return lines;
    }

    /** A file's version, which its name ends with, as in libcudnn.so.9.5.1; and where it is. */
    private static String version(String file) {
        int start = file.lastIndexOf(".so.");
        return (start < 0 ? "" : " " + file.substring(start + 4)) + ", " + file;
    }

    private static String line(String names, String use, String verdict) {
        return String.format(Locale.ROOT, "%-34s %-16s %s", names, use, verdict);
    }
}
