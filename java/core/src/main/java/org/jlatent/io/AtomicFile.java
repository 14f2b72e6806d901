package org.jlatent.io;

import java.io.BufferedOutputStream;
import java.io.FileNotFoundException;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.UUID;
import org.jlatent.JlatentException;

/**
 * Writes files whole or not at all: into a temporary neighbour, synced, then renamed over the old
 * one. Thread-safe: of several that write one file, the last to finish wins.
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
        } catch (IOException e) {
            throw new JlatentException("cannot write " + file + ": " + reason(e), e);
        } finally {
            delete(temporary);
        }
    }

    private static String reason(IOException e) {
        if (e instanceof AccessDeniedException) {
            return "permission denied";
        }
        if (e instanceof FileNotFoundException) { // says "PATH (Reason)"
            return e.getMessage().replaceFirst("^.*\\((.*)\\)$", "$1");
        }
        return e instanceof NoSuchFileException ? "its folder does not exist" : e.getMessage();
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
