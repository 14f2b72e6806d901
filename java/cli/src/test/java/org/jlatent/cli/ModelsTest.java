package org.jlatent.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.jlatent.io.Npy;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

/** Every model that can be trained, through every command that can use it. */
final class ModelsTest extends CommandTest {
    private static final int SIDE = 9;

    private Path data; // 60 images with labels, 48 to train and 12 to test
    private Path run;

    @BeforeEach
    void makeData() throws IOException {
        data = labelled(SIDE, 48, 12, 10);
        run = folder.resolve("run");
    }

    private void train(String model, String... settings) {
        Stream<String> all = Stream.concat(Stream.of("latent=3", "hidden=8"), Stream.of(settings));
        Stream<Object> given = all.flatMap(setting -> Stream.of("--set", setting));
        works(
                Stream.concat(
                                Stream.of(
                                        "train",
                                        model,
                                        "--data",
                                        data,
                                        "--device",
                                        "cpu",
                                        "--steps",
                                        3,
                                        "--out",
                                        run),
                                given)
                        .toArray());
    }

    private BufferedImage picture(String name) throws IOException {
        return ImageIO.read(run.resolve(name).toFile());
    }

    @ParameterizedTest
    @CsvSource({
        "vae, batch=16",
        "vae, channels=4-6",
        "vae, likelihood=laplace-learned",
        "vae, likelihood=logistic-mixture",
        "conv-vae, likelihood=logistic-mixture",
        "conv-vae, channels=4-6",
        "conv-vae, likelihood=gaussian-learned",
        "pixel-vae, batch=16",
        "pixel-vae, channels=",
        "autoencoder, batch=16",
        "autoencoder, loss=l1",
        "autoencoder, drop=0.5",
        "autoencoder, channels=4",
    })
    void everyModelGoesThroughEveryCommand(String model, String setting) throws IOException {
        train(model, setting);
        if (model.equals("autoencoder")) {
            fails("leave out --samples", "evaluate", run, "--samples", 2);
            works("evaluate", run, "--json");
        } else {
            fails("leave out --drop", "evaluate", run, "--drop", 0.5);
            works("evaluate", run, "--samples", 2, "--json");
        }
        Map<String, Object> figures = RunFolder.parse(out.toString());
        assertEquals(12, figures.get("images"));
        assertTrue((Double) figures.get("normalized_error") > 0);
        assertEquals(model.equals("autoencoder"), figures.containsKey("squared_error"));
        assertEquals(!model.equals("autoencoder"), figures.containsKey("elbo"));
        boolean levels = setting.contains("mixture") || model.equals("pixel-vae");
        assertEquals(levels, figures.containsKey("bits_per_dim"));

        int cell = SIDE * 10 + 2; // images of 9 pixels are enlarged tenfold
        works("reconstruct", run, "--count", 4);
        assertEquals(2 + 4 * cell, picture("reconstructions.png").getWidth());
        works("interpolate", run, "--count", 3, "--steps", 5);
        assertEquals(2 + 7 * cell, picture("interpolations.png").getWidth());
        works("traverse", run, "--dims", 2, "--steps", 4, "--image", 11, "--span", 2.5);
        assertTrue(picture("traversals.png").getWidth() > 2 + 4 * cell); // labels as well

        works("features", run, "--split", "train", "--labels", folder.resolve("labels.npy"));
        Npy.Array features = Npy.read(run.resolve("features.npy"));
        assertArrayEquals(new int[] {48, 3}, features.shape());
        assertEquals(7, Npy.read(folder.resolve("labels.npy")).value(37));
        if (model.equals("autoencoder")) {
            fails("has no prior to draw from", "sample", run);
            assertFalse(Files.exists(run.resolve("samples.png")));
        } else {
            works("sample", run, "--count", 5);
            assertEquals(2 + 3 * cell, picture("samples.png").getWidth());
        }
    }

