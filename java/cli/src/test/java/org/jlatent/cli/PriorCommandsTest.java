package org.jlatent.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.jlatent.io.Safetensors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Priors over codes at the command line: two stages of training, figures, samples, refusals. */
final class PriorCommandsTest {
    private static final int SIDE = 12; // codes are 3x3

    @TempDir Path folder;
    private Path data; // 24 images to train and 6 to test, of classes 0 to 2
    private Path codes; // run of the vq-vae
    private Path run; // run of the prior
    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    @BeforeEach
    void makeData() throws IOException {
        data = Files.createDirectory(folder.resolve("tiny"));
        codes = folder.resolve("codes");
        run = folder.resolve("run");
        writeSplit("train", 24);
        writeSplit("t10k", 6);
    }

    private void writeSplit(String name, int count) throws IOException {
        Files.write(data.resolve(name + "-images-idx3-ubyte"), MainTest.idx(count, SIDE));
        ByteBuffer labels = ByteBuffer.allocate(8 + count).putInt(2049).putInt(count);
        for (int i = 0; i < count; i++) {
            labels.put((byte) (i % 3));
        }
        Files.write(data.resolve(name + "-labels-idx1-ubyte"), labels.array());
    }

    private int run(Object... args) {
        out.getBuffer().setLength(0);
        err.getBuffer().setLength(0);
        String[] texts = Stream.of(args).map(Object::toString).toArray(String[]::new);
        return Main.run(new PrintWriter(out, true), new PrintWriter(err, true), texts);
    }

    private void works(Object... args) {
        assertEquals(0, run(args), err::toString);
    }

    private void fails(String words, Object... args) {
        assertEquals(2, run(args), () -> out + "" + err);
        String last = err.toString().lines().reduce("", (line, next) -> next);
        assertTrue(last.startsWith("jlatent: ") && last.contains(words), err::toString);
        assertEquals("", out.toString());
    }

    private Object[] command(List<?> first, String... settings) {
        Stream<Object> given = Arrays.stream(settings).flatMap(s -> Stream.of("--set", s));
        return Stream.concat(first.stream(), given).toArray();
    }

    private void trainCodes(Path to, String... settings) {
        trainCodes("vq-vae", to, settings);
    }

    private void trainCodes(String model, Path to, String... settings) {
        List<String> all = new ArrayList<>(List.of("hidden=8", "residual.hidden=4", "batch=12"));
        all.addAll(List.of(settings));
        works(
                command(
                        List.of(
                                "train",
                                model,
                                "--data",
                                data,
                                "--device",
                                "cpu",
                                "--epochs",
                                2,
                                "--out",
                                to),
                        all.toArray(String[]::new)));
    }

    private Object[] training(Path to, int epochs, String... settings) {
        List<String> all = new ArrayList<>(List.of("layers=2", "features=8", "head=8", "batch=8"));
        all.addAll(List.of(settings));
        return command(
                List.of(
                        "train",
                        "prior",
                        "--on",
                        codes,
                        "--device",
                        "cpu",
                        "--epochs",
                        epochs,
                        "--json",
                        "--out",
                        to),
                all.toArray(String[]::new));
    }

    private double figure(String name) throws IOException {
        return (Double) RunFolder.parse(out.toString()).get(name);
    }

