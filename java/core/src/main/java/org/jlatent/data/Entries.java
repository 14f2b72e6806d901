package org.jlatent.data;

import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Enumeration;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.apache.commons.compress.archivers.zip.ZipArchiveEntry;
import org.apache.commons.compress.archivers.zip.ZipFile;

/**
 * The files of a folder, or of a tar, tar.gz, tgz or zip archive. An archive is read in memory,
 * nothing is unpacked; an entry that points outside it, or is no plain file, is an error.
 */
final class Entries {
    private static final List<String> SUFFIXES = List.of(".tar", ".tar.gz", ".tgz", ".zip");

    /** Reads the bytes of a file. */
    @FunctionalInterface
    interface Content {
        byte[] read() throws IOException;
    }

    /**
     * @param path below the folder or within the archive, with slashes
     * @param name what errors call it: the file, or {@code archive!path}
     * @param content reads it; from any thread
     */
    record Entry(String path, String name, Content content) {
        byte[] bytes() {
            try {
                return content.read();
            } catch (IOException e) {
                throw new DataException("cannot read " + name + ": " + reason(e), e);
            }
        }
    }

    private Entries() {}

    static boolean isArchive(Path file) {
        String name = file.toString().toLowerCase(Locale.ROOT);
        return SUFFIXES.stream().anyMatch(name::endsWith);
    }

    /**
     * Visits the files whose path is {@code wanted}, in the order of the archive, or sorted; hidden
     * ones are passed over.
     *
     * @throws DataException if the folder or archive cannot be read, or holds an unsafe entry
     */
    static void visit(Path source, Predicate<String> wanted, Consumer<Entry> visitor) {
        Predicate<String> seen = path -> !isHidden(path) && wanted.test(path);
        try {
            if (Files.isDirectory(source)) {
                folder(source, seen, visitor);
            } else if (source.toString().toLowerCase(Locale.ROOT).endsWith(".zip")) {
                zip(source, seen, visitor);
            } else {
                tar(source, seen, visitor);
            }
        } catch (UncheckedIOException e) {
            throw new DataException("cannot read " + source + ": " + reason(e.getCause()), e);
        } catch (IOException | IllegalArgumentException e) { // damaged headers give either
            throw new DataException(
                    Files.isDirectory(source) || !Files.isReadable(source)
                            ? "cannot read " + source + ": " + reason(e)
                            : source + " is damaged or no such archive: " + reason(e),
                    e);
        }
    }

    private static String reason(Exception e) {
        if (e instanceof EOFException) {
            return "it ends too early";
        }
        String message = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
        return message.lines().findFirst().orElse("");
    }

    /** As {@code .git/x}, {@code ._x} and {@code __MACOSX/x}. */
    private static boolean isHidden(String path) {
        return Stream.of(path.split("/"))
                .anyMatch(part -> part.startsWith(".") || part.equals("__MACOSX"));
    }

    private static void folder(Path root, Predicate<String> wanted, Consumer<Entry> visitor)
            throws IOException {
        try (Stream<Path> files = Files.walk(root, FileVisitOption.FOLLOW_LINKS)) {
            files.filter(Files::isRegularFile)
                    .filter(file -> wanted.test(slashed(root, file)))
                    .sorted()
                    .forEach(
                            file ->
                                    visitor.accept(
                                            new Entry(
                                                    slashed(root, file),
                                                    file.toString(),
                                                    () -> Files.readAllBytes(file))));
        }
    }

    private static String slashed(Path root, Path file) {
        return root.relativize(file).toString().replace('\\', '/');
    }

    private static void tar(Path file, Predicate<String> wanted, Consumer<Entry> visitor)
            throws IOException {
        boolean plain = file.toString().toLowerCase(Locale.ROOT).endsWith(".tar");
        try (InputStream raw = new BufferedInputStream(Files.newInputStream(file), 1 << 16);
                TarArchiveInputStream in =
                        new TarArchiveInputStream(
                                plain ? raw : new GZIPInputStream(raw, 1 << 16))) {
            for (TarArchiveEntry entry; (entry = in.getNextEntry()) != null; ) {
                boolean link = entry.isLink() || entry.isSymbolicLink();
                boolean ordinary = !link && (entry.isDirectory() || entry.isFile());
                String path = checked(file, entry.getName(), ordinary);
                if (!entry.isDirectory() && wanted.test(path)) {
                    visit(file, path, content(file, path, in, entry.getSize()), visitor);
                }
            }
        }
    }

    private static void zip(Path file, Predicate<String> wanted, Consumer<Entry> visitor)
            throws IOException {
        try (ZipFile zip = ZipFile.builder().setPath(file).get()) {
            Enumeration<ZipArchiveEntry> entries = zip.getEntriesInPhysicalOrder();
            while (entries.hasMoreElements()) {
                ZipArchiveEntry entry = entries.nextElement();
                String path = checked(file, entry.getName(), !entry.isUnixSymlink());
                if (!entry.isDirectory() && wanted.test(path)) {
                    if (!zip.canReadEntryData(entry)) {
                        throw new DataException(
                                file
                                        + "!"
                                        + path
                                        + " is encrypted or compressed in a way that"
                                        + " cannot be read");
                    }
                    try (InputStream in = zip.getInputStream(entry)) {
                        visit(file, path, content(file, path, in, entry.getSize()), visitor);
                    }
                }
            }
        }
    }

    private static void visit(Path file, String path, byte[] bytes, Consumer<Entry> visitor) {
        visitor.accept(new Entry(path, file + "!" + path, () -> bytes));
    }

    private static String checked(Path file, String path, boolean ordinary) {
        if (!ordinary) {
            throw new DataException(
                    file
                            + "!"
                            + path
                            + " is a link or a device: archives may hold plain files only");
        }
        if (path.startsWith("/")
                || path.matches("[A-Za-z]:.*")
                || List.of(path.split("[/\\\\]")).contains("..")) {
            throw new DataException(
                    file + "!" + path + " points outside the archive: it is not to be trusted");
        }
        return path.startsWith("./") ? path.substring(2) : path;
    }

    private static byte[] content(Path file, String path, InputStream in, long size)
            throws IOException {
        if (size < 0 || size > Integer.MAX_VALUE - 8) {
            throw new DataException(
                    file + "!" + path + " claims " + size + " bytes, more than can be held");
        }
        byte[] bytes = in.readNBytes((int) size); // grows as bytes arrive: the size may be a lie
        if (bytes.length < size || in.read() >= 0) {
            throw new DataException(
                    file + "!" + path + " is not the " + size + " bytes that are announced");
        }
        return bytes;
    }
}
