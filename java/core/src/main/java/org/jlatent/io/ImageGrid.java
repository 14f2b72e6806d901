package org.jlatent.io;

import java.awt.Color;
import java.awt.Font;
import java.awt.FontMetrics;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.nio.file.Path;
import java.util.List;
import javax.imageio.ImageIO;
import org.jlatent.data.ImageShape;

/**
 * Images in rows and columns as one PNG: grey or RGB, values in [0, 1] (clamped), enlarged by a
 * whole number, with labels beside rows and above columns where wanted. Sequences, images of height
 * 1, are drawn as curves of values in [-1, 1].
 *
 * <pre>{@code
 * ImageGrid.of(images, shape).columns(8).columnLabels(names).write(file);
 * }</pre>
 */
public final class ImageGrid {
    private static final int GAP = 2;
    private static final int SMALLEST_EDGE = 96; // images smaller than this are enlarged
    private static final int BACKGROUND = 0x404040;
    private static final Color INK = new Color(0xe0e0e0);
    private static final int FONT_SIZE = 13;
    private static final int MARGIN = 6; // between a label and its images

    private final ImageShape given;
    private final ImageShape shape; // of what is drawn
    private final float[] images;
    private final int count;
    private final int zoom;
    private float[] below;
    private int columns;
    private List<String> rowLabels = List.of();
    private List<String> columnLabels = List.of();

    private ImageGrid(float[] given, ImageShape of) {
        if (given.length < 1 || given.length % of.values() != 0) {
            throw new IllegalArgumentException(
                    given.length + " values are no whole number of images of " + of);
        }
        this.given = of;
        this.shape = of.height() == 1 ? Waveform.PICTURE : of;
        if (shape.channels() != 1 && shape.channels() != 3) {
            throw new IllegalArgumentException(
                    "pictures have 1 or 3 channels, got " + shape.channels());
        }
        this.images = picture(given);
        this.count = images.length / shape.values();
        this.columns = count;
        this.zoom = Math.max(1, SMALLEST_EDGE / Math.max(shape.height(), shape.width()));
    }

    private float[] picture(float[] values) {
        return given.height() == 1 ? Waveform.draw(values, given) : values;
    }

    /**
     * All images in one row.
     *
     * @param images {@code [n, height, width, channels]}, 1 or 3 channels unless they are sequences
     * @throws IllegalArgumentException if the values are not a whole number of images, or the
     *     channels not 1 or 3
     */
    public static ImageGrid of(float[] images, ImageShape shape) {
        return new ImageGrid(images, shape);
    }

    /** Images a row. */
    public ImageGrid columns(int perRow) {
        if (perRow < 1) {
            throw new IllegalArgumentException("a grid of " + perRow + " columns is empty");
        }
        columns = Math.min(perRow, count);
        return this;
    }

    /** A second image under each, touching it. */
    public ImageGrid below(float[] others) {
        if (others.length != count * given.values()) {
            throw new IllegalArgumentException(
                    "pairs need as many values above as below, got "
                            + count * given.values()
                            + " and "
                            + others.length);
        }
        below = picture(others);
        return this;
    }

    /** One label a row, to its left. */
    public ImageGrid rowLabels(List<String> labels) {
        rowLabels = List.copyOf(labels);
        return this;
    }

    /** One label a column, above it. */
    public ImageGrid columnLabels(List<String> labels) {
        columnLabels = List.copyOf(labels);
        return this;
    }

    /**
     * @throws IllegalArgumentException if there are labels, but not one for each row or column
     * @throws org.jlatent.JlatentException if the file can't be written
     */
    public void write(Path file) {
        int rows = (count + columns - 1) / columns;
        checkLabels("row", rowLabels, rows);
        checkLabels("column", columnLabels, columns);
        BufferedImage picture = paint(rows);
        AtomicFile.write(file, out -> ImageIO.write(picture, "png", out));
    }

    private static void checkLabels(String of, List<String> labels, int wanted) {
        if (!labels.isEmpty() && labels.size() != wanted) {
            throw new IllegalArgumentException(
                    "there are " + labels.size() + " " + of + " labels for " + wanted);
        }
    }

