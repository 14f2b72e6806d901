package org.jlatent.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.jlatent.cuda.Cuda;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The command line from outside: what it prints, leaves behind and answers to mistakes. */
final class MainTest extends CommandTest {
    private Path data; // a tiny data set: 40 images of 6x6

    @BeforeEach
    void makeData() throws IOException {
        data = Files.write(folder.resolve("tiny.idx"), idx(40, 6));
    }

    private Path train(String name) {
        Path run = folder.resolve(name);
        assertEquals(
                0,
                run(
                        "train",
                        "vae",
                        "--data",
                        data,
                        "--device",
                        "cpu",
                        "--steps",
                        3,
                        "--set",
                        "latent=2",
                        "--set",
                        "hidden=8",
                        "--set",
                        "batch=10",
                        "--out",
                        run),
                err::toString);
        return run;
    }

    @Test
    void aRunFolderHoldsEverything() throws IOException {
        Path run = train("run");
        for (String file :
                List.of(
                        "config.json",
                        "model.safetensors",
                        "metrics.csv",
                        "samples.png",
                        "reconstructions.png",
                        "curves.png")) {
            assertTrue(Files.size(run.resolve(file)) > 0, file);
        }
        List<String> rows = Files.readAllLines(run.resolve("metrics.csv"));
        assertEquals("epoch,step,images_per_second,loss,reconstruction,kl", rows.get(0));
        assertTrue(rows.get(1).startsWith("1,3,"), rows.get(1));
        BufferedImage samples = ImageIO.read(run.resolve("samples.png").toFile());
        assertEquals(2 + 8 * (6 * 16 + 2), samples.getWidth());
        assertTrue(out.toString().contains("elbo"), out::toString);
        try (Stream<Path> left = Files.list(run)) {
            // ... and the checkpoint, and the lock.
            assertEquals(8, left.count());
        }
    }

    @Test
    void aTrainedModelIsEvaluatedSampledAndReconstructed() throws IOException {
        Path run = train("run");
        assertEquals(0, run("evaluate", run, "--samples", 3, "--json"), err::toString);
        Map<String, Object> first = RunFolder.parse(out.toString());
        assertEquals(4, first.get("images"));
        assertEquals(
                -(Double) first.get("elbo"),
                (Double) first.get("reconstruction") + (Double) first.get("kl"),
                2e-6);
        assertTrue((Double) first.get("nll") < -(Double) first.get("elbo") + 0.5);
        assertEquals(0, run("evaluate", run, "--samples", 3, "--json"));
        assertEquals(
                first, RunFolder.parse(out.toString()), "the same seed gives the same figures");

        Path samples = folder.resolve("s.png");
        assertEquals(0, run("sample", run, "--count", 5, "--out", samples), err::toString);
        assertTrue(Files.size(samples) > 0);
        Path pairs = folder.resolve("r.png");
        assertEquals(
                0,
                run("reconstruct", run, "--count", 3, "--data", data, "--out", pairs),
                err::toString);
        assertTrue(Files.size(pairs) > 0);
    }

    @Test
    void jsonIsTheLastLineOfStandardOutput() throws IOException {
        Path run = folder.resolve("json");
        assertEquals(
                0,
                run(
                        "train",
                        "vae",
                        "--data",
                        data,
                        "--device",
                        "cpu",
                        "--epochs",
                        1,
                        "--set",
                        "hidden=8",
                        "--out",
                        run,
                        "--json"));
        String last = out.toString().lines().reduce((a, b) -> b).orElseThrow();
        Map<String, Object> results = RunFolder.parse(last);
        for (String key :
                List.of(
                        "elbo",
                        "kl",
                        "reconstruction",
                        "active_units",
                        "normalized_error",
                        "steps",
                        "epochs",
                        "images_per_second",
                        "device",
                        "run")) {
            assertTrue(results.containsKey(key), key);
        }
        assertEquals(1, results.get("epochs"));
        assertTrue(err.toString().contains("training vae"), "logs go to standard error");
    }

