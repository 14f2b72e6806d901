package org.jlatent.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.OptionalInt;
import java.util.Random;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class IdxTest {
    @TempDir Path folder;

    private static byte[] images(int count, int height, int width, int... pixels) {
        ByteBuffer file = ByteBuffer.allocate(16 + pixels.length);
        file.putInt(2051).putInt(count).putInt(height).putInt(width);
        for (int pixel : pixels) {
            file.put((byte) pixel);
        }
        return file.array();
    }

    private Path write(String name, byte[] bytes) throws IOException {
        return Files.write(folder.resolve(name), bytes);
    }

    private Path gzip(String name, byte[] bytes) throws IOException {
        Path file = folder.resolve(name);
        try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(file))) {
            out.write(bytes);
        }
        return file;
    }

    private static void fails(Path file, String... words) {
        String message =
                assertThrows(DataException.class, () -> Idx.images("x", file, null)).getMessage();
        assertTrue(message.contains(file.toString()), message);
        for (String word : words) {
            assertTrue(message.contains(word), message);
        }
        assertEquals(1, message.lines().count(), message);
    }

    @Test
    void readsGreyImagesPlainAndGzipped() throws IOException {
        byte[] bytes = images(2, 1, 3, 0, 51, 255, 102, 153, 204);
        for (Path file : new Path[] {write("a", bytes), gzip("a.gz", bytes)}) {
            ImageSet set = Idx.images("a", file, null);
            assertEquals(2, set.size());
            assertEquals(3, set.dimensions());
            float[] out = {9, 9, 9, 9, 9};
            set.read(1, out, 1);
            assertArrayEquals(new float[] {9, 0.4f, 0.6f, 0.8f, 9}, out, 1e-6f);
            assertEquals(OptionalInt.empty(), set.label(0));
        }
    }

    @Test
    void filesOfZerosAndOnesAreReadAsSuch() throws IOException {
        ImageSet set = Idx.images("b", write("b", images(1, 2, 2, 0, 1, 1, 0)), null);
        float[] out = new float[4];
        set.read(0, out, 0);
        assertArrayEquals(new float[] {0, 1, 1, 0}, out);
    }

    @Test
    void labelsBelongToTheImages() throws IOException {
        Path file = write("i", images(2, 1, 1, 3, 4));
        Path labels =
                write(
                        "l",
                        ByteBuffer.allocate(10)
                                .putInt(2049)
                                .putInt(2)
                                .put((byte) 7)
                                .put((byte) 9)
                                .array());
        assertEquals(OptionalInt.of(9), Idx.images("x", file, labels).label(1));
        Path three = write("m", ByteBuffer.allocate(11).putInt(2049).putInt(3).array());
        assertTrue(
                assertThrows(DataException.class, () -> Idx.images("x", file, three))
                        .getMessage()
                        .contains("3 labels"));
    }

    @Test
    void everyDamageIsNamed() throws IOException {
        fails(folder.resolve("missing"), "does not exist");
        fails(folder, "is not a file");
        fails(write("empty", new byte[0]), "is empty");
        fails(write("empty.gz", new byte[0]), "is empty");
        fails(write("short", new byte[] {0, 0, 8}), "truncated", "16 bytes");
        fails(
                write("labels", ByteBuffer.allocate(9).putInt(2049).putInt(1).array()),
                "0x00000801",
                "0x00000803");
        fails(write("truncated", images(2, 2, 2, 1, 2, 3)), "8 bytes announced, 3 there");
        fails(write("longer", images(1, 1, 1, 1, 2)), "after the 1");
        fails(gzip("longer.gz", images(1, 1, 1, 1, 2)), "after the 1");
        fails(write("overflow", images(1 << 30, 1 << 30, 1 << 30)), "header is damaged");
        fails(write("negative", images(-1, 2, 2)), "header is damaged");
        fails(write("none", images(0, 2, 2)), "no images", "[0, 2, 2]");
        fails(write("flat", images(5, 0, 2)), "no images", "[5, 0, 2]");
    }

    @Test
    void everyDamageToGzipIsNamed() throws IOException {
        fails(write("not.gz", images(1, 1, 1, 1)), "gzip");
        int[] noise = new Random(1).ints(64, 0, 256).toArray(); // stored, not compressed
        byte[] whole = Files.readAllBytes(gzip("whole.gz", images(1, 8, 8, noise)));
        int trailer = 8;
        fails(
                write("cut.gz", Arrays.copyOf(whole, whole.length - trailer - 10)),
                "64 bytes announced, 5");
        fails(write("no-trailer.gz", Arrays.copyOf(whole, whole.length - 3)), "truncated");
        byte[] checksum = whole.clone();
        checksum[whole.length - trailer] ^= 1;
        fails(write("checksum.gz", checksum), "gzip");
        byte[] block = whole.clone();
        block[10] |= 6; // the block type that deflate reserves, after the header of 10 bytes
        fails(write("block.gz", block), "gzip");
    }
}
