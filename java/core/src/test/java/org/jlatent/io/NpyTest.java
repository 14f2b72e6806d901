package org.jlatent.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.jlatent.JlatentException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class NpyTest {
    @TempDir Path folder;

    private static byte[] npy(int version, String header, byte... data) {
        int start = version == 1 ? 10 : 12;
        ByteBuffer file =
                ByteBuffer.allocate(start + header.length() + data.length)
                        .order(ByteOrder.LITTLE_ENDIAN);
        file.put(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', (byte) version, 0});
        if (version == 1) {
            file.putShort((short) header.length());
        } else {
            file.putInt(header.length());
        }
        return file.put(header.getBytes(StandardCharsets.UTF_8)).put(data).array();
    }

    private static String header(String descr, String order, String shape) {
        return "{'descr': '"
                + descr
                + "', 'fortran_order': "
                + order
                + ", 'shape': "
                + shape
                + ", }   \n";
    }

    private Path write(byte... bytes) throws IOException {
        return Files.write(folder.resolve("x.npy"), bytes);
    }

    @Test
    void whatIsWrittenIsReadAgain() {
        Path file = folder.resolve("f.npy");
        float[] values = {1, -2.5f, Float.MIN_VALUE, Float.MAX_VALUE, 0, 7};
        Npy.write(file, values, 2, 3);
        Npy.Array array = Npy.read(file);
        assertEquals(Npy.Type.F4, array.type());
        assertArrayEquals(new int[] {2, 3}, array.shape());
        assertArrayEquals(values, array.toFloats());
        assertEquals(6, array.size());
        Npy.write(file, new int[] {3, -4}, 2);
        assertEquals(Npy.Type.I4, Npy.read(file).type());
        assertArrayEquals(new float[] {3, -4}, Npy.read(file).toFloats());
        Npy.write(file, new float[] {5});
        assertArrayEquals(new int[0], Npy.read(file).shape());
        Npy.write(file, new float[0], 0, 4);
        assertEquals(0, Npy.read(file).size());
    }

    @Test
    void integersKeepAllTheirBits() throws IOException {
        ByteBuffer longs = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
        longs.putLong((1L << 40) + 1).putLong(-3);
        Npy.Array wide = Npy.read(write(npy(1, header("<i8", "False", "(2,)"), longs.array())));
        assertEquals(Npy.Type.I8, wide.type());
        assertEquals((1L << 40) + 1, wide.integer(0));
        assertEquals(-3, wide.integer(1));
        assertEquals(-3, wide.value(1));
        Path file = folder.resolve("i.npy");
        Npy.write(file, new int[] {Integer.MAX_VALUE}, 1);
        assertEquals(Integer.MAX_VALUE, Npy.read(file).integer(0));
        Npy.write(file, new float[] {1}, 1);
        assertThrows(IllegalStateException.class, () -> Npy.read(file).integer(0));
    }

    /** The bytes that numpy.save writes, but for the number of spaces. */
    @Test
    void theFileIsAsNumpyWritesIt() throws IOException {
        Path file = folder.resolve("f.npy");
        Npy.write(file, new float[] {1, 2}, 2);
        byte[] bytes = Files.readAllBytes(file);
        assertEquals(128 + 8, bytes.length);
        String text = new String(bytes, 10, 118, StandardCharsets.US_ASCII);
        assertEquals("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", text.strip());
        assertEquals('\n', text.charAt(117));
        assertEquals(118, bytes[8]);
    }

    @Test
    void everyTypeAndVersionIsRead() throws IOException {
        for (int version = 1; version <= 3; version++) {
            Path u1 = write(npy(version, header("|u1", "False", "(3, 1)"), new byte[] {0, 1, -1}));
            assertArrayEquals(new float[] {0, 1, 255}, Npy.read(u1).toFloats());
        }
        byte[] doubles =
                ByteBuffer.allocate(16)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putDouble(0.1)
                        .putDouble(-3)
                        .array();
        Path f8 = write(npy(1, header("<f8", "False", "(2,)"), doubles));
        assertArrayEquals(new float[] {0.1f, -3}, Npy.read(f8).toFloats());
        assertThrows(IndexOutOfBoundsException.class, () -> Npy.read(f8).value(2));
    }

    private void fails(byte[] bytes, String... words) throws IOException {
        Path file = write(bytes);
        String message = assertThrows(JlatentException.class, () -> Npy.read(file)).getMessage();
        assertTrue(message.contains(file.toString()), message);
        for (String word : words) {
            assertTrue(message.contains(word), message);
        }
        assertEquals(1, message.lines().count(), message);
    }

    @Test
    void everyDamageIsNamed() throws IOException {
        fails(new byte[0], "not an npy file");
        fails("PK zip or something else".getBytes(StandardCharsets.US_ASCII), "not an npy file");
        byte[] four = new byte[4];
        fails(npy(4, header("<f4", "False", "(1,)"), four), "version 4");
        fails(npy(1, header("<f4", "True", "(1,)"), four), "Fortran", "ascontiguousarray");
        fails(npy(1, header(">f4", "False", "(1,)"), four), "'>f4'", "astype");
        fails(npy(1, header("|O", "False", "(1,)"), four), "'|O'");
        fails(npy(1, header("<f4", "False", "(2,)"), four), "truncated", "[2]");
        fails(npy(1, header("<f4", "False", "(2, 4000000000)"), four), "shape", "4000000000");
        fails(npy(1, header("<f4", "False", "(2000000000, 2000000000, 4)"), four), "truncated");
        fails(npy(1, header("<f4", "False", "(1,)"), new byte[5]), "too many");
        fails(npy(1, "{'descr': [('a', '<f4')]}", four), "header", "cannot be read");
        fails(npy(1, "{'descr':\n\u001b[2J}", four), "cannot be read: {'descr': [2J}");
        byte[] whole = npy(2, header("<f4", "False", "(1,)"), four);
        fails(Arrays.copyOf(whole, 30), "truncated within its header");
        fails(Arrays.copyOf(whole, 11), "truncated within its header");
        Path none = folder.resolve("none.npy");
        assertTrue(
                assertThrows(JlatentException.class, () -> Npy.read(none))
                        .getMessage()
                        .contains("none.npy does not exist"));
        assertThrows(JlatentException.class, () -> Npy.read(folder));
        assertThrows(IllegalArgumentException.class, () -> Npy.write(none, new float[] {1, 2}, 3));
        assertThrows(
                IllegalArgumentException.class, () -> Npy.write(none, new float[] {1}, -1, -1));
    }
}