    @Test
    void mistakesInTrainingAreNamedAndLeaveNothing() throws IOException {
        Path run = folder.resolve("run");
        List<String> good =
                List.of(
                        "train",
                        "vae",
                        "--data",
                        data.toString(),
                        "--device",
                        "cpu",
                        "--out",
                        run.toString());
        fails(List.of("train", "vea", "--out", run), "unknown model 'vea'", "vae");
        fails(List.of("train", "vae"), "--out");
        fails(List.of("train", "vae", "--data", "mnits", "--out", run), "mnits", "sprites");
        fails(
                List.of("train", "vae", "--data", folder.resolve("none.idx"), "--out", run),
                "none.idx");
        fails(plus(good, "--set", "latnet=3"), "unknown setting 'latnet'", "latent");
        fails(plus(good, "--set", "latent=0"), "latent", "at least 1", "got 0");
        fails(plus(good, "--set", "latent=many"), "latent", "'many' is not a number");
        fails(plus(good, "--set", "latent=99999999999"), "latent", "is not a number that it takes");
        fails(plus(good, "--set", "hidden=99999999"), "make the model smaller");
        fails(plus(good, "--set", "learning-rate=-1"), "learning-rate", "-1");
        fails(plus(good, "--set", "learning-rate=NaN"), "learning-rate", "NaN");
        fails(plus(good, "--set", "likelihood=binomial"), "likelihood", "bernoulli", "binomial");
        fails(plus(good, "--set", "hidden=10-0"), "hidden");
        fails(plus(good, "--set", "latent"), "latent");
        fails(plus(good, "--steps", "-3"), "steps must be at least 1, got -3");
        fails(plus(good, "--epochs", "0"), "epochs must be at least 1, got 0");
        fails(plus(good, "--epochs", "1", "--steps", "1"), "mutually exclusive");
        fails(plus(good, "--threads", "0"), "threads must be at least 1, got 0");
        fails(plus(good, "--seed", "x"), "--seed", "x");
        fails(plus(good, "--precision", "f16"), "--precision must be f32, tf32 or bf16, got 'f16'");
        fails(plus(good, "--precision", "tf32"), "tf32 is a GPU's", "--device cpu");
        fails(plus(good, "--frobnicate"), "--frobnicate");
        fails(List.of("train", "vae", "--data", data, "--device", "tpu", "--out", run), "'tpu'");
        fails(List.of("fly"), "fly");
        fails(List.of("demo", "--epochs", "0", "--out", run), "epochs must be at least 1, got 0");
        for (String damaged : List.of("magic", "short", "empty")) {
            byte[] whole = idx(4, 6);
            byte[] bytes =
                    switch (damaged) {
                        case "magic" -> ByteBuffer.wrap(whole).putInt(0, 7).array();
                        case "short" -> java.util.Arrays.copyOf(whole, 60);
                        default -> new byte[0];
                    };
            Path file = Files.write(folder.resolve(damaged), bytes);
            fails(List.of("train", "vae", "--data", file, "--out", run), file.toString());
        }
        fails(
                List.of(
                        "train",
                        "vae",
                        "--data",
                        data,
                        "--device",
                        "cpu",
                        "--out",
                        data.resolve("below")),
                data.toString());
        fails(
                List.of("train", "vae", "--data", data, "--device", "cpu", "--out", data),
                "is a file");
        assertFalse(Files.exists(run), "nothing is left behind");
        // Training itself fails: its log, then the reason; what was saved stays.
        assertEquals(
                2,
                run(
                        plus(
                                        good,
                                        "--set",
                                        "learning-rate=1000",
                                        "--set",
                                        "likelihood=gaussian",
                                        "--steps",
                                        "50")
                                .toArray()));
        String last = err.toString().lines().reduce((a, b) -> b).orElseThrow();
        assertTrue(last.startsWith("jlatent: ") && last.contains("step"), last);
        assertTrue(Files.exists(run.resolve("checkpoint.safetensors")));
    }

    private static List<String> plus(List<String> args, String... more) {
        return Stream.concat(args.stream(), Stream.of(more)).toList();
    }

