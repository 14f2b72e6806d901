package org.jlatent.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Models of pixels given pixels at the command line: training, figures, samples, and refusals. */
final class PixelCnnCommandsTest extends CommandTest {
    private static final int SIDE = 6;

    private Path data; // 30 images, 24 to train and 6 to test, of classes 0 to 2
    private Path run;

    @BeforeEach
    void makeData() throws IOException {
        data = labelled(SIDE, 24, 6, 3);
        run = folder.resolve("run");
    }

    private Object[] training(String model, String... settings) {
        Stream<Object> given = Arrays.stream(settings).flatMap(s -> Stream.of("--set", s));
        Stream<Object> first =
                Stream.of("train", model, "--data", data, "--device", "cpu", "--epochs", 2);
        return Stream.concat(first, Stream.concat(Stream.of("--json", "--out", run), given))
                .toArray();
    }

    private double nll() throws IOException {
        return (Double) RunFolder.parse(out.toString()).get("nll");
    }

    @ParameterizedTest
    @CsvSource({
        "pixel-cnn, batch=8",
        "pixel-cnn, residual.blocks=0",
        "pixel-cnn, kernel.first=3",
        "pixel-cnn-binarized-mnist, data.binarize=static",
        "gated-pixel-cnn, batch=8",
        "gated-pixel-cnn, classes=3",
        "gated-pixel-cnn, kernel=5",
        "gated-pixel-cnn, attention=4",
        "gated-pixel-cnn, data.channels=rgb",
        "pixel-rnn, layers=2",
        "pixel-rnn, data.channels=rgb",
    })
    void everyModelTrainsIsMeasuredAndDraws(String model, String setting) throws IOException {
        works(
                training(
                        model,
                        setting,
                        model.startsWith("pixel-cnn") ? "head=12" : "features=12",
                        "head=12"));
        double trained = nll();
        works("evaluate", run, "--json");
        Map<String, Object> figures = RunFolder.parse(out.toString());
        assertEquals(trained, figures.get("nll"));
        assertEquals(6, figures.get("images"));
        int values = SIDE * SIDE * (setting.endsWith("rgb") ? 3 : 1);
        double bits = (Double) figures.get("bits_per_dim");
        assertEquals(trained / values / Math.log(2), bits, 1e-6);
        assertTrue(bits > 0 && bits < 1.2, "bits a dimension: " + bits);

        byte[] drawn = Files.readAllBytes(run.resolve("samples.png"));
        Files.delete(run.resolve("samples.png"));
        works("sample", run);
        assertArrayEquals(drawn, Files.readAllBytes(run.resolve("samples.png")));
        Path other = folder.resolve("other.png");
        works("sample", run, "--count", 5, "--seed", 3, "--out", other);
        assertTrue(ImageIO.read(other.toFile()).getWidth() > 3 * SIDE);
        assertFalse(Files.exists(run.resolve("reconstructions.png")));
    }

    @ParameterizedTest
    @ValueSource(strings = {"categorical", "logistic-mixture"})
    void valuesOf8BitsHaveLikelihoodsToo(String likelihood) throws IOException {
        String[] colours = {"data.binarize=none", "data.channels=rgb", "features=6", "head=12"};
        String[] settings = Arrays.copyOf(colours, 5);
        settings[4] = "likelihood=" + likelihood;
        works(training("gated-pixel-cnn", settings));
        double bits = (Double) RunFolder.parse(out.toString()).get("bits_per_dim");
        assertTrue(bits > 4 && bits < 12, "bits a dimension: " + bits);
    }

    @Test
    void smallAndLargeMapsTrainAreMeasuredAndDraw() throws IOException {
        String[] small = {"scales=2", "blocks=1", "features=6", "classes=3", "dropout=0.2"};
        works(training("pixel-cnn-pp", small));
        Map<String, Object> trained = RunFolder.parse(out.toString());
        double bits = (Double) trained.get("bits_per_dim");
        assertTrue(bits > 4 && bits < 12, "bits a dimension: " + bits);
        works("evaluate", run, "--json");
        assertEquals(trained.get("nll"), RunFolder.parse(out.toString()).get("nll"));
        byte[] drawn = Files.readAllBytes(run.resolve("samples.png"));
        works("sample", run);
        assertArrayEquals(drawn, Files.readAllBytes(run.resolve("samples.png")));
        works("sample", run, "--count", 4, "--label", 2, "--out", folder.resolve("of-one.png"));
    }

