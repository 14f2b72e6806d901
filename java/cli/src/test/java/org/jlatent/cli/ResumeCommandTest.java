package org.jlatent.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jlatent.train.Checkpoint;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code train --resume} from outside: signals, locks, full disks, and what comes out after. */
final class ResumeCommandTest extends CommandTest {
    private static final String TOO_LARGE = "900000000"; // steps that no test waits for

    private Path data; // 40 images of 6x6
    private Path run;
    private Path log;
    private Process child;

    @BeforeEach
    void makeData() throws IOException {
        data = Files.write(folder.resolve("tiny.idx"), idx(40, 6));
        run = folder.resolve("run");
        log = folder.resolve("log");
    }

    @AfterEach
    void endChild() {
        if (child != null) {
            child.destroyForcibly();
        }
    }

    private Object[] training(Path to, String length, Object count) {
        return new Object[] {
            "train",
            "vae",
            "--data",
            data,
            "--device",
            "cpu",
            length,
            count,
            "--set",
            "latent=2",
            "--set",
            "hidden=8",
            "--set",
            "batch=10",
            "--set",
            "checkpoint.every=2",
            "--out",
            to
        };
    }

    private void trained(Path to, String length, int count) {
        assertEquals(0, run(training(to, length, count)), err::toString);
    }

    private void resumed(Object... more) {
        Object[] args =
                Stream.concat(Stream.of("train", "--resume", run), Stream.of(more)).toArray();
        assertEquals(0, run(args), err::toString);
    }

    /** Same weights and same figures; only how fast it went may differ. */
    private void equal(Path expected, Path found) throws IOException {
        assertArrayEquals(
                Files.readAllBytes(expected.resolve("model.safetensors")),
                Files.readAllBytes(found.resolve("model.safetensors")));
        assertEquals(figures(expected), figures(found));
    }

    private static List<String> figures(Path of) throws IOException {
        return Files.readAllLines(of.resolve("metrics.csv")).stream()
                .map(line -> line.replaceFirst("^([^,]*,[^,]*),[^,]*", "$1"))
                .toList();
    }

    /** A process of its own, that may be signalled even where this one ignores signals. */
    private Process start(List<String> prefix, Class<?> main, Object... args) throws IOException {
        List<String> command = new ArrayList<>(prefix);
        command.addAll(
                List.of(
                        "env",
                        "--default-signal=INT,TERM",
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:TieredStopAtLevel=1",
                        "-XX:-UsePerfData",
                        "-cp",
                        System.getProperty("java.class.path")
                                + ":"
                                + System.getProperty("jdk.module.path", ""),
                        main.getName()));
        Stream.of(args).map(Object::toString).forEach(command::add);
        child = new ProcessBuilder(command).redirectError(log.toFile()).start();
        return child;
    }

    private void signal(String name) throws IOException, InterruptedException {
        assertEquals(0, new ProcessBuilder("kill", "-" + name, child.pid() + "").start().waitFor());
    }

    private void waitFor(Path file) throws InterruptedException {
        while (!Files.exists(file)) {
            assertFalse(child.waitFor(5, TimeUnit.MILLISECONDS), this::said);
        }
    }

    private String said() {
        try {
            return Files.readString(log);
        } catch (IOException e) {
            return e.toString();
        }
    }

    @ParameterizedTest
    @CsvSource({"INT, 130", "TERM, 143"})
    void aSignalledRunIsSavedAndGoesOn(String signal, int code) throws Exception {
        start(List.of(), Main.class, training(run, "--steps", TOO_LARGE));
        waitFor(run.resolve("checkpoint.safetensors"));
        fails(
                List.of("train", "--resume", run),
                run + " is in use by process " + child.pid(),
                "wait");
        signal(signal);
        assertEquals(code, child.waitFor(), this::said);
        String last = said().lines().reduce((a, b) -> b).orElseThrow();
        Matcher stopped =
                Pattern.compile(
                                "jlatent: stopped after step (\\d+) of 900000000; go on with: "
                                        + "jlatent train --resume "
                                        + Pattern.quote(run.toString()))
                        .matcher(last);
        assertTrue(stopped.matches(), last);
        assertEquals(1, said().lines().filter(line -> line.startsWith("jlatent: ")).count());
        int steps = Integer.parseInt(stopped.group(1));
        fails(List.of("sample", run), "holds no model.safetensors yet", "--resume");

        resumed("--steps", steps + 7);
        assertTrue(err.toString().contains("going on after step " + steps + " of"), err::toString);
        trained(folder.resolve("whole"), "--steps", steps + 7);
        equal(folder.resolve("whole"), run);
    }

    @Test
    void aSecondSignalEndsAtOnce() throws Exception {
        start(List.of(), InterruptedChild.class);
        BufferedReader lines = child.inputReader(StandardCharsets.UTF_8);
        assertEquals("ready", lines.readLine());
        signal("INT");
        assertEquals("asked", lines.readLine());
        assertTrue(child.isAlive());
        signal("INT");
        assertEquals(130, child.waitFor(), this::said);
    }

    @Test
    void aKilledRunStartsOverOrGoesOn() throws Exception {
        // Killed before its first checkpoint: only what was asked for is there.
        trained(run, "--epochs", 3);
        Path whole = Files.move(run, folder.resolve("whole"));
        Files.createDirectory(run);
        Files.copy(whole.resolve("config.json"), run.resolve("config.json"));
        resumed();
        assertTrue(err.toString().contains("going on after step 0 of"), err::toString);
        equal(whole, run);

        // Killed later.
        Path checkpoint = run.resolve("checkpoint.safetensors");
        start(List.of(), Main.class, "train", "--resume", run, "--steps", TOO_LARGE);
        long finished = Checkpoint.read(checkpoint).state().step();
        while (Checkpoint.read(checkpoint).state().step() == finished) {
            assertFalse(child.waitFor(5, TimeUnit.MILLISECONDS), this::said);
        }
        child.destroyForcibly().waitFor();
        Path left = run.resolve(".config.json.8d3b1d0a-52b1-4f0c-9c0e-0d7d4c2f9b11.tmp");
        Files.createFile(left);
        long steps = Checkpoint.read(checkpoint).state().step() + 7;
        resumed("--steps", steps);
        assertFalse(Files.exists(left));
        Path longer = folder.resolve("longer");
        trained(longer, "--steps", (int) steps);
        equal(longer, run);
    }