    /** Pixels that see each other are drawn, as boldly as they are asked to be. */
    @Test
    void pixelsGivenZAreDrawn() throws IOException {
        train("pixel-vae");
        fails("top_k is for the categorical", "sample", run, "--top-k", 2);
        run = folder.resolve("levels");
        train("pixel-vae", "likelihood=categorical", "data.binarize=none", "head=8");
        byte[] trained = Files.readAllBytes(run.resolve("samples.png"));
        works("sample", run);
        assertArrayEquals(trained, Files.readAllBytes(run.resolve("samples.png")));
        List<String> drawn = new ArrayList<>();
        for (String[] how : new String[][] {{"--temperature", "0.5"}, {"--top-k", "1"}}) {
            Path file = folder.resolve(how[0] + ".png");
            works("sample", run, how[0], how[1], "--out", file);
            drawn.add(Arrays.toString(Files.readAllBytes(file)));
        }
        drawn.add(Arrays.toString(trained));
        assertEquals(3, Set.copyOf(drawn).size());
        Path greys = folder.resolve("greys");
        fails(
                "set data.binarize=none",
                "train",
                "pixel-vae",
                "--set",
                "likelihood=categorical",
                "--data",
                data,
                "--out",
                greys);
        assertFalse(Files.exists(greys));
        fails("--temperature must be above 0", "sample", run, "--temperature", 0);
    }

    @Test
    void interpolationsStartAndEndAtReconstructions() throws IOException {
        train("autoencoder");
        works("interpolate", run, "--count", 1, "--steps", 2);
        works("reconstruct", run, "--count", 2);
        BufferedImage between = picture("interpolations.png");
        BufferedImage pairs = picture("reconstructions.png");
        int cell = SIDE * 10 + 2;
        int labels = between.getHeight() - cell - 2;
        for (int y = 0; y < SIDE; y++) {
            for (int x = 0; x < SIDE; x++) {
                int left = 2 + 10 * x;
                int top = 2 + 10 * y;
                assertEquals(
                        pairs.getRGB(left, top), between.getRGB(left, top + labels), "first image");
                assertEquals(
                        pairs.getRGB(left, top + SIDE * 10),
                        between.getRGB(left + cell, top + labels),
                        "its reconstruction");
                assertEquals(
                        pairs.getRGB(left + cell, top + SIDE * 10),
                        between.getRGB(left + 2 * cell, top + labels),
                        "the second one's");
                assertEquals(
                        pairs.getRGB(left + cell, top),
                        between.getRGB(left + 3 * cell, top + labels),
                        "second image");
            }
        }
    }

    @Test
    void evaluateHidesAsManyPixelsAsItIsTold() throws IOException {
        train("autoencoder", "drop=0.25");
        works("evaluate", run, "--json");
        assertEquals(0.25, RunFolder.parse(out.toString()).get("drop"));
        works("evaluate", run, "--drop", 0.75, "--json");
        assertEquals(0.75, RunFolder.parse(out.toString()).get("drop"));
        fails("[0, 1)", "evaluate", run, "--drop", 1);
    }

    @Test
    void theSeedSaysWhatIsHidden() throws IOException {
        train("autoencoder", "drop=0.5");
        works("reconstruct", run, "--count", 1, "--seed", 1, "--out", folder.resolve("a.png"));
        works("reconstruct", run, "--count", 1, "--seed", 1, "--out", folder.resolve("b.png"));
        works("reconstruct", run, "--count", 1, "--seed", 2, "--out", folder.resolve("c.png"));
        assertEquals(-1, Files.mismatch(folder.resolve("a.png"), folder.resolve("b.png")));
        assertTrue(Files.mismatch(folder.resolve("a.png"), folder.resolve("c.png")) >= 0);
    }

    /** There are images by default in sets of any size; more than there are is a mistake. */
    @Test
    void picturesOfASetOfTwo() throws IOException {
        train("vae");
        Path two = Files.write(folder.resolve("two.idx"), idx(2, SIDE));
        works("reconstruct", run, "--data", two, "--json");
        assertEquals(1, RunFolder.parse(out.toString()).get("count"));
        fails(
                "--count must be from 1 to 1, got 2",
                "reconstruct",
                run,
                "--data",
                two,
                "--count",
                2);
        fails("two.idx has 1 test image", "interpolate", run, "--data", two);
        works("interpolate", run, "--json");
        assertEquals(8, RunFolder.parse(out.toString()).get("count"));
    }

