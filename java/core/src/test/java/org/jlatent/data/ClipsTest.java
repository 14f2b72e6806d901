package org.jlatent.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.OptionalInt;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class ClipsTest {
    private static final int PCM = 1;
    private static final int FLOAT = 3;
    private static final int A_LAW = 6;
    private static final int ADPCM = 2;

    @TempDir Path folder;

    private static float[] values(byte[] wav) {
        return Clips.decode("x.wav", wav, 0).picture().values();
    }

    @Test
    void everyEncodingIsScaledToOne() {
        float[] expected = {-1, 0, 0.5f};
        byte[] bytes = {0, (byte) 128, (byte) 192};
        assertArrayEquals(expected, values(Made.wav(PCM, 8, 1, 8000, bytes)));
        assertArrayEquals(expected, values(Made.wav16(-32768, 0, 16384)));
        byte[] three = {0, 0, (byte) 0x80, 0, 0, 0, 0, 0, 0x40};
        assertArrayEquals(expected, values(Made.wav(PCM, 24, 1, 8000, three)));
        ByteBuffer four = ByteBuffer.allocate(12).order(ByteOrder.LITTLE_ENDIAN);
        four.putInt(Integer.MIN_VALUE).putInt(0).putInt(1 << 30);
        assertArrayEquals(expected, values(Made.wav(PCM, 32, 1, 8000, four.array())));
        ByteBuffer floats = ByteBuffer.allocate(12).order(ByteOrder.LITTLE_ENDIAN);
        floats.putFloat(-1).putFloat(0).putFloat(0.5f);
        assertArrayEquals(expected, values(Made.wav(FLOAT, 32, 1, 8000, floats.array())));
    }

    @Test
    void channelsLieNextToEachOther() {
        byte[] samples = {0, 0, 0, 64, 0, (byte) 192, 0, 32};
        Picture stereo = Clips.decode("x", Made.wav(PCM, 16, 2, 8000, samples), 0).picture();
        assertEquals(2, stereo.channels());
        assertEquals(2, stereo.width());
        assertArrayEquals(new float[] {0, 0.5f, -0.5f, 0.25f}, stereo.values());
    }

    @Test
    void clipsAreImagesOfHeightOneCutOrFilledUpToALength() throws IOException {
        Map<String, byte[]> files = new TreeMap<>();
        files.put("train/no/a.wav", Made.wav16(16384, 8192, 4096));
        files.put("train/yes/b.wav", Made.wav16(-16384));
        files.put("test/yes/c.wav", Made.wav16(0, 1024));
        Path tar = Made.tar(folder.resolve("clips.tar.gz"), files);
        Made.fails(
                () -> Datasets.open(tar.toString()), "!test/yes/c.wav", "samples", "option length");
        Splits splits = Datasets.open(tar.toString(), DataOptions.defaults().withLength(2));
        assertEquals(1, splits.train().height());
        assertEquals(2, splits.train().width());
        assertEquals(1, splits.train().channels());
        assertArrayEquals(new float[] {0.5f, 0.25f}, Made.pixels(splits.train(), 0));
        assertArrayEquals(new float[] {-0.5f, 0}, Made.pixels(splits.train(), 1));
        assertEquals(OptionalInt.of(1), splits.test().label(0));
        Made.fails(
                () ->
                        Datasets.open(
                                tar.toString(),
                                DataOptions.defaults().withLength(2).withFlip(true)),
                "clips",
                "length");
        files.put("test/yes/c.wav", Made.wav(PCM, 8, 1, 44100, new byte[3]));
        Path rates = Made.zip(folder.resolve("r.zip"), files);
        Made.fails(
                () -> Datasets.open(rates.toString(), DataOptions.defaults().withLength(2)),
                "sample rate",
                "8000.0",
                "44100.0");
        Made.fails(
                () -> Datasets.open("sprites", DataOptions.defaults().withLength(2)),
                "length",
                "clips");
    }

    private static void fails(byte[] wav, String... words) {
        Made.fails(() -> Clips.decode("c.zip!x.wav", wav, 0), words);
    }

    @Test
    void whatCannotBeReadIsNamed() {
        byte[] whole = Made.wav16(1, 2, 3, 4);
        fails(Arrays.copyOf(whole, whole.length - 3), "c.zip!x.wav", "truncated");
        fails(Arrays.copyOf(whole, 20), "c.zip!x.wav");
        fails(new byte[0], "c.zip!x.wav");
        fails(Made.ascii("ID3 no wav file at all, but long enough for a header"), "c.zip!x.wav");
        fails(Made.wav(A_LAW, 8, 1, 8000, new byte[4]), "c.zip!x.wav", "ALAW", "PCM");
        fails(Made.wav(ADPCM, 4, 1, 8000, new byte[4]), "c.zip!x.wav", "PCM");
        fails(Made.wav(PCM, 12, 1, 8000, new byte[4]), "c.zip!x.wav", "PCM");
        fails(Made.wav16(), "c.zip!x.wav", "no samples");
        // Frames of no bytes, or of more than a buffer: reading them would never end.
        fails(Made.wav(PCM, 16, 0, 8000, new byte[4]), "c.zip!x.wav");
        fails(Made.wav(PCM, 8, 20_000, 8000, new byte[4]), "c.zip!x.wav", "20000 channels");
        Made.fails(
                () -> Clips.decode("x.wav", Made.wav(PCM, 8, 2, 8000, new byte[2]), 1 << 30),
                "x.wav",
                "too large");
    }
}
