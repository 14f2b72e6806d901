package org.jlatent.cuda;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** The stubs of native/stubs: what they were asked, and what they answer. */
final class Stubs {
    private final Path calls;
    private final Path answers;

    private Stubs(Path folder) {
        calls = folder.resolve("calls");
        answers = folder.resolve("answers");
    }

    /** Stubs that do their work, and have not been called since. */
    static Stubs clean() {
        Path folder = Path.of(System.getenv("JLATENT_STUBS"));
        Stubs stubs = new Stubs(folder);
        try {
            Files.createDirectories(folder);
            Files.deleteIfExists(stubs.answers);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Cuda.ensureAvailable();
        stubs.forgetCalls();
        return stubs;
    }

    /** Lines "function number", as stub.h has them. */
    void answer(String lines) {
        write(answers, lines);
    }

    /** The arguments of every call of a function. */
    List<String> calls(String function) {
        try {
            return Files.readAllLines(calls).stream()
                    .filter(line -> line.startsWith(function + " "))
                    .map(line -> line.substring(function.length() + 1))
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    void forgetCalls() {
        write(calls, "");
    }

    /** Leaves nothing to whoever comes next. */
    void forget() {
        try {
            Files.deleteIfExists(answers);
            Files.deleteIfExists(calls);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void write(Path file, String text) {
        try {
            Files.writeString(file, text);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
