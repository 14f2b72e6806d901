package org.jlatent.internal;

import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.lang.module.ModuleFinder;
import java.lang.module.ModuleReader;
import java.lang.module.ModuleReference;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Finds the native libraries: in {@code -Djlatent.library.path} if it is given, else unpacked from
 * their jar, wherever it is on the class path or the module path, into a folder named for their
 * content, {@code ~/.cache/jlatent/<hash>}. Any number of processes may start at once: each unpacks
 * into a folder of its own and renames it into place; the first wins.
 */
public final class NativeLibraries {
    private static final String RESOURCES = "org/jlatent/native/linux-x86_64/";

    /**
     * The libraries' names and hashes, written by the native build: one {@code sha256 name} a line.
     */
    private static final String LIST = "natives.txt";

    private static Path folder;

    private NativeLibraries() {}

    /** The folder that holds the core libraries, unpacked if need be. */
    public static synchronized Path folder() {
        if (folder == null) {
            String given = System.getProperty("jlatent.library.path");
            folder = given != null ? Path.of(given) : unpack();
        }
        return folder;
    }

    static void loadJni() {
        Path library = folder().resolve("libjlatent_jni.so");
        try {
            System.load(library.toAbsolutePath().toString());
        } catch (UnsatisfiedLinkError e) {
            throw new UnsupportedPlatformException(
                    "cannot load " + library + ": " + e.getMessage(), e);
        }
    }

    private static Path unpack() {
        checkPlatform();
        try (InputStream in = stream(LIST)) {
            byte[] list = in.readAllBytes();
            return unpack(Hashes.sha256(list), names(list), NativeLibraries::stream);
        } catch (IOException e) {
            throw new UnsupportedPlatformException(
                    "cannot read " + RESOURCES + LIST + ": " + e.getMessage(), e);
        }
    }

    /**
     * @throws UnsupportedPlatformException where the libraries do not run
     */
    public static void checkPlatform() {
        String os = System.getProperty("os.name");
        String arch = System.getProperty("os.arch");
        if (!os.toLowerCase(Locale.ROOT).contains("linux") || !arch.equals("amd64")) {
            throw new UnsupportedPlatformException(
                    "jlatent's native libraries run on Linux x86-64 with glibc 2.34 or later; this is "
                            + os
                            + " "
                            + arch);
        }
    }

    /** Opens a file that is to be unpacked. */
    @FunctionalInterface
    public interface Opener {
        InputStream open(String name) throws IOException;
    }

    /**
     * Unpacks files into a folder of the cache, once; any number of processes may try at the same
     * time.
     *
     * @param key names their content
     * @return the folder
     */
    public static Path unpack(String key, List<String> names, Opener opener) {
        Path target = cache().resolve(key.substring(0, Math.min(16, key.length())));
        try {
            if (Files.isDirectory(target)) {
                return target;
            }
            Files.createDirectories(target.getParent());
            Path fresh = Files.createTempDirectory(target.getParent(), ".unpacking-");
            try {
                for (String name : names) {
                    try (InputStream in = opener.open(name)) {
                        Files.copy(in, fresh.resolve(name));
                    }
                }
                rename(fresh, target);
            } finally {
                delete(fresh);
            }
            return target;
        } catch (IOException e) {
            throw new UnsupportedPlatformException(
                    "cannot unpack the native libraries into "
                            + cache()
                            + " ("
                            + e.getMessage()
                            + "); set -Djlatent.cache to a folder that can be written",
                    e);
        }
    }

    private static Path cache() {
        String given = System.getProperty("jlatent.cache");
        if (given != null) {
            return Path.of(given);
        }
        String xdg = System.getenv("XDG_CACHE_HOME");
        Path base =
                xdg != null && !xdg.isEmpty()
                        ? Path.of(xdg)
                        : Path.of(System.getProperty("user.home"), ".cache");
        return base.resolve("jlatent");
    }

    private static List<String> names(byte[] list) {
        return new String(list, StandardCharsets.UTF_8)
                .lines()
                .map(line -> line.substring(line.indexOf("  ") + 2))
                .toList();
    }

    private static void rename(Path fresh, Path target) throws IOException {
        try {
            Files.move(fresh, target, StandardCopyOption.ATOMIC_MOVE);
        } catch (FileSystemException e) { // some say "exists", some "directory not empty"
            if (!Files.isDirectory(target)) {
                throw e;
            }
        }
    }

    private static void delete(Path folder) throws IOException {
        if (!Files.exists(folder)) {
            return;
        }
        try (Stream<Path> paths = Files.walk(folder)) {
            for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
    }

    private static InputStream stream(String name) throws IOException {
        return resource(NativeLibraries.class, "org.jlatent.core.linux_x86_64", name)
                .orElseThrow(
                        () ->
                                new UnsupportedPlatformException(
                                        "jlatent's native libraries are not there: add the dependency"
                                                + " org.jlatent:jlatent-core with the classifier"
                                                + " linux-x86_64, or set -Djlatent.library.path"));
    }

    /**
     * Opens a file of a jar of native libraries.
     *
     * @param neighbour a class of whoever needs it
     * @param module the jar's name as a module: on the module path nobody requires it, so it is
     *     looked for by name
     * @return empty when there is no such jar
     */
    public static Optional<InputStream> resource(Class<?> neighbour, String module, String name)
            throws IOException {
        ClassLoader loader = neighbour.getClassLoader();
        InputStream in = loader == null ? null : loader.getResourceAsStream(RESOURCES + name);
        if (in != null) {
            return Optional.of(in);
        }
        String path = System.getProperty("jdk.module.path", "");
        Path[] entries =
                Stream.of(path.split(File.pathSeparator))
                        .filter(entry -> !entry.isEmpty())
                        .map(Path::of)
                        .toArray(Path[]::new);
        Optional<ModuleReference> jar = ModuleFinder.of(entries).find(module);
        if (jar.isEmpty()) {
            return Optional.empty();
        }
        try (ModuleReader reader = jar.get().open()) {
            Optional<ByteBuffer> bytes = reader.read(RESOURCES + name);
            return bytes.map(
                    b -> {
                        byte[] copy = new byte[b.remaining()];
                        b.get(copy);
                        reader.release(b);
                        return new ByteArrayInputStream(copy);
                    });
        }
    }
}
