package org.jlatent.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.jlatent.io.Npy;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class DataOptionsTest {
    private static final DataOptions NONE = DataOptions.defaults();

    @TempDir Path folder;

    private static Picture picture(int height, int width, int channels, float... values) {
        return new Picture("x", height, width, channels, values);
    }

    private static float[] view(Picture picture, DataOptions options) {
        return picture.view(options).values();
    }

    @Test
    void resizingAveragesAreasAndInterpolatesBetweenCentres() {
        Picture ramp = picture(1, 6, 1, 0, 1, 2, 3, 4, 5);
        assertArrayEquals(new float[] {0.5f, 2.5f, 4.5f}, view(ramp, NONE.withResize(1, 3)), 1e-6f);
        // 6 to 4: each covers one pixel and a half
        float[] four = {1 / 3f, 5 / 3f, 10 / 3f, 14 / 3f};
        assertArrayEquals(four, view(ramp, NONE.withResize(1, 4)), 1e-6f);
        Picture pair = picture(1, 2, 1, 0, 4);
        assertArrayEquals(new float[] {0, 1, 3, 4}, view(pair, NONE.withResize(1, 4)), 1e-6f);
        assertArrayEquals(new float[] {0, 4, 0, 4}, view(pair, NONE.withResize(2, 2)), 1e-6f);
        Picture colours = picture(2, 2, 2, 0, 10, 2, 20, 4, 30, 6, 40);
        assertArrayEquals(new float[] {3, 25}, view(colours, NONE.withResize(1, 1)), 1e-5f);
    }

    /** Against the definition, each value from all of its sources at once. */
    @Test
    void shrinkingIsTheMeanOverTheAreaWhateverTheSizes() {
        SplittableRandom random = new SplittableRandom(1);
        for (int[] sizes : new int[][] {{7, 5, 3, 2}, {9, 4, 9, 3}, {13, 11, 1, 11}}) {
            int height = sizes[0];
            int width = sizes[1];
            float[] x = new float[height * width];
            for (int i = 0; i < x.length; i++) {
                x[i] = random.nextInt(100);
            }
            float[] y = view(picture(height, width, 1, x), NONE.withResize(sizes[2], sizes[3]));
            // A new pixel is height x width parts, none of which lies in two old pixels.
            for (int i = 0; i < y.length; i++) {
                double sum = 0;
                for (int part = 0; part < height * width; part++) {
                    int row = (i / sizes[3] * height + part / width) / sizes[2];
                    int column = (i % sizes[3] * width + part % width) / sizes[3];
                    sum += x[row * width + column];
                }
                assertEquals(sum / (height * width), y[i], 1e-3);
            }
        }
    }

    @Test
    void croppingKeepsTheCentre() {
        Picture image = picture(3, 4, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
        assertArrayEquals(new float[] {5, 6}, view(image, NONE.withCrop(1, 2)));
        assertArrayEquals(new float[] {0, 1, 2, 4, 5, 6}, view(image, NONE.withCrop(2, 3)));
        // then it is resized
        assertArrayEquals(new float[] {5.5f}, view(image, NONE.withResize(1, 1).withCrop(1, 2)));
    }

    @Test
    void channelsAreMixedAndRepeated() {
        assertArrayEquals(
                new float[] {0.299f, 0.587f, 1},
                view(picture(1, 3, 3, 1, 0, 0, 0, 1, 0, 1, 1, 1), NONE.withChannels(1)),
                1e-6f);
        assertArrayEquals(
                new float[] {0.2f, 0.2f, 0.2f, 0.7f, 0.7f, 0.7f},
                view(picture(1, 2, 1, 0.2f, 0.7f), NONE.withChannels(3)));
        Made.fails(() -> picture(1, 1, 2, 0, 0).view(NONE.withChannels(1)), "x has 2 channels");
    }

    @Test
    void thresholdIsFromOneHalfOn() {
        assertArrayEquals(
                new float[] {0, 0, 1, 1},
                view(picture(1, 4, 1, 0, 0.499f, 0.5f, 1), NONE.withBinarize(Binarize.THRESHOLD)));
    }

    @Test
    void setsThatAreThereAlreadyAreSeenTheSameWay() {
        Splits plain = Datasets.open("sprites");
        Splits small = Datasets.open("sprites", NONE.withResize(8, 8).withChannels(3));
        assertEquals(plain.train().size(), small.train().size());
        assertEquals(8 * 8 * 3, small.test().dimensions());
        assertEquals(plain.test().label(77), small.test().label(77));
        float[] pixels = Made.pixels(plain.test(), 77);
        double mean = 0;
        for (int row = 8; row < 12; row++) {
            for (int column = 12; column < 16; column++) {
                mean += pixels[32 * row + column] / 16;
            }
        }
        assertEquals(mean, Made.pixels(small.test(), 77)[3 * (2 * 8 + 3) + 2], 0.5 / 255 + 1e-6);
        Made.fails(
                () -> Datasets.open("sprites", NONE.withCrop(33, 3)), "image 0 of sprites", "33x3");
    }

    @Test
    void binarizedImagesAreDrawnOnceForTestingAndEveryEpochForTraining() {
        Splits plain = Datasets.open("sprites");
        Splits fixed = Datasets.open("sprites", NONE.withBinarize(Binarize.STATIC));
        Splits dynamic = Datasets.open("sprites", NONE.withBinarize(Binarize.DYNAMIC));
        for (ImageSet set :
                new ImageSet[] {
                    fixed.train(), fixed.test(), dynamic.test(), dynamic.validation().orElseThrow()
                }) {
            float[] once = Made.pixels(set, 5);
            for (float value : once) {
                assertTrue(value == 0 || value == 1);
            }
            assertArrayEquals(once, Made.pixels(set, 5));
        }
        assertEquals(Augmentation.NONE, NONE.withBinarize(Binarize.STATIC).augmentation());
        assertEquals(Augmentation.NONE, fixed.augmentation());
        assertTrue(dynamic.augmentation().binarize());
        assertArrayEquals(Made.pixels(plain.train(), 5), Made.pixels(dynamic.train(), 5));
        assertTrue(NONE.withBinarize(Binarize.DYNAMIC).augmentation().binarize());
        assertEquals(plain.test().label(3), dynamic.test().label(3));
        Splits noisy =
                Datasets.open("sprites", NONE.withDequantize(true).withFlip(true).withPad(2));
        float[] clean = Made.pixels(plain.test(), 5);
        float[] noise = Made.pixels(noisy.test(), 5);
        for (int i = 0; i < clean.length; i++) {
            assertEquals(255 * clean[i] / 256 + 0.5 / 256, noise[i], 0.5 / 256 + 1e-6);
        }
        assertEquals(
                new Augmentation(true, 2, true, false),
                NONE.withDequantize(true).withFlip(true).withPad(2).augmentation());
    }

    @Test
    void npyFilesAreImages() throws IOException {
        float[] values = new float[20 * 6];
        for (int i = 0; i < values.length; i++) {
            values[i] = i / 200f;
        }
        Path file = folder.resolve("images.npy");
        Npy.write(file, values, 20, 2, 3);
        Splits grey = Datasets.open(file.toString());
        assertEquals(18, grey.train().size());
        assertEquals(1, grey.train().channels());
        assertArrayEquals(Arrays.copyOfRange(values, 18 * 6, 19 * 6), Made.pixels(grey.test(), 0));
        Npy.write(file, values, 20, 1, 2, 3);
        Splits colour = Datasets.open(file.toString(), NONE.withCrop(1, 1));
        assertEquals(3, colour.test().dimensions());
        assertEquals(values[6], Made.pixels(colour.train(), 1)[0]); // not rounded to bytes
        byte[] bytes = Files.readAllBytes(file);
        String header = new String(bytes, 0, 128, java.nio.charset.StandardCharsets.ISO_8859_1);
        byte[] u1 = Arrays.copyOf(bytes, 128 + 120);
        byte[] head =
                header.replace("<f4", "|u1").getBytes(java.nio.charset.StandardCharsets.ISO_8859_1);
        System.arraycopy(head, 0, u1, 0, 128);
        u1[128] = (byte) 255;
        u1[129] = 51;
        Files.write(file, u1);
        assertEquals(0.2f, Made.pixels(Datasets.open(file.toString()).train(), 0)[1]);

        Npy.write(file, values, 20, 6);
        Made.fails(() -> Datasets.open(file.toString()), "images.npy", "[20, 6]", "height, width");
        values[7] = Float.NaN;
        Npy.write(file, values, 20, 2, 3);
        Made.fails(() -> Datasets.open(file.toString()), "not finite", "image 1");
        Npy.write(file, new int[8], 2, 2, 2);
        Made.fails(() -> Datasets.open(file.toString()), "i4", "u1 or f4");
        Files.write(file, new byte[3]);
        Made.fails(() -> Datasets.open(file.toString()), "not an npy file");
    }

    @Test
    void optionsThatMeanNothingAreRefused() {
        assertThrows(IllegalArgumentException.class, () -> NONE.withChannels(2));
        assertThrows(IllegalArgumentException.class, () -> NONE.withLength(-1));
        assertThrows(IllegalArgumentException.class, () -> NONE.withPad(-1));
        assertThrows(IllegalArgumentException.class, () -> NONE.withResize(0, 3));
        assertThrows(IllegalArgumentException.class, () -> NONE.withResize(99_999, 99_999));
        assertThrows(
                IllegalArgumentException.class,
                () -> NONE.withDequantize(true).withBinarize(Binarize.STATIC));
        assertNotEquals(NONE, NONE.withCrop(1, 1));
    }
}
