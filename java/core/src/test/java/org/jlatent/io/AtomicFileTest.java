package org.jlatent.io;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.jlatent.JlatentException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class AtomicFileTest {
    @TempDir Path folder;

    private void holdsOnly(Path file, String text) throws IOException {
        assertEquals(text, Files.readString(file));
        try (Stream<Path> entries = Files.list(folder)) {
            assertEquals(List.of(file), entries.toList());
        }
    }

    @Test
    void aWriteReplacesTheFile() throws IOException {
        Path file = folder.resolve("a.txt");
        AtomicFile.write(file, out -> out.write("a longer text".getBytes(UTF_8)));
        AtomicFile.write(file, out -> out.write('2'));
        holdsOnly(file, "2");
    }

    @Test
    void aWriteThatFailsLeavesTheOldFileAndNothingElse() throws IOException {
        Path file = folder.resolve("a.txt");
        AtomicFile.write(file, out -> out.write('1'));
        JlatentException full =
                assertThrows(
                        JlatentException.class,
                        () ->
                                AtomicFile.write(
                                        file,
                                        out -> {
                                            out.write('2');
                                            throw new IOException("no space left");
                                        }));
        assertEquals("cannot write " + file + ": no space left", full.getMessage());
        holdsOnly(file, "1");
        assertThrows(
                IllegalStateException.class,
                () ->
                        AtomicFile.write(
                                file,
                                out -> {
                                    out.write('3');
                                    throw new IllegalStateException();
                                }));
        holdsOnly(file, "1");
    }

    @Test
    void whatCannotBeWrittenIsNamed() {
        Path nowhere = folder.resolve("no/such/folder.txt");
        for (Path file : List.of(nowhere, folder, Path.of("/"))) {
            String message =
                    assertThrows(JlatentException.class, () -> AtomicFile.write(file, out -> {}))
                            .getMessage();
            assertTrue(message.startsWith("cannot write " + file + ": "), message);
            assertEquals(1, message.lines().count());
        }
    }
}
