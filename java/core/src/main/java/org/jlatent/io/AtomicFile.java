package org.jlatent.io;

import java.io.BufferedOutputStream;
import java.io.FileNotFoundException;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.UUID;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jlatent.JlatentException;

/**
 * Writes files whole or not at all: into a temporary neighbour, synced, then renamed over the old
 * one, and the folder synced. A process that is killed while it writes leaves the old file and the
 * temporary one, {@code .NAME.UUID.tmp}; {@link #clean} removes that. Thread-safe: of several that
 * write one file, the last to finish wins.
 */
public final class AtomicFile {
    private AtomicFile() {}

    /** Writes to a stream and may fail. */
    @FunctionalInterface
    public interface Content {
        /** Writes everything to {@code out}, and leaves it open. */
        void writeTo(OutputStream out) throws IOException;
    }

    /**
     * Writes {@code content} to {@code file}.
     *
     * @throws JlatentException naming the file when it can't be written; what was there before
     *     stays
     */
    public static void write(Path file, Content content) {
        if (Files.isDirectory(file)) {
            throw new JlatentException("cannot write " + file + ": it is a folder");
        }
        Path folder = file.toAbsolutePath().getParent();
        // Not createTempFile: its files are for the owner's eyes only, and stay so under the new
        // name.
        Path temporary =
                folder.resolve("." + file.getFileName() + "." + UUID.randomUUID() + ".tmp");
        try {
            try (FileOutputStream stream = new FileOutputStream(temporary.toFile())) {
                OutputStream out = new BufferedOutputStream(stream, 1 << 16);
                content.writeTo(out);
                out.flush();
                stream.getFD().sync();
            }
            Files.move(
                    temporary,
                    file,
                    StandardCopyOption.ATOMIC_MOVE,
                    StandardCopyOption.REPLACE_EXISTING);
            sync(folder);
        } catch (IOException e) {
            throw new JlatentException("cannot write " + file + ": " + reason(e), e);
        } finally {
            delete(temporary);
        }
    }

    /** Makes the new name last. Without, a power cut may bring back the old file, as whole. */
    private static void sync(Path folder) {
        try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
            channel.force(true);
        } catch (IOException e) {
            // Some file systems sync no folders.
            System.getLogger(AtomicFile.class.getName())
                    .log(System.Logger.Level.DEBUG, "cannot sync " + folder, e);
        }
    }

    /**
     * Removes what killed writers left behind. Nobody may be writing.
     *
     * @param path a file, for its temporary files; a folder, for those of all files in it
     * @throws JlatentException if the folder can't be read or written
     */
    public static void clean(Path path) {
        boolean all = Files.isDirectory(path);
        Path folder = all ? path : path.toAbsolutePath().getParent();
        Pattern temporary =
                Pattern.compile(
                        "\\."
                                + (all ? ".+" : Pattern.quote(path.getFileName().toString()))
                                + "\\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\\.tmp");
        try (Stream<Path> entries = Files.list(folder)) {
            for (Path entry : entries.toList()) {
                if (temporary.matcher(entry.getFileName().toString()).matches()) {
                    Files.delete(entry);
                }
            }
        } catch (IOException e) {
            throw new JlatentException("cannot write to " + folder + ": " + reason(e), e);
        }
    }

    private static String reason(IOException e) {
        if (e instanceof AccessDeniedException) {
            return "permission denied";
        }
        if (e instanceof FileNotFoundException) { // says "PATH (Reason)"
            return e.getMessage().replaceFirst("^.*\\((.*)\\)$", "$1");
        }
        if (e instanceof NoSuchFileException) {
            return "its folder does not exist";
        }
        return e instanceof FileSystemException f && f.getReason() != null
                ? f.getReason()
                : e.getMessage();
    }

    private static void delete(Path temporary) {
        try {
            Files.deleteIfExists(temporary);
        } catch (IOException e) {
            System.getLogger(AtomicFile.class.getName())
                    .log(System.Logger.Level.WARNING, "left behind " + temporary, e);
        }
    }
}