    /** Of every quantizer: train, evaluate, sample. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "codes=16",
                "stages=2",
                "heads=4",
                "quantizer=fsq",
                "quantizer=lfq",
                "data.flip=on",
                "data.dequantize=on",
            })
    void aPriorIsTrainedMeasuredAndDrawnFrom(String setting) throws IOException {
        trainCodes(codes, setting, "dims=4");
        works(training(run, 2));
        double bits = figure("bits_per_code");
        double histogram = figure("histogram_bits_per_code");
        assertTrue(bits > 0 && bits < 12, "bits: " + bits);
        assertTrue(histogram > 0 && histogram <= 10, "bits: " + histogram);
        List<String> rows = Files.readAllLines(run.resolve("metrics.csv"));
        assertEquals("epoch,step,images_per_second,loss,bits_per_code", rows.get(0));
        double[] last = Stream.of(rows.get(2).split(",")).mapToDouble(Double::valueOf).toArray();
        assertEquals(last[3] / Math.log(2), last[4], 1e-5);

        works("evaluate", run, "--json");
        assertEquals(bits, figure("bits_per_code"));
        assertEquals(histogram, figure("histogram_bits_per_code"));
        assertEquals(6, RunFolder.parse(out.toString()).get("images"));

        byte[] drawn = Files.readAllBytes(run.resolve("samples.png"));
        Files.delete(run.resolve("samples.png"));
        works("sample", run);
        assertArrayEquals(drawn, Files.readAllBytes(run.resolve("samples.png")));
        Path other = folder.resolve("other.png");
        works("sample", run, "--count", 5, "--temperature", 2, "--top-k", 3, "--out", other);
        assertTrue(ImageIO.read(other.toFile()).getWidth() > 3 * SIDE);

        // What the codes' images were read with holds for the prior, and its weights are its own.
        RunFolder.Config config = RunFolder.open(run).config();
        Map<String, String> theirs = RunFolder.open(codes).config().settings();
        config.settings()
                .forEach(
                        (key, value) -> {
                            if (key.startsWith("data.")) {
                                assertEquals(theirs.get(key), value, key);
                            }
                        });
        assertEquals(codes.toString(), config.on().run());
        for (String name : Safetensors.read(run.resolve("model.safetensors")).keySet()) {
            assertTrue(name.startsWith("prior.codes."), name);
        }
    }

    /** One run for all maps of a vq-vae-2, each given those above it. */
    @Test
    void mapsArePriorsOfOneRun() throws IOException {
        trainCodes("vq-vae-2", codes, "levels=1", "codes=16", "dims=4");
        fails("jlatent train prior --on", "sample", codes);
        works(training(run, 2));
        double bits = figure("bits_per_code");
        assertTrue(bits > 0 && bits < 12, "bits: " + bits);
        List<String> rows = Files.readAllLines(run.resolve("metrics.csv"));
        assertEquals(
                "epoch,step,images_per_second,loss,bits_per_code,top_bits_per_code,bottom_bits_per_code",
                rows.get(0));
        double[] last = Stream.of(rows.get(2).split(",")).mapToDouble(Double::valueOf).toArray();
        assertEquals((9 * last[5] + 36 * last[6]) / 45, last[4], 1e-4);
        assertTrue(
                Safetensors.read(run.resolve("model.safetensors"))
                        .containsKey("prior.bottom.top.codes.weight"));
        byte[] drawn = Files.readAllBytes(run.resolve("samples.png"));
        works("sample", run);
        assertArrayEquals(drawn, Files.readAllBytes(run.resolve("samples.png")));
        Path other = folder.resolve("other");
        works(training(other, 1));
        works("train", "--resume", other, "--epochs", 2);
        assertArrayEquals(
                Files.readAllBytes(run.resolve("model.safetensors")),
                Files.readAllBytes(other.resolve("model.safetensors")));
    }

    @Test
    void aClassCanBeAskedFor() throws IOException {
        trainCodes(codes);
        works(training(run, 1, "classes=3"));
        List<byte[]> drawn = new ArrayList<>();
        for (int label = 0; label < 3; label++) {
            Path file = folder.resolve(label + ".png");
            works("sample", run, "--count", 4, "--label", label, "--out", file);
            drawn.add(Files.readAllBytes(file));
        }
        assertFalse(Arrays.equals(drawn.get(0), drawn.get(1)));
        assertFalse(Arrays.equals(drawn.get(1), drawn.get(2)));
        fails("--label must be from 0 to 2, got 3", "sample", run, "--label", 3);
        fails("image 2 is of class 2", training(folder.resolve("two"), 1, "classes=2"));
        assertFalse(Files.exists(folder.resolve("two")));
    }

