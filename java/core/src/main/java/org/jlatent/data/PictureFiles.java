package org.jlatent.data;

import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.Iterator;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.MemoryCacheImageInputStream;

/**
 * Decodes PNG and JPEG. Values are the file's, without colour management; an alpha channel is
 * dropped; a palette of greys gives a grey image; more than 8 bits are kept until values are
 * rounded to bytes.
 */
final class PictureFiles {
    static final long LARGEST = 1L << 28; // pixels

    private PictureFiles() {}

    /**
     * @throws DataException naming the file if it is damaged or no image
     */
    static Picture decode(String name, byte[] bytes) {
        try (ImageInputStream in =
                new MemoryCacheImageInputStream(new ByteArrayInputStream(bytes))) {
            Iterator<ImageReader> readers = ImageIO.getImageReaders(in);
            if (!readers.hasNext()) {
                throw new DataException(
                        name + (bytes.length == 0 ? " is empty" : " is no PNG or JPEG image"));
            }
            ImageReader reader = readers.next();
            try {
                reader.setInput(in, true, true);
                // Before memory is asked for: a few bytes can claim gigabytes of pixels.
                if ((long) reader.getWidth(0) * reader.getHeight(0) > LARGEST) {
                    throw new DataException(
                            name
                                    + " is too large: "
                                    + reader.getHeight(0)
                                    + "x"
                                    + reader.getWidth(0)
                                    + " pixels");
                }
                return picture(name, reader.read(0));
            } finally {
                reader.dispose();
            }
        } catch (IOException | RuntimeException e) { // damage surfaces as either in ImageIO
            if (e instanceof DataException known) {
                throw known;
            }
            String reason = e.getMessage() == null ? e.toString() : e.getMessage();
            throw new DataException(
                    name + " cannot be decoded: " + reason.lines().findFirst().orElse(""), e);
        }
    }

    private static Picture picture(String name, BufferedImage image) {
        Raster raster = image.getRaster();
        ColorModel colors = image.getColorModel();
        int height = image.getHeight();
        int width = image.getWidth();
        int bands = raster.getNumBands();
        int[] samples = raster.getPixels(0, 0, width, height, (int[]) null);
        if (colors instanceof IndexColorModel palette) {
            return indexed(name, height, width, samples, palette);
        }
        int channels = bands < 3 ? 1 : 3; // grey, grey and alpha, rgb, rgb and alpha
        float largest = (1L << colors.getComponentSize(0)) - 1;
        float[] values = new float[height * width * channels];
        for (int i = 0; i < height * width; i++) {
            for (int c = 0; c < channels; c++) {
                values[i * channels + c] = samples[i * bands + c] / largest;
            }
        }
        return new Picture(name, height, width, channels, values);
    }

    private static Picture indexed(
            String name, int height, int width, int[] samples, IndexColorModel palette) {
        boolean grey = true;
        for (int i = 0; i < palette.getMapSize(); i++) {
            grey &=
                    palette.getRed(i) == palette.getGreen(i)
                            && palette.getRed(i) == palette.getBlue(i);
        }
        int channels = grey ? 1 : 3;
        float[] values = new float[samples.length * channels];
        for (int i = 0; i < samples.length; i++) {
            values[i * channels] = palette.getRed(samples[i]) / 255f;
            if (!grey) {
                values[i * channels + 1] = palette.getGreen(samples[i]) / 255f;
                values[i * channels + 2] = palette.getBlue(samples[i]) / 255f;
            }
        }
        return new Picture(name, height, width, channels, values);
    }
}
