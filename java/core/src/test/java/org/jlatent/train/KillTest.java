package org.jlatent.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.jlatent.io.Safetensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** SIGKILL at any moment: the run goes on from its last checkpoint and ends where it would have. */
final class KillTest {
    private static final int KILLS = 50;

    @TempDir Path folder;

    private Process start(Path file, int every) throws IOException {
        // Under a module path the tests' own classes are patched in and named nowhere.
        String path =
                String.join(
                        File.pathSeparator,
                        "target/test-classes",
                        "target/classes",
                        System.getProperty("jdk.module.path", ""),
                        System.getProperty("java.class.path"));
        return new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:TieredStopAtLevel=1",
                        "-XX:+UseSerialGC",
                        "-Xshare:auto",
                        "-cp",
                        path,
                        KilledRun.class.getName(),
                        file.toString(),
                        Integer.toString(every))
                .redirectError(folder.resolve("log").toFile())
                .start();
    }

    private List<Path> temporaries() throws IOException {
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.filter(e -> e.toString().endsWith(".tmp")).toList();
        }
    }

    @Test
    void aRunKilledFiftyTimesEndsAsTheOneThatWasNot() throws Exception {
        SplittableRandom random = new SplittableRandom(20);
        int[] moments = random.ints(KILLS, 1, KilledRun.STEPS * 3 / 4).sorted().toArray();
        Path file = folder.resolve("killed");
        int writing = 0;
        int starting = 0;
        for (int moment : moments) {
            Process child = start(file, 1);
            if (random.nextInt(10) == 0) { // somewhere in its first steps
                starting++;
                child.waitFor(random.nextInt(400), TimeUnit.MILLISECONDS);
            } else {
                readUntil(child, moment);
                LockSupport.parkNanos(random.nextLong(5_000_000));
            }
            child.destroyForcibly();
            assertEquals(128 + 9, child.waitFor(), () -> "it ended before it was killed: " + log());
            writing += temporaries().size();
            assertTrue(temporaries().size() <= 1, "what was left last time is removed");
            if (Files.exists(file)) {
                Checkpoint.read(file);
            }
        }
        System.out.printf(
                "%d kills: %d while a checkpoint was written, %d at the start; last at step %d%n",
                KILLS, writing, starting, Checkpoint.read(file).state().step());
        assertTrue(writing > 0, "no kill hit a checkpoint on its way to the disk");

        Path whole = folder.resolve("whole");
        for (Path run : List.of(file, whole)) {
            Process last = start(run, 0);
            last.getInputStream().transferTo(OutputStream.nullOutputStream());
            assertEquals(0, last.waitFor(), this::log);
        }
        assertEquals(List.of(), temporaries());
        Map<String, Safetensors.Entry> expected = Safetensors.read(whole);
        Map<String, Safetensors.Entry> found = Safetensors.read(file);
        assertEquals(expected.keySet(), found.keySet());
        expected.forEach(
                (name, entry) ->
                        assertArrayEquals(
                                entry.data().array(), found.get(name).data().array(), name));
        assertEquals(told(whole), told(file));
    }

    /** Waits for a step's line. */
    private void readUntil(Process child, int step) throws IOException {
        BufferedReader lines = child.inputReader(StandardCharsets.UTF_8);
        String line;
        do {
            line = lines.readLine();
            if (line == null) {
                throw new AssertionError("it ended before step " + step + ": " + log());
            }
        } while (Long.parseLong(line) < step);
    }

    private String log() {
        try {
            return Files.readString(folder.resolve("log"));
        } catch (IOException e) {
            return e.toString();
        }
    }

    /** Every epoch's figures. */
    private static String told(Path file) {
        return Checkpoint.read(file).state().history().stream()
                .map(p -> p.epoch() + " " + p.step() + p.metrics() + p.validation() + "\n")
                .reduce("", String::concat);
    }
}
