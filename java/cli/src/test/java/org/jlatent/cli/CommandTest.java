package org.jlatent.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;

/** Runs the command line from within, and sees what it says. */
abstract class CommandTest {
    @TempDir Path folder;
    final StringWriter out = new StringWriter();
    final StringWriter err = new StringWriter();

    /** The exit code. */
    final int run(Object... args) {
        out.getBuffer().setLength(0);
        err.getBuffer().setLength(0);
        String[] texts = Stream.of(args).map(Object::toString).toArray(String[]::new);
        return Main.run(new PrintWriter(out, true), new PrintWriter(err, true), texts);
    }

    final void works(Object... args) {
        assertEquals(0, run(args), err::toString);
    }

    /**
     * Exit code 2 and one line on standard error that holds every word; nothing on standard output.
     */
    final void fails(List<?> args, String... words) {
        assertEquals(2, run(args.toArray()), () -> args + ": " + out + err);
        assertEquals(1, err.toString().lines().count(), err::toString);
        assertEquals("", out.toString());
        for (String word : words) {
            assertTrue(err.toString().contains(word), () -> "'" + word + "' is not in: " + err);
        }
    }

    final void fails(String words, Object... args) {
        fails(List.of(args), words);
    }

    /** The same after lines of the log. */
    final void failsLater(String words, Object... args) {
        assertEquals(2, run(args), () -> out + "" + err);
        String last = err.toString().lines().reduce("", (line, next) -> next);
        assertTrue(last.startsWith("jlatent: ") && last.contains(words), err::toString);
        assertEquals("", out.toString());
    }

    /** Images of all greys, as an idx file. */
    static byte[] idx(int count, int side) {
        ByteBuffer file = ByteBuffer.allocate(16 + count * side * side);
        file.putInt(2051).putInt(count).putInt(side).putInt(side);
        for (int i = 0; i < count * side * side; i++) {
            file.put((byte) (37 * i % 256));
        }
        return file.array();
    }

    /** The same to train and to test with labels, class after class, in a folder. */
    final Path labelled(int side, int train, int test, int classes) throws IOException {
        Path data = Files.createDirectory(folder.resolve("tiny"));
        writeSplit(data, "train", side, train, classes);
        writeSplit(data, "t10k", side, test, classes);
        return data;
    }

    private static void writeSplit(Path data, String name, int side, int count, int classes)
            throws IOException {
        Files.write(data.resolve(name + "-images-idx3-ubyte"), idx(count, side));
        ByteBuffer labels = ByteBuffer.allocate(8 + count).putInt(2049).putInt(count);
        for (int i = 0; i < count; i++) {
            labels.put((byte) (i % classes));
        }
        Files.write(data.resolve(name + "-labels-idx1-ubyte"), labels.array());
    }
}