    @Test
    void aClassCanBeAskedFor() throws IOException {
        works(training("gated-pixel-cnn", "classes=3", "features=8"));
        List<byte[]> drawn = new ArrayList<>();
        for (int label = 0; label < 3; label++) {
            Path file = folder.resolve(label + ".png");
            works("sample", run, "--count", 4, "--label", label, "--out", file);
            drawn.add(Files.readAllBytes(file));
        }
        assertFalse(Arrays.equals(drawn.get(0), drawn.get(1)));
        assertFalse(Arrays.equals(drawn.get(1), drawn.get(2)));
        failsLater("--label must be from 0 to 2, got 3", "sample", run, "--label", 3);
    }

    @Test
    void trainingGoesOnWhereItStopped() throws IOException {
        works(training("gated-pixel-cnn", "classes=3", "batch=8"));
        double whole = nll();
        run = folder.resolve("other");
        Object[] shorter = training("gated-pixel-cnn", "classes=3", "batch=8");
        shorter[7] = 1; // epoch
        works(shorter);
        assertNotEquals(whole, nll());
        works("train", "--resume", run, "--epochs", 2, "--json");
        assertEquals(whole, nll());
    }

    @Test
    void mistakesAreNamed() throws IOException {
        failsLater("kernel must be odd, got 4", training("pixel-cnn", "kernel=4"));
        failsLater("firstKernel must be odd", training("gated-pixel-cnn", "kernel.first=6"));
        failsLater(
                "features must be a multiple of the image's 3 channels, got 32",
                training("gated-pixel-cnn", "data.channels=rgb"));
        failsLater(
                "binarize them, or choose a likelihood",
                training("pixel-cnn", "data.binarize=none"));
        failsLater("image 2 is of class 2", training("gated-pixel-cnn", "classes=2"));
        failsLater("set data.binarize=none", training("pixel-cnn", "likelihood=categorical"));
        failsLater(
                "divide the 32 features into heads of at most 128, got 5",
                training("gated-pixel-cnn", "attention=5"));
        failsLater(
                "attention takes images whose pixels are drawn whole",
                training(
                        "gated-pixel-cnn",
                        "attention=2",
                        "features=6",
                        "head=6",
                        "data.channels=rgb"));
        failsLater(
                "multiples of 4, which they are divided by at 3 scales", training("pixel-cnn-pp"));
        failsLater("unknown setting 'classes'", training("pixel-cnn", "classes=2"));

        works(training("pixel-cnn"));
        failsLater("knows no classes: leave out --label", "sample", run, "--label", 1);
        failsLater("leave out --samples and --drop", "evaluate", run, "--samples", 2);
        failsLater("--count must be from 1 to 10000", "sample", run, "--count", 0);
        failsLater(
                "--temperature must be above 0 and at most 1000, got 0.0",
                "sample",
                run,
                "--temperature",
                0);
        failsLater("top_k must be", "sample", run, "--top-k", 3);
        for (String command : List.of("reconstruct", "interpolate", "traverse", "features")) {
            failsLater("a pixel-cnn gives images no codes", command, run);
        }
        failsLater("only models with vector quantization have codes", "encode", run);
    }

    @Test
    void thePublishedRunHasItsSettings() {
        Recipe recipe = Recipes.of("pixel-cnn-binarized-mnist");
        assertEquals("binarized-mnist", recipe.data());
        Map<String, String> settings = recipe.settings().toMap();
        assertEquals("16", settings.get("batch"));
        assertEquals("16", settings.get("residual.hidden"));
        assertEquals("7", settings.get("kernel.first"));
        assertEquals("64", Recipes.of("pixel-cnn").settings().toMap().get("batch"));
        assertEquals("sprites", Recipes.of("gated-pixel-cnn").data());
    }
}