    /** Features of training images are those of images as the model was trained on. */
    @Test
    void featuresSeeBinarizedImages() throws IOException {
        train("vae", "data.binarize=dynamic");
        Path file = folder.resolve("train.npy");
        works("features", run, "--split", "train", "--out", file);
        float[] binarized = Npy.read(file).toFloats();
        Path config = run.resolve("config.json");
        Files.writeString(config, Files.readString(config).replace("\"dynamic\"", "\"static\""));
        works("features", run, "--split", "train", "--out", file);
        assertArrayEquals(binarized, Npy.read(file).toFloats(), "drawn once, as test images are");
        Files.writeString(config, Files.readString(config).replace("\"static\"", "\"none\""));
        works("features", run, "--split", "train", "--out", file);
        assertFalse(Arrays.equals(binarized, Npy.read(file).toFloats()), "greys");
    }

    @Test
    void bernoulliPixelsAreFromZeroToOne() {
        Path file = folder.resolve("signed.npy");
        float[] values = new float[20 * SIDE * SIDE];
        Arrays.fill(values, -0.25f);
        Npy.write(file, values, 20, SIDE, SIDE);
        Object[] args = {"train", "vae", "--data", file, "--steps", 1, "--out", run};
        assertEquals(2, run(args));
        assertTrue(err.toString().contains("takes values in [0, 1], the images hold -0.25"));
        assertFalse(Files.exists(run));
        Object[] gaussian = Arrays.copyOf(args, args.length + 2);
        gaussian[args.length] = "--set";
        gaussian[args.length + 1] = "likelihood=gaussian";
        works(gaussian);
    }

    @Test
    void figuresThatAreNotFiniteAreShownAsTheyAre() {
        StringWriter text = new StringWriter();
        CommandLine line = new CommandLine(new DoctorCommand()).setOut(new PrintWriter(text, true));
        Results results = new Results().put("a", Double.NaN).put("b", 1e13).put("c", 1.23456789);
        Results.print(line, true, results);
        assertEquals("{\"a\":\"NaN\",\"b\":1.0E13,\"c\":1.234568}", text.toString().strip());
    }

    @Test
    void mistakesAreNamed() throws IOException {
        fails("unknown model", "train", "cnn", "--out", run);
        fails(
                "unknown setting 'drop'",
                "train",
                "vae",
                "--set",
                "drop=0.5",
                "--data",
                data,
                "--out",
                run);
        fails(
                "leave nothing of images of 9x9x1",
                "train",
                "conv-vae",
                "--set",
                "channels=1-2-3-4",
                "--data",
                data,
                "--out",
                run);
        fails("must be from 0", "train", "autoencoder", "--set", "drop=1", "--out", run);
        assertFalse(Files.exists(run));
        train("vae");
        fails("--count must be from 1 to 11", "interpolate", run, "--count", 12);
        fails("--steps must be from 2", "interpolate", run, "--steps", 1);
        fails("--image must be from 0 to 11", "traverse", run, "--image", 12);
        fails("--dims must be from 1 to 3", "traverse", run, "--dims", 4);
        fails("--span must be positive", "traverse", run, "--span", 0);
        fails("--split must be", "features", run, "--split", "valid");
        fails("no/such", "features", run, "--out", folder.resolve("no/such.npy"));
        Path unlabelled = Files.write(folder.resolve("plain.idx"), idx(20, SIDE));
        fails(
                "has no classes",
                "features",
                run,
                "--data",
                unlabelled,
                "--labels",
                folder.resolve("l.npy"));
        Path other = Files.write(folder.resolve("other.idx"), idx(20, 8));
        for (String command : new String[] {"interpolate", "traverse", "features"}) {
            fails("takes images of 9x9x1", command, run, "--data", other);
        }
    }
}
