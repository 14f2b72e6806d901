package org.jlatent.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import javax.imageio.ImageIO;
import org.jlatent.data.ImageShape;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class ImageGridTest {
    private static final int GAP = 2;
    private static final int SIDE = 100; // of the images: too large to be enlarged

    private static final ImageShape SQUARE = new ImageShape(SIDE, SIDE, 1);

    @TempDir Path folder;

    private BufferedImage read() throws IOException {
        return ImageIO.read(folder.resolve("g.png").toFile());
    }

    private static int rgb(BufferedImage picture, int x, int y) {
        return picture.getRGB(x, y) & 0xffffff;
    }

    /** {@code count} grey images, each of one value. */
    private static float[] flat(float... values) {
        float[] images = new float[values.length * SIDE * SIDE];
        for (int i = 0; i < values.length; i++) {
            Arrays.fill(images, i * SIDE * SIDE, (i + 1) * SIDE * SIDE, values[i]);
        }
        return images;
    }

    @Test
    void imagesFillRowsAndValuesAreClamped() throws IOException {
        float[] images = flat(0, 0.5f, 1, -3, 7, Float.NaN, 0.2f);
        ImageGrid.of(images, SQUARE).columns(3).write(folder.resolve("g.png"));
        BufferedImage picture = read();
        assertEquals(GAP + 3 * (SIDE + GAP), picture.getWidth());
        assertEquals(GAP + 3 * (SIDE + GAP), picture.getHeight());
        int background = rgb(picture, 0, 0);
        int[] expected = {0, 0x808080, 0xffffff, 0, 0xffffff, 0, 0x333333, background, background};
        for (int i = 0; i < expected.length; i++) {
            int left = GAP + i % 3 * (SIDE + GAP);
            int top = GAP + Math.floorDiv(i, 3) * (SIDE + GAP);
            assertEquals(expected[i], rgb(picture, left, top), "image " + i);
            assertEquals(expected[i], rgb(picture, left + SIDE - 1, top + SIDE - 1), "image " + i);
            assertEquals(background, rgb(picture, left - 1, top));
            assertEquals(background, rgb(picture, left, top - 1));
        }
    }

    @Test
    void coloursStandInTheirPlacesAndSmallImagesAreEnlarged() throws IOException {
        float[] image = {1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0.2f, 0.4f, 0.6f};
        ImageGrid.of(image, new ImageShape(2, 3, 3)).columns(4).write(folder.resolve("g.png"));
        BufferedImage picture = read();
        int zoom = 32; // 96 / 3
        assertEquals(GAP + 3 * zoom + GAP, picture.getWidth());
        assertEquals(GAP + 2 * zoom + GAP, picture.getHeight());
        int[] expected = {0xff0000, 0x00ff00, 0x0000ff, 0xffffff, 0x000000, 0x336699};
        for (int i = 0; i < expected.length; i++) {
            int left = GAP + i % 3 * zoom;
            int top = GAP + Math.floorDiv(i, 3) * zoom;
            assertEquals(expected[i], rgb(picture, left, top));
            assertEquals(expected[i], rgb(picture, left + zoom - 1, top + zoom - 1));
        }
    }

    @Test
    void pairsStandAboveEachOther() throws IOException {
        ImageGrid.of(flat(1, 0.2f, 0.4f), SQUARE)
                .below(flat(0, 0.6f, 0.8f))
                .columns(2)
                .write(folder.resolve("g.png"));
        BufferedImage picture = read();
        int[] above = {0xffffff, 0x333333, 0x666666};
        int[] below = {0x000000, 0x999999, 0xcccccc};
        for (int i = 0; i < 3; i++) {
            int left = GAP + i % 2 * (SIDE + GAP);
            int top = GAP + Math.floorDiv(i, 2) * (2 * SIDE + 2 * GAP);
            assertEquals(above[i], rgb(picture, left, top));
            assertEquals(above[i], rgb(picture, left, top + SIDE - 1));
            assertEquals(below[i], rgb(picture, left, top + SIDE));
            assertEquals(below[i], rgb(picture, left, top + 2 * SIDE - 1));
        }
    }

    /** Labels move the images, and put ink in the margins: at each label, and nowhere else. */
    @Test
    void labelsStandBesideTheirRowsAndColumns() throws IOException {
        float[] images = flat(0, 1, 0, 1);
        ImageGrid.of(images, SQUARE)
                .columns(2)
                .rowLabels(List.of("", "below"))
                .columnLabels(List.of("left", ""))
                .write(folder.resolve("g.png"));
        BufferedImage picture = read();
        int left = picture.getWidth() - 2 * (SIDE + GAP) - GAP;
        int top = picture.getHeight() - 2 * (SIDE + GAP) - GAP;
        assertTrue(left > 20 && top > 10, left + " " + top);
        assertEquals(0, rgb(picture, left + GAP, top + GAP));
        assertEquals(0xffffff, rgb(picture, left + GAP + SIDE + GAP, top + GAP));
        assertEquals(0, ink(picture, 0, top, left, top + SIDE));
        assertTrue(ink(picture, 0, top + SIDE + GAP, left, picture.getHeight()) > 20);
        assertTrue(ink(picture, left, 0, left + SIDE, top) > 20);
        assertEquals(0, ink(picture, left + SIDE + GAP, 0, picture.getWidth(), top));
    }

    /**
     * A ramp from -1 to 1 and silence: the curve rises from bottom left to top right, or is flat.
     */
    @Test
    void sequencesAreDrawnAsCurves() throws IOException {
        int length = 1000;
        float[] clips = new float[2 * length];
        for (int i = 0; i < length; i++) {
            clips[i] = 2.0f * i / (length - 1) - 1;
        }
        clips[length + 7] = Float.NaN; // leaves a gap at most
        ImageGrid.of(clips, new ImageShape(1, length, 1)).write(folder.resolve("g.png"));
        BufferedImage picture = read();
        int width = 256;
        int height = 96;
        assertEquals(GAP + 2 * (width + GAP), picture.getWidth());
        assertEquals(GAP + height + GAP, picture.getHeight());
        for (int x = 0; x < width; x++) {
            int expected = Math.round((height - 1) * (1 - (x + 0.5f) / width));
            for (int y = 0; y < height; y++) {
                boolean lit = rgb(picture, GAP + x, GAP + y) == 0xffffff;
                assertTrue(Math.abs(y - expected) <= 1 || !lit, x + " " + y);
                assertTrue(y != expected || lit, x + " " + y);
            }
            int silence = rgb(picture, GAP + width + GAP + x, GAP + Math.round(95 / 2.0f));
            assertEquals(0xffffff, silence, "at " + x);
        }
        assertEquals(
                width * 1,
                ink(picture, GAP + width + GAP, GAP, 2 * (GAP + width), GAP + height, 0xffffff));
    }

    private static int ink(
            BufferedImage picture, int left, int top, int right, int bottom, int colour) {
        int pixels = 0;
        for (int y = top; y < bottom; y++) {
            for (int x = left; x < right; x++) {
                pixels += rgb(picture, x, y) == colour ? 1 : 0;
            }
        }
        return pixels;
    }

    private static int ink(BufferedImage picture, int left, int top, int right, int bottom) {
        int pixels = 0;
        for (int y = top; y < bottom; y++) {
            for (int x = left; x < right; x++) {
                pixels += rgb(picture, x, y) != rgb(picture, 0, 0) ? 1 : 0;
            }
        }
        return pixels;
    }

    @Test
    void badArgumentsAreNamedAndNothingIsWritten() {
        Path file = folder.resolve("g.png");
        ImageShape small = new ImageShape(2, 2, 1);
        ImageGrid one = ImageGrid.of(new float[4], small);
        fails("7 values", () -> ImageGrid.of(new float[7], small));
        fails("0 values", () -> ImageGrid.of(new float[0], small));
        fails("got 2", () -> ImageGrid.of(new float[8], new ImageShape(2, 2, 2)));
        fails("0 columns", () -> one.columns(0));
        fails("4 and 8", () -> one.below(new float[8]));
        fails("2 row labels for 1", () -> one.rowLabels(List.of("a", "b")).write(file));
        assertFalse(Files.exists(file));
    }

    private static void fails(String words, Runnable write) {
        String message = assertThrows(IllegalArgumentException.class, write::run).getMessage();
        assertTrue(message.contains(words), message);
    }
}
