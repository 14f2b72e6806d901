package org.jlatent.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import javax.imageio.ImageIO;
import org.jlatent.data.Binarize;
import org.jlatent.data.DataOptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** {@code data.*}, from the command line on. */
final class DataSettingsTest extends CommandTest {
    private Path data; // 30 colour images of 7x9

    @BeforeEach
    void makeData() throws IOException {
        data = folder.resolve("colours.zip");
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(data))) {
            for (int i = 0; i < 30; i++) {
                BufferedImage image = new BufferedImage(9, 7, BufferedImage.TYPE_INT_RGB);
                for (int p = 0; p < 63; p++) {
                    image.setRGB(p % 9, p / 9, (i * 63 + p) * 8_191);
                }
                zip.putNextEntry(new ZipEntry(i + ".png"));
                ImageIO.write(image, "png", zip);
            }
        }
    }

    private int train(Path run, String... settings) {
        List<Object> args =
                new ArrayList<>(
                        List.of("train", "vae", "--data", data, "--out", run, "--steps", 2));
        args.addAll(List.of("--device", "cpu", "--set", "hidden=8", "--set", "batch=8"));
        for (String setting : settings) {
            args.add("--set");
            args.add(setting);
        }
        return run(args.toArray());
    }

    @Test
    void theViewIsKeptInTheRunFolder() throws IOException {
        Path run = folder.resolve("run");
        assertEquals(
                0,
                train(
                        run,
                        "data.crop=6x8",
                        "data.resize=4",
                        "data.channels=grey",
                        "data.binarize=dynamic",
                        "data.flip=on",
                        "data.pad=1"),
                err::toString);
        assertTrue(err.toString().contains("27 images of 4x4x1"), err::toString);
        RunFolder.Config config = RunFolder.open(run).config();
        assertEquals("6x8", config.settings().get("data.crop"));
        assertEquals(0, train(folder.resolve("plain"), "data.resize=4x6"), err::toString);
        assertTrue(err.toString().contains("27 images of 4x6x3"), err::toString);

        assertEquals(0, run("evaluate", run, "--samples", 2, "--json"), err::toString);
        Map<String, Object> first = RunFolder.parse(out.toString());
        assertEquals(3, first.get("images"));
        assertEquals(0, run("evaluate", run, "--samples", 2, "--json"), err::toString);
        assertEquals(first, RunFolder.parse(out.toString()), "test images are drawn once");
        assertEquals(0, run("reconstruct", run, "--count", 3), err::toString);
        assertEquals(0, run("train", "--resume", run, "--steps", 3), err::toString);
    }

    @Test
    void pathsAreKeptSoThatTheyLast() {
        assertEquals("sprites", DataSettings.lasting("sprites"));
        assertEquals("mnist", DataSettings.lasting("mnist"));
        assertEquals(Path.of("b").toAbsolutePath().toString(), DataSettings.lasting("a/../b"));
    }

    @Test
    void settingsBecomeOptions() {
        Settings settings =
                new Settings(DataSettings.KEYS)
                        .with(
                                Map.of(
                                        "data.crop", "5",
                                        "data.resize", "3x4",
                                        "data.channels", "rgb",
                                        "data.length", "100",
                                        "data.binarize", "static",
                                        "data.flip", "on",
                                        "data.pad", "2"));
        assertEquals(
                DataOptions.defaults()
                        .withCrop(5, 5)
                        .withResize(3, 4)
                        .withChannels(3)
                        .withLength(100)
                        .withBinarize(Binarize.STATIC)
                        .withFlip(true)
                        .withPad(2),
                DataSettings.options(settings));
        assertEquals(DataOptions.defaults(), DataSettings.options(new Settings(DataSettings.KEYS)));
        assertTrue(
                DataSettings.options(
                                new Settings(DataSettings.KEYS)
                                        .with(Map.of("data.dequantize", "on")))
                        .dequantize());
    }

    @Test
    void mistakesAreNamedAndLeaveNothing() {
        Path run = folder.resolve("run");
        fails(run, "data.resize", "3x", "3x", "such as 32 or 32x48");
        fails(run, "data.resize", "0", "data.resize", "at least 1x1");
        fails(run, "data.crop", "10", "0.png is 7x9", "resize");
        fails(run, "data.channels", "cmyk", "grey", "rgb");
        fails(run, "data.binarize", "maybe", "threshold, static, dynamic");
        fails(run, "data.flip", "yes", "off, on");
        fails(run, "data.length", "8", "length", "wav");
        fails(run, "data.pad", "-1", "at least 0");
        assertEquals(2, train(run, "data.binarize=static", "data.dequantize=on"));
        assertTrue(err.toString().contains("either binarized or dequantized"), err::toString);
        assertFalse(Files.exists(run));
    }

    private void fails(Path run, String key, String value, String... words) {
        assertEquals(2, train(run, key + "=" + value), err::toString);
        assertEquals(1, err.toString().lines().count(), err::toString);
        for (String word : words) {
            assertTrue(err.toString().contains(word), () -> word + " is not in: " + err);
        }
    }

    @Test
    void helpNamesEveryFormAndSetting() {
        assertEquals(0, run("train", "--help"));
        String help = out.toString();
        for (String word : List.of("fashion-mnist", "omniglot", "cifar10", ".npy", "wav")) {
            assertTrue(help.contains(word), word);
        }
        DataSettings.KEYS.forEach(key -> assertTrue(help.contains(key.name()), key.name()));
    }
}
