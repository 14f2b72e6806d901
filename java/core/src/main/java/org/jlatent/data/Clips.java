package org.jlatent.data;

import java.io.ByteArrayInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import javax.sound.sampled.AudioFormat;
import javax.sound.sampled.AudioFormat.Encoding;
import javax.sound.sampled.AudioInputStream;
import javax.sound.sampled.AudioSystem;
import javax.sound.sampled.UnsupportedAudioFileException;

/** Decodes wav files to images of height 1; values in [-1, 1]. */
final class Clips {
    private static final int MOST_CHANNELS = 256;

    private Clips() {}

    /**
     * @param picture [1, samples, channels]
     * @param rate samples a second
     */
    record Clip(Picture picture, float rate) {}

    /**
     * @param length samples to cut or fill up to, 0: as many as there are
     * @throws DataException naming the file if it is damaged, or neither PCM nor float
     */
    static Clip decode(String name, byte[] bytes, int length) {
        try (AudioInputStream in =
                AudioSystem.getAudioInputStream(new ByteArrayInputStream(bytes))) {
            AudioFormat format = in.getFormat();
            check(name, format);
            long announced = in.getFrameLength() * format.getFrameSize();
            byte[] data = in.readAllBytes();
            if (data.length < announced || data.length % format.getFrameSize() != 0) {
                throw new DataException(
                        name
                                + " is truncated: "
                                + announced
                                + " bytes of samples announced, "
                                + data.length
                                + " there");
            }
            int channels = format.getChannels();
            float[] values = values(format, data);
            if (values.length == 0) {
                throw new DataException(name + " holds no samples");
            }
            if (length > 0) {
                if ((long) length * channels > Integer.MAX_VALUE - 8) {
                    throw new DataException(
                            name + " is too large: " + length + " samples of " + channels);
                }
                values = Arrays.copyOf(values, length * channels);
            }
            return new Clip(
                    new Picture(name, 1, values.length / channels, channels, values),
                    format.getSampleRate());
        } catch (UnsupportedAudioFileException e) {
            throw new DataException(
                    name
                            + " is no wav file of PCM (8, 16, 24, 32 bits) or float samples: "
                            + e.getMessage(),
                    e);
        } catch (EOFException e) {
            throw new DataException(name + " is truncated within its header", e);
        } catch (IOException | IllegalArgumentException e) {
            throw new DataException(name + " cannot be decoded: " + e.getMessage(), e);
        }
    }

    private static void check(String name, AudioFormat format) {
        int bits = format.getSampleSizeInBits();
        Encoding encoding = format.getEncoding();
        boolean known;
        if (encoding.equals(Encoding.PCM_SIGNED)) {
            known = bits == 8 || bits == 16 || bits == 24 || bits == 32;
        } else if (encoding.equals(Encoding.PCM_FLOAT)) {
            known = bits == 32 || bits == 64;
        } else {
            known = encoding.equals(Encoding.PCM_UNSIGNED) && bits == 8;
        }
        if (!known || format.getChannels() < 1) {
            throw new DataException(
                    name
                            + " is encoded as "
                            + encoding
                            + " of "
                            + bits
                            + " bits; wav files must be PCM (8, 16, 24, 32 bits) or float");
        }
        // A stream of frames of 0 bytes, or of more than it is read by, would never end.
        if (format.getFrameSize() != format.getChannels() * bits / 8
                || format.getChannels() > MOST_CHANNELS) {
            throw new DataException(
                    name
                            + " is damaged: "
                            + format.getChannels()
                            + " channels of "
                            + bits
                            + " bits in frames of "
                            + format.getFrameSize()
                            + " bytes");
        }
    }

    private static float[] values(AudioFormat format, byte[] data) {
        ByteBuffer in =
                ByteBuffer.wrap(data)
                        .order(
                                format.isBigEndian()
                                        ? ByteOrder.BIG_ENDIAN
                                        : ByteOrder.LITTLE_ENDIAN);
        boolean floating = format.getEncoding().equals(Encoding.PCM_FLOAT);
        boolean unsigned = format.getEncoding().equals(Encoding.PCM_UNSIGNED);
        int bytes = format.getSampleSizeInBits() / 8;
        float[] values = new float[data.length / bytes];
        for (int i = 0; i < values.length; i++) {
            values[i] =
                    switch (bytes) {
                        case 1 -> (unsigned ? (in.get() & 0xff) - 128 : in.get()) * 0x1p-7f;
                        case 2 -> in.getShort() * 0x1p-15f;
                        case 3 -> little24(in) * 0x1p-23f;
                        case 4 -> floating ? in.getFloat() : in.getInt() * 0x1p-31f;
                        default -> (float) in.getDouble();
                    };
        }
        return values;
    }

    private static int little24(ByteBuffer in) {
        return (in.get() & 0xff) | (in.get() & 0xff) << 8 | in.get() << 16;
    }
}