    @Test
    void trainingGoesOnWhereItStopped() throws IOException {
        trainCodes(codes);
        works(training(run, 2));
        Path other = folder.resolve("other");
        works(training(other, 1));
        works("train", "--resume", other, "--epochs", 2);
        assertArrayEquals(
                Files.readAllBytes(run.resolve("model.safetensors")),
                Files.readAllBytes(other.resolve("model.safetensors")));
        fails("leave out --on", "train", "--resume", other, "--on", codes);
    }

    @Test
    void otherCodesAreNamed() throws IOException {
        trainCodes(codes);
        works(training(run, 1));
        Files.move(codes, folder.resolve("kept"));
        for (String command : List.of("sample", "evaluate")) {
            fails("the prior is one of the codes of " + codes + ", but", command, run);
        }
        trainCodes(codes, "codes=32");
        for (Object[] command :
                new Object[][] {
                    {"sample", run}, {"evaluate", run}, {"train", "--resume", run, "--epochs", 2}
                }) {
            fails("the prior was trained on other codes", command);
        }
        Files.delete(codes.resolve("model.safetensors"));
        fails("holds no model.safetensors yet", "sample", run);
        fails("holds no model.safetensors yet", training(folder.resolve("new"), 1));
        Files.delete(codes.resolve("checkpoint.safetensors"));
        fails("model.safetensors does not exist: there are no codes of it", "sample", run);

        Files.delete(codes.resolve("config.json"));
        Path config = run.resolve("config.json");
        String whole = Files.readString(config);
        Files.writeString(config, whole.replace("sha256", "sha512"));
        fails("config.json cannot be read", "sample", run);
        Files.writeString(config, whole.replaceFirst("\"run\" : [^,]*,", ""));
        fails("does not say which run its codes are of", "sample", run);
        Files.writeString(config, whole.replaceFirst("\"on\" : [^}]*},", ""));
        fails("has to name the run of its codes", "sample", run);
    }

    @Test
    void mistakesAreNamed() throws IOException {
        Path other = folder.resolve("other");
        fails("--on DIR says which", "train", "prior", "--out", other);
        fails("is not a run folder", training(other, 1));
        works("train", "vae", "--data", data, "--steps", 1, "--out", codes);
        fails("holds a model of kind vae, which has no codes", training(other, 1));
        Files.move(codes, folder.resolve("vae"));

        trainCodes(codes);
        fails("a vae is trained on images", "train", "vae", "--on", codes, "--out", other);
        fails("kernel must be odd, got 4", training(other, 1, "kernel=4"));
        fails("unknown setting 'likelihood'", training(other, 1, "likelihood=bernoulli"));
        Path larger = Files.write(folder.resolve("larger.idx"), MainTest.idx(40, 16));
        Object[] args = training(other, 1);
        fails(
                "has codes of images of 12x12x1, got 16x16x1",
                Stream.concat(Arrays.stream(args), Stream.of("--data", larger)).toArray());
        assertFalse(Files.exists(other));

        works(training(run, 1));
        fails("knows no classes: leave out --label", "sample", run, "--label", 1);
        fails("leave out --samples and --drop", "evaluate", run, "--samples", 2);
        fails("12x12x1, larger.idx has 16x16x1", "evaluate", run, "--data", larger);
        fails("a prior gives images no codes", "reconstruct", run);
        fails("only models with vector quantization have codes", "encode", run);
        fails(
                "holds a model of kind prior, which has no codes",
                "train",
                "prior",
                "--on",
                run,
                "--out",
                other);

        Files.move(codes, folder.resolve("one"));
        trainCodes(codes, "heads=2", "dims=4");
        fails("head must be a multiple", training(other, 1, "head=9"));
    }
}