    private BufferedImage paint(int rows) {
        int left = labelWidth(rowLabels);
        int top = columnLabels.isEmpty() ? 0 : FONT_SIZE + 2 * MARGIN;
        BufferedImage picture =
                new BufferedImage(
                        left + GAP + columns * cellWidth(),
                        top + GAP + rows * cellHeight(),
                        BufferedImage.TYPE_INT_RGB);
        for (int y = 0; y < picture.getHeight(); y++) {
            for (int x = 0; x < picture.getWidth(); x++) {
                picture.setRGB(x, y, BACKGROUND);
            }
        }
        for (int i = 0; i < count; i++) {
            int x = left + GAP + i % columns * cellWidth();
            int y = top + GAP + i / columns * cellHeight();
            draw(picture, images, i, x, y);
            if (below != null) {
                draw(picture, below, i, x, y + shape.height() * zoom);
            }
        }
        if (!rowLabels.isEmpty() || !columnLabels.isEmpty()) {
            drawLabels(picture, left, top);
        }
        return picture;
    }

    private int cellWidth() {
        return shape.width() * zoom + GAP;
    }

    /** Pairs touch; the gap between them is doubled. */
    private int cellHeight() {
        int layers = below == null ? 1 : 2;
        return layers * (shape.height() * zoom + GAP);
    }

    private void draw(BufferedImage picture, float[] from, int index, int left, int top) {
        int channels = shape.channels();
        for (int y = 0; y < shape.height() * zoom; y++) {
            for (int x = 0; x < shape.width() * zoom; x++) {
                int pixel = (index * shape.height() + y / zoom) * shape.width() + x / zoom;
                picture.setRGB(left + x, top + y, rgb(from, pixel * channels, channels));
            }
        }
    }

    /** Of one pixel. */
    static int rgb(float[] values, int at, int channels) {
        int red = level(values[at]);
        return channels == 1
                ? red * 0x010101
                : red << 16 | level(values[at + 1]) << 8 | level(values[at + 2]);
    }

    private static int level(float value) {
        return Math.round(255 * Math.min(1, Math.max(0, value))); // NaN is drawn black
    }

    // ---- labels ----

    private static Graphics2D pen(BufferedImage picture) {
        Graphics2D pen = picture.createGraphics();
        pen.setRenderingHint(
                RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
        pen.setFont(new Font(Font.SANS_SERIF, Font.PLAIN, FONT_SIZE));
        pen.setColor(INK);
        return pen;
    }

    private static int labelWidth(List<String> labels) {
        if (labels.isEmpty()) {
            return 0;
        }
        Graphics2D pen = pen(new BufferedImage(1, 1, BufferedImage.TYPE_INT_RGB));
        FontMetrics metrics = pen.getFontMetrics();
        int widest = labels.stream().mapToInt(metrics::stringWidth).max().orElse(0);
        pen.dispose();
        return widest + 2 * MARGIN;
    }

    /** Row labels end at their images, in the middle; column labels stand over the middle. */
    private void drawLabels(BufferedImage picture, int left, int top) {
        Graphics2D pen = pen(picture);
        FontMetrics metrics = pen.getFontMetrics();
        for (int row = 0; row < rowLabels.size(); row++) {
            int middle = top + GAP + row * cellHeight() + (cellHeight() - GAP) / 2;
            String label = rowLabels.get(row);
            pen.drawString(
                    label,
                    left - MARGIN - metrics.stringWidth(label),
                    middle + (metrics.getAscent() - metrics.getDescent()) / 2);
        }
        for (int column = 0; column < columnLabels.size(); column++) {
            int middle = left + GAP + column * cellWidth() + (cellWidth() - GAP) / 2;
            String label = columnLabels.get(column);
            pen.drawString(
                    label, middle - metrics.stringWidth(label) / 2, MARGIN + metrics.getAscent());
        }
        pen.dispose();
    }
}
