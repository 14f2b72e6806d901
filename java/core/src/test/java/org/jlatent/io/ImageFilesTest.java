package org.jlatent.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.jlatent.JlatentException;
import org.jlatent.data.DataOptions;
import org.jlatent.data.Datasets;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is written is read again, value for value. */
final class ImageFilesTest {
    @TempDir Path folder;

    private float[] readAgain() throws java.io.IOException {
        // A data set has a training and a test image.
        Path file;
        try (var files = Files.list(folder)) {
            file = files.findFirst().orElseThrow();
        }
        String name = file.getFileName().toString();
        for (String split : new String[] {"train", "test"}) {
            Path other = Files.createDirectories(folder.resolve("set").resolve(split));
            Files.copy(file, other.resolve(name));
        }
        ImageSet set =
                Datasets.open(folder.resolve("set").toString(), DataOptions.defaults()).test();
        float[] values = new float[set.dimensions()];
        set.read(0, values, 0);
        return values;
    }

    private static float[] padded(float... values) {
        float[] all = new float[values.length + 4];
        Arrays.fill(all, 0.3f);
        System.arraycopy(values, 0, all, 3, values.length);
        return all;
    }

    @Test
    void greyPicturesKeepTheirLevels() throws java.io.IOException {
        float[] values = new float[256];
        for (int i = 0; i < 256; i++) {
            values[i] = i / 255.0f;
        }
        ImageShape shape = new ImageShape(8, 32, 1);
        ImageFiles.writePng(folder.resolve("a.png"), padded(values), 3, shape);
        assertArrayEquals(values, readAgain(), 1e-6f);
    }

    @Test
    void coloursKeepTheirOrder() throws java.io.IOException {
        float[] values = {1, 0, 0.2f, 0, 0.4f, 1, 0.6f, 0.8f, 0, 1, 1, 0.2f, -3, 7, 0, 1, 0, 1};
        ImageFiles.writePng(folder.resolve("a.png"), padded(values), 3, new ImageShape(2, 3, 3));
        values[12] = 0; // clamped
        values[13] = 1;
        assertArrayEquals(values, readAgain(), 1e-6f);
    }

    @Test
    void clipsKeepTheirSamples() throws java.io.IOException {
        float[] values = {-1, 0, 0.5f, -0.25f, 0x1p-15f, -0x1p-15f, 1, 2};
        ImageFiles.writeWav(
                folder.resolve("a.wav"), padded(values), 3, new ImageShape(1, 4, 2), 8000);
        values[6] = 32767 * 0x1p-15f; // clamped
        values[7] = values[6];
        assertArrayEquals(values, readAgain());
    }

    @Test
    void whatCannotBeWrittenIsNamed() {
        ImageShape two = new ImageShape(1, 1, 2);
        Path file = folder.resolve("x.png");
        assertThrows(
                IllegalArgumentException.class,
                () -> ImageFiles.writePng(file, new float[2], 0, two));
        Path nowhere = folder.resolve("no/x.png");
        JlatentException e =
                assertThrows(
                        JlatentException.class,
                        () ->
                                ImageFiles.writePng(
                                        nowhere, new float[1], 0, new ImageShape(1, 1, 1)));
        assertEquals("cannot write " + nowhere + ": its folder does not exist", reason(e));
    }

    private static String reason(JlatentException e) {
        return e.getMessage().replace("No such file or directory", "its folder does not exist");
    }
}
