package org.jlatent.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jlatent.DType;
import org.jlatent.Device;
import org.jlatent.JlatentException;
import org.jlatent.OnEveryDevice;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.jlatent.TestDevice;
import org.jlatent.io.Safetensors.Entry;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

@OnEveryDevice
final class SafetensorsTest {
    @TempDir Path folder;

    private Path file(String header, int dataBytes) throws IOException {
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        ByteBuffer bytes =
                ByteBuffer.allocate(8 + json.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putLong(json.length).put(json);
        return Files.write(folder.resolve("f.safetensors"), bytes.array());
    }

    private static void fails(Path file, String word) {
        String message =
                assertThrows(JlatentException.class, () -> Safetensors.read(file)).getMessage();
        assertTrue(message.contains(file.toString()) && message.contains(word), message);
    }

    @Test
    void whatIsWrittenIsRead() throws IOException {
        Path file = folder.resolve("m.safetensors");
        Safetensors.write(
                file,
                List.of(
                        Entry.ofFloats("b", new long[] {2, 1}, new float[] {1.5f, Float.NaN}),
                        Entry.ofFloats("a", new long[] {0}, new float[0]),
                        Entry.ofFloats("c", new long[] {}, new float[] {-3})),
                Map.of("format", "jlatent"));
        assertTrue(Files.readString(file, StandardCharsets.ISO_8859_1).contains("jlatent"));
        assertEquals(Map.of("format", "jlatent"), Safetensors.readAll(file).metadata());
        Map<String, Entry> read = Safetensors.read(file);
        assertEquals(3, read.size());
        assertArrayEquals(new float[] {1.5f, Float.NaN}, read.get("b").toFloats());
        assertArrayEquals(new long[] {2, 1}, read.get("b").shape());
        assertArrayEquals(new float[] {-3}, read.get("c").toFloats());
    }

    @Test
    void tensorsOfEveryTypeComeBackBitForBit() {
        Path file = folder.resolve("t.safetensors");
        try (Device device = TestDevice.open();
                Scope scope = new Scope(device)) {
            Shape shape = Shape.of(2, 1);
            Tensor floats = scope.of(shape, new float[] {1.1f, Float.NaN});
            Tensor half = scope.empty(shape, DType.BF16);
            half.copyFrom(1.1f, -3);
            Tensor codes = scope.ofInts(shape, Integer.MIN_VALUE, 7);
            Safetensors.write(
                    file,
                    List.of(Entry.of("f", floats), Entry.of("h", half), Entry.of("c", codes)),
                    Map.of());
            Map<String, Entry> read = Safetensors.read(file);
            assertEquals("BF16", read.get("h").dtype());
            Tensor to = scope.empty(shape, DType.BF16);
            read.get("h").copyTo(to);
            assertArrayEquals(half.toFloatArray(), to.toFloatArray());
            to = scope.ofInts(shape, 0, 0);
            read.get("c").copyTo(to);
            assertArrayEquals(new int[] {Integer.MIN_VALUE, 7}, to.toIntArray());
            assertArrayEquals(floats.toFloatArray(), read.get("f").toFloats());
            assertEquals("is F32 there, BF16 here", read.get("f").difference(half).orElseThrow());
            assertEquals(
                    "is [2, 1] there, [2] here",
                    read.get("f").difference(scope.zeros(Shape.of(2))).orElseThrow());
            assertEquals(
                    "tensor c is I32 there, F32 here",
                    assertThrows(JlatentException.class, () -> read.get("c").copyTo(floats))
                            .getMessage());
        }
    }

    @Test
    void theBytesAreTheFormats() throws IOException {
        Path file = folder.resolve("m.safetensors");
        Safetensors.write(
                file, List.of(Entry.ofFloats("w", new long[] {1}, new float[] {1.0f})), Map.of());
        byte[] bytes = Files.readAllBytes(file);
        long length = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
        assertEquals(0, length % 8);
        String header = new String(bytes, 8, (int) length, StandardCharsets.UTF_8);
        assertEquals(
                "{\"__metadata__\":{},\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
                header.strip());
        assertArrayEquals(
                new byte[] {0, 0, (byte) 0x80, 0x3f},
                Arrays.copyOfRange(bytes, 8 + (int) length, bytes.length));
    }

    @Test
    void brainFloatsBecomeFloats() throws IOException {
        String header = "{\"w\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[0,2]}}";
        Path file = file(header, 2);
        byte[] bytes = Files.readAllBytes(file);
        bytes[bytes.length - 1] = (byte) 0xC0; // 0xC000: -2
        Files.write(file, bytes);
        assertArrayEquals(new float[] {-2}, Safetensors.read(file).get("w").toFloats());
    }

    @Test
    void everyTypeAndPartOfABufferIsKept() {
        Path file = folder.resolve("m.safetensors");
        ByteBuffer numbers = ByteBuffer.allocate(40).order(ByteOrder.LITTLE_ENDIAN);
        numbers.putLong(-2).putLong(1L << 40).limit(16);
        ByteBuffer direct = ByteBuffer.allocateDirect(3).put(new byte[] {1, 2, -1});
        Safetensors.write(
                file,
                List.of(
                        new Entry("i64", "I64", new long[] {2}, numbers),
                        new Entry("u8", "U8", new long[] {3}, direct)),
                Map.of());
        Map<String, Entry> read = Safetensors.read(file);
        assertEquals(List.of("i64", "u8"), List.copyOf(read.keySet()));
        assertEquals(-2, read.get("i64").data().getLong(0));
        assertEquals(1L << 40, read.get("i64").data().getLong(8));
        assertEquals(-1, read.get("u8").data().get(2));
        assertTrue(
                assertThrows(JlatentException.class, () -> read.get("u8").toFloats())
                        .getMessage()
                        .contains("u8 is U8"));
    }

    @Test
    void whatCouldNotBeReadIsNotWritten() {
        Path file = folder.resolve("m.safetensors");
        Entry a = Entry.ofFloats("a", new long[] {1}, new float[] {1});
        Entry reserved = Entry.ofFloats("__metadata__", new long[] {1}, new float[] {1});
        for (List<Entry> bad : List.of(List.of(a, a), List.of(reserved))) {
            assertThrows(
                    IllegalArgumentException.class, () -> Safetensors.write(file, bad, Map.of()));
            assertFalse(Files.exists(file));
        }
        for (long[] shape : new long[][] {{3}, {-1, -2}, {1L << 62, 4}, {0}}) {
            assertThrows(
                    IllegalArgumentException.class,
                    () -> Entry.ofFloats("a", shape, new float[] {1, 2}));
        }
        assertThrows(
                IllegalArgumentException.class,
                () -> new Entry("a", "F7", new long[] {0}, ByteBuffer.allocate(0)));
    }

    @Test
    void everyDamageIsNamed() throws IOException {
        fails(folder.resolve("missing"), "does not exist");
        fails(Files.write(folder.resolve("tiny"), new byte[3]), "3 bytes");
        fails(
                Files.write(
                        folder.resolve("huge"), new byte[] {-1, -1, -1, -1, -1, -1, -1, 127, 0}),
                "header claims");
        fails(folder, "is not a file");
        fails(file("{not json", 0), "JSON");
        fails(file("{} {}", 0), "JSON");
        fails(file("{\"__metadata__\":{\"k\":3}}", 0), "__metadata__");
        fails(file("{\"__metadata__\":\"k\"}", 0), "__metadata__");
        fails(file("{\"w\":3}", 0), "dtype");
        fails(
                file(
                        "{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":{\"a\":0,\"b\":1}}}",
                        1),
                "data_offsets");
        fails(file("[]", 0), "object");
        String w = "{\"w\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%s]}}";
        fails(file(String.format(w, "F32", "2", "0,8"), 4), "truncated");
        fails(file(String.format(w, "F32", "1", "0,4"), 8), "belong to no tensor");
        fails(file(String.format(w, "F32", "3", "0,4"), 4), "does not fit");
        fails(
                file(String.format(w, "F32", "4294967296,4294967296,4294967296", "0,4"), 4),
                "does not fit");
        fails(file(String.format(w, "F32", "1", "4,8"), 8), "begin");
        fails(file(String.format(w, "F7", "1", "0,4"), 4), "dtype");
        for (String shape : List.of("-1", "-1,-1", "\"1\"", "1.0", "18446744073709551617")) {
            fails(file(String.format(w, "F32", shape, "0,4"), 4), "does not fit");
        }
        for (String offsets : List.of("0,\"4\"", "0,4.5", "-4,0", "4,0")) {
            fails(file(String.format(w, "F32", "1", offsets), 4), "does not fit");
        }
        fails(
                file(
                        "{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
                                + "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[2,5]}}",
                        5),
                "begin");
        fails(
                file(
                        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                                + "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
                        2),
                "Duplicate field 'a'");
    }
}
