package org.jlatent.io;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
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
    void cleaningTakesOnlyWhatWritersLeft() throws IOException {
        String uuid = "8d3b1d0a-52b1-4f0c-9c0e-0d7d4c2f9b11";
        List<String> left = List.of(".a.txt." + uuid + ".tmp", ".b." + uuid + ".tmp");
        List<String> others = List.of(".a.txt.tmp", "a.txt", "a.txt." + uuid + ".tmp", ".x.1.tmp");
        for (String name : left) {
            Files.createFile(folder.resolve(name));
        }
        for (String name : others) {
            Files.createFile(folder.resolve(name));
        }
        AtomicFile.clean(folder.resolve("a.txt"));
        assertFalse(Files.exists(folder.resolve(left.get(0))));
        assertTrue(Files.exists(folder.resolve(left.get(1))));
        AtomicFile.clean(folder);
        try (Stream<Path> entries = Files.list(folder)) {
            assertEquals(
                    others.stream().sorted().toList(),
                    entries.map(e -> e.getFileName().toString()).sorted().toList());
        }
        String message =
                assertThrows(
                                JlatentException.class,
                                () -> AtomicFile.clean(folder.resolve("no/such.txt")))
                        .getMessage();
        assertEquals(
                "cannot write to " + folder.resolve("no") + ": its folder does not exist", message);
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
