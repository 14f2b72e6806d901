package org.jlatent.io;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import javax.imageio.ImageIO;
import javax.sound.sampled.AudioFileFormat;
import javax.sound.sampled.AudioFormat;
import javax.sound.sampled.AudioInputStream;
import javax.sound.sampled.AudioSystem;
import org.jlatent.data.ImageShape;

/**
 * One image or clip a file, value for value, for other programs; {@link ImageGrid} is for looking.
 */
public final class ImageFiles {
    private ImageFiles() {}

    /**
     * An image as an 8-bit PNG of its own size, values in [0, 1] (clamped).
     *
     * @param values of one or more images, this one's from {@code offset} on
     * @param shape of 1 or 3 channels
     * @throws IllegalArgumentException for other channels
     * @throws org.jlatent.JlatentException if the file can't be written
     */
    public static void writePng(Path file, float[] values, int offset, ImageShape shape) {
        int channels = shape.channels();
        if (channels != 1 && channels != 3) {
            throw new IllegalArgumentException("pictures have 1 or 3 channels, got " + channels);
        }
        BufferedImage picture =
                new BufferedImage(
                        shape.width(),
                        shape.height(),
                        channels == 1 ? BufferedImage.TYPE_BYTE_GRAY : BufferedImage.TYPE_INT_RGB);
        for (int y = 0; y < shape.height(); y++) {
            for (int x = 0; x < shape.width(); x++) {
                int at = offset + (y * shape.width() + x) * channels;
                int rgb = ImageGrid.rgb(values, at, channels);
                if (channels == 1) { // setRGB would apply the grey colour space's gamma
                    picture.getRaster().setSample(x, y, 0, rgb & 0xff);
                } else {
                    picture.setRGB(x, y, rgb);
                }
            }
        }
        AtomicFile.write(file, out -> ImageIO.write(picture, "png", out));
    }

    /**
     * A clip as a wav file of 16-bit PCM, values in [-1, 1] (clamped).
     *
     * @param values of one or more clips, this one's from {@code offset} on
     * @param clip of height 1
     * @param rate samples a second
     * @throws org.jlatent.JlatentException if the file can't be written
     */
    public static void writeWav(
            Path file, float[] values, int offset, ImageShape clip, float rate) {
        ByteBuffer samples =
                ByteBuffer.allocate(clip.values() * Short.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < clip.values(); i++) {
            float scaled = values[offset + i] * 0x1p15f;
            samples.putShort(
                    (short)
                            Math.max(
                                    Short.MIN_VALUE,
                                    Math.min(Short.MAX_VALUE, Math.round(scaled))));
        }
        AudioFormat format = new AudioFormat(rate, Short.SIZE, clip.channels(), true, false);
        AudioInputStream stream =
                new AudioInputStream(
                        new ByteArrayInputStream(samples.array()), format, clip.width());
        AtomicFile.write(file, out -> AudioSystem.write(stream, AudioFileFormat.Type.WAVE, out));
    }
}
