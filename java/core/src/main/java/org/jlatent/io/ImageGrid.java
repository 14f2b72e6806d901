package org.jlatent.io;

import java.awt.image.BufferedImage;
import java.nio.file.Path;
import javax.imageio.ImageIO;

/**
 * Images in rows and columns as one PNG: grey or RGB, values in [0, 1] (clamped), enlarged by a
 * whole number.
 */
public final class ImageGrid {
    private static final int GAP = 2;
    private static final int SMALLEST_EDGE = 96; // images smaller than this are enlarged
    private static final int BACKGROUND = 0x404040;

    private ImageGrid() {}

    /**
     * @param images {@code [n, height, width, channels]}, 1 or 3 channels
     * @param columns images a row
     * @throws IllegalArgumentException if the values are not a whole number of images, or the
     *     channels not 1 or 3
     * @throws org.jlatent.JlatentException if the file can't be written
     */
    public static void write(
            Path file, float[] images, int height, int width, int channels, int columns) {
        Canvas canvas = new Canvas(images.length, height, width, channels, columns, 1);
        canvas.draw(images, 0);
        canvas.write(file);
    }

    /**
     * Pairs: each image of {@code above} with the one of {@code below} under it.
     *
     * @throws IllegalArgumentException as {@link #write}, and if there are not as many below
     */
    public static void writePairs(
            Path file,
            float[] above,
            float[] below,
            int height,
            int width,
            int channels,
            int columns) {
        if (above.length != below.length) {
            throw new IllegalArgumentException(
                    "pairs need as many values above as below, got "
                            + above.length
                            + " and "
                            + below.length);
        }
        Canvas canvas = new Canvas(above.length, height, width, channels, columns, 2);
        canvas.draw(above, 0);
        canvas.draw(below, 1);
        canvas.write(file);
    }

    private static final class Canvas {
        private final int count;
        private final int height;
        private final int width;
        private final int channels;
        private final int columns;
        private final int layers; // images stacked in a cell
        private final int zoom;
        private final BufferedImage picture;

        Canvas(int values, int height, int width, int channels, int columns, int layers) {
            if (channels != 1 && channels != 3) {
                throw new IllegalArgumentException(
                        "pictures have 1 or 3 channels, got " + channels);
            }
            if (height < 1 || width < 1 || columns < 1) {
                throw new IllegalArgumentException(
                        String.format(
                                "a grid of %dx%d images in %d columns is empty",
                                height, width, columns));
            }
            int dimensions = height * width * channels;
            if (values < 1 || values % dimensions != 0) {
                throw new IllegalArgumentException(
                        values + " values are no whole number of images of " + dimensions);
            }
            this.count = values / dimensions;
            this.height = height;
            this.width = width;
            this.channels = channels;
            this.columns = Math.min(columns, count);
            this.layers = layers;
            this.zoom = Math.max(1, SMALLEST_EDGE / Math.max(height, width));
            int rows = (count + this.columns - 1) / this.columns;
            picture =
                    new BufferedImage(
                            GAP + this.columns * (width * zoom + GAP),
                            GAP + rows * cellHeight(),
                            BufferedImage.TYPE_INT_RGB);
            for (int y = 0; y < picture.getHeight(); y++) {
                for (int x = 0; x < picture.getWidth(); x++) {
                    picture.setRGB(x, y, BACKGROUND);
                }
            }
        }

        /** Layers touch; between cells is a gap, doubled where layers make pairs. */
        private int cellHeight() {
            return layers * height * zoom + GAP * layers;
        }

        void draw(float[] images, int layer) {
            for (int i = 0; i < count; i++) {
                int left = GAP + i % columns * (width * zoom + GAP);
                int top = GAP + i / columns * cellHeight() + layer * height * zoom;
                for (int y = 0; y < height * zoom; y++) {
                    for (int x = 0; x < width * zoom; x++) {
                        int at = ((i * height + y / zoom) * width + x / zoom) * channels;
                        picture.setRGB(left + x, top + y, rgb(images, at));
                    }
                }
            }
        }

        private int rgb(float[] images, int at) {
            int red = level(images[at]);
            return channels == 1
                    ? red * 0x010101
                    : red << 16 | level(images[at + 1]) << 8 | level(images[at + 2]);
        }

        private static int level(float value) {
            return Math.round(255 * Math.min(1, Math.max(0, value))); // NaN is drawn black
        }

        void write(Path file) {
            AtomicFile.write(file, out -> ImageIO.write(picture, "png", out));
        }
    }
}