    @Test
    void aFinishedRunSaysSoAndCanBeTrainedLonger() throws IOException {
        trained(run, "--epochs", 2);
        resumed("--json");
        assertTrue(err.toString().contains("is finished: all of its 8 steps"), err::toString);
        assertEquals(8, RunFolder.parse(out.toString()).get("steps"));
        Files.delete(run.resolve("metrics.csv")); // as if it had ended before it wrote everything
        Files.delete(run.resolve("model.safetensors"));
        resumed();
        resumed("--epochs", 5);
        assertEquals(5, RunFolder.open(run).config().epochs());
        assertEquals(6, Files.readAllLines(run.resolve("metrics.csv")).size());
        Path whole = folder.resolve("whole");
        trained(whole, "--epochs", 5);
        equal(whole, run);
    }

    @Test
    void aRunGoesOnInItsPrecision() throws IOException {
        Object[] bf16 = {"--precision", "bf16"};
        Path whole = folder.resolve("whole");
        for (Path to : List.of(run, whole)) {
            int epochs = to.equals(run) ? 1 : 2;
            Object[] args = training(to, "--epochs", epochs);
            assertEquals(0, run(Stream.of(args, bf16).flatMap(Stream::of).toArray()));
            assertTrue(err.toString().contains(" in bf16"), err::toString);
            assertEquals("bf16", RunFolder.open(to).config().precision());
        }
        resumed("--epochs", 2);
        equal(whole, run);
        Path config = run.resolve("config.json");
        Files.writeString(config, Files.readString(config).replace("\"bf16\"", "\"f32\""));
        assertEquals(2, run("train", "--resume", run, "--epochs", 3));
        assertTrue(err.toString().contains("precision is BF16 there, F32 here"), err::toString);
    }

    @Test
    void aFullDiskIsOneLineAndTheLastCheckpointStays() throws Exception {
        trained(run, "--steps", 3);
        byte[] before = Files.readAllBytes(run.resolve("checkpoint.safetensors"));
        // No file may grow beyond 8 KiB: the system refuses it as it does on a full disk.
        start(
                List.of("bash", "-c", "ulimit -f 8; exec \"$0\" \"$@\""),
                Main.class,
                "train",
                "--resume",
                run,
                "--steps",
                50);
        assertEquals(2, child.waitFor(), this::said);
        String last = said().lines().reduce((a, b) -> b).orElseThrow();
        assertTrue(
                last.startsWith("jlatent: cannot write " + run.resolve("checkpoint.safetensors: ")),
                this::said);
        assertArrayEquals(before, Files.readAllBytes(run.resolve("checkpoint.safetensors")));
        try (Stream<Path> files = Files.list(run)) {
            assertTrue(files.noneMatch(f -> f.toString().endsWith(".tmp")));
        }
        resumed(); // to the 50 steps asked for
        Path whole = folder.resolve("whole");
        trained(whole, "--steps", 50);
        equal(whole, run);
    }

    @Test
    void mistakesAreNamed() throws IOException {
        fails(List.of("train"), "MODEL");
        fails(List.of("train", "--resume", folder), "is not a run folder");
        assertFalse(Files.exists(folder.resolve(".lock")));
        trained(run, "--steps", 5);
        List<Object> resume = List.of("train", "--resume", run);
        for (List<String> more :
                List.of(
                        List.of("--seed", "3"),
                        List.of("--set", "latent=3"),
                        List.of("--precision", "bf16"),
                        List.of("--data", "sprites"),
                        List.of("--out", "there"),
                        List.of("vae"))) {
            fails(
                    Stream.concat(resume.stream(), more.stream()).toList(),
                    "leave out " + more.get(0));
        }
        fails(
                List.of("train", "--resume", run, "--steps", 4),
                "stands at step 5",
                "4 steps in all leave nothing to do");
        resumed(); // still
        assertEquals(
                "jlatent: " + run + " is in use by this process: wait for it to end, or stop it",
                inUse());

        Path checkpoint = run.resolve("checkpoint.safetensors");
        byte[] whole = Files.readAllBytes(checkpoint);
        Files.write(checkpoint, java.util.Arrays.copyOf(whole, whole.length - 9));
        fails(resume, checkpoint.toString(), "truncated");
        Files.write(checkpoint, whole);
        String config = Files.readString(run.resolve("config.json"));
        Files.writeString(
                run.resolve("config.json"),
                config.replace("\"hidden\" : \"8\"", "\"hidden\" : \"9\""));
        assertEquals(2, run(resume.toArray()));
        String last = err.toString().lines().reduce((a, b) -> b).orElseThrow();
        assertTrue(
                last.contains("of another model: tensor model.encoder.0.weight is [8, 36] there"),
                last);
        Files.writeString(run.resolve("config.json"), config);
        Files.delete(checkpoint);
        fails(resume, "holds a trained model, but no checkpoint.safetensors");
    }

    private String inUse() {
        RunLock.holding(
                run,
                () -> {
                    fails(List.of("train", "--resume", run));
                    return 0;
                });
        return err.toString().strip();
    }
}