    @Test
    void cudaIsNotReplacedSilently() {
        assumeFalse(Cuda.isAvailable(), "this machine has a CUDA device");
        fails(
                List.of(
                        "train",
                        "vae",
                        "--data",
                        data,
                        "--device",
                        "cuda",
                        "--out",
                        folder.resolve("run")),
                "CUDA is not available",
                "libcuda");
        assertFalse(Files.exists(folder.resolve("run")));
        assertEquals(0, run("doctor"));
        assertTrue(
                out.toString().contains("libcuda.so.1") && out.toString().contains("install"),
                out::toString);
    }

    @Test
    void mistakesWithARunFolderAreNamed() throws IOException {
        fails(List.of("evaluate", folder), "is not a run folder", "config.json");
        fails(List.of("sample", folder.resolve("none")), "is not a run folder");
        Path run = train("run");
        fails(
                List.of("train", "vae", "--data", data, "--device", "cpu", "--out", run),
                "is not empty");
        fails(List.of("sample", run, "--count", "0"), "--count");
        fails(List.of("evaluate", run, "--samples", "0"), "samples must be at least 1");
        fails(
                List.of(
                        "evaluate",
                        run,
                        "--data",
                        Files.write(folder.resolve("big.idx"), idx(4, 7))),
                "6x6",
                "7x7");
        fails(List.of("sample", run, "--out", folder.resolve("no/such.png")), "no/such.png");

        Path model = run.resolve("model.safetensors");
        byte[] whole = Files.readAllBytes(model);
        Files.write(model, java.util.Arrays.copyOf(whole, whole.length - 5));
        fails(List.of("sample", run), "model.safetensors", "truncated");
        Files.copy(
                train("other").resolve("model.safetensors"),
                model,
                java.nio.file.StandardCopyOption.REPLACE_EXISTING);
        assertEquals(0, run("sample", run), err::toString);
        String config = Files.readString(run.resolve("config.json"));
        Files.writeString(
                run.resolve("config.json"),
                config.replace("\"latent\" : \"2\"", "\"latent\" : \"3\""));
        fails(List.of("sample", run), "model.safetensors", "there", "here");
        Files.writeString(
                run.resolve("config.json"),
                config.replace("\"hidden\" : \"8\"", "\"hidden\" : \"8-8\""));
        fails(List.of("sample", run), "encoder.1.weight is [");
        Files.writeString(run.resolve("config.json"), "{");
        fails(List.of("sample", run), "config.json", "cannot be read");
        Files.writeString(
                run.resolve("config.json"),
                "{\"model\":\"gan\",\"height\":1,\"width\":1,\"channels\":1,\"settings\":{}}");
        fails(List.of("sample", run), "unknown model 'gan'");
        Files.writeString(run.resolve("config.json"), "null");
        fails(List.of("sample", run), "does not describe a model");
        Files.writeString(
                run.resolve("config.json"),
                config.replaceAll("\"device\" : \"\\w+\"", "\"device\" : null"));
        fails(List.of("sample", run), "names no data or device");
        Files.writeString(
                run.resolve("config.json"),
                config.replace("\"latent\" : \"2\"", "\"latent\" : null"));
        fails(List.of("sample", run), "setting latent has no value");
        Files.writeString(run.resolve("config.json"), config.replace("\"device\"", "\"kind\""));
        fails(List.of("sample", run), "config.json");
        Files.writeString(
                run.resolve("config.json"),
                "{\"model\":\"vae\",\"height\":1,\"width\":1,\"channels\":1,\"settings\":{}}");
        fails(List.of("sample", run), "names no data or device");
        Files.delete(model);
        Files.writeString(run.resolve("config.json"), config);
        fails(List.of("sample", run), "holds no model.safetensors", "--resume");
    }

    @Test
    void helpNamesEveryCommandAndSetting() {
        assertEquals(0, run("--help"));
        for (String command :
                List.of("train", "evaluate", "sample", "reconstruct", "doctor", "demo", "test")) {
            assertTrue(out.toString().contains(command), command);
        }
        assertEquals(0, run("train", "--help"));
        for (String key : List.of("latent", "beta", "free-bits", "learning-rate")) {
            assertTrue(out.toString().contains(key), key);
        }
    }
}
