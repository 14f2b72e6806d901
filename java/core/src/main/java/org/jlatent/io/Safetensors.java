package org.jlatent.io;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jlatent.JlatentException;
import org.jlatent.Tensor;

/**
 * The safetensors format: 8 bytes little-endian length of a JSON header, the header (name, dtype,
 * shape and byte range of each tensor), the data. Files are written whole or not at all and read
 * strictly: every byte belongs to one tensor. Thread-safe.
 */
public final class Safetensors {
    private static final int LARGEST_HEADER = 100_000_000;
    private static final Map<String, Integer> BYTES =
            Map.of("F32", 4, "F64", 8, "I32", 4, "I64", 8, "U8", 1, "BF16", 2);
    private static final ObjectMapper JSON =
            JsonMapper.builder()
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                    .build();
    private static final String METADATA = "__metadata__";

    private Safetensors() {}

    /**
     * One tensor.
     *
     * @param dtype F32, F64, I32, I64, U8 or BF16
     * @param data little-endian, row-major, from 0 to the buffer's limit
     */
    public record Entry(String name, String dtype, long[] shape, ByteBuffer data) {

        /**
         * @throws IllegalArgumentException if the dtype is unknown, or the data are not as many
         *     bytes as it and the shape need
         */
        public Entry {
            if (data.limit() != bytes(dtype, shape)) {
                throw new IllegalArgumentException(
                        String.format(
                                "tensor %s: %d bytes are no data of dtype %s and shape %s",
                                name, data.limit(), dtype, Arrays.toString(shape)));
            }
        }

        /** An f32 tensor; the values are copied. */
        public static Entry ofFloats(String name, long[] shape, float[] values) {
            ByteBuffer data =
                    ByteBuffer.allocate(Math.multiplyExact(values.length, Float.BYTES))
                            .order(ByteOrder.LITTLE_ENDIAN);
            data.asFloatBuffer().put(values);
            return new Entry(name, "F32", shape.clone(), data);
        }

        /** A tensor, in its own type. Waits for the device. */
        public static Entry of(String name, Tensor tensor) {
            byte[] bytes = new byte[Math.toIntExact(tensor.bytes())];
            tensor.device().backend().copyOut(tensor.address(), bytes);
            return new Entry(
                    name,
                    tensor.dtype().name(),
                    tensor.shape().toArray(),
                    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN));
        }

        /**
         * Whether {@link #copyTo} can fill a tensor; if not, in what they differ.
         *
         * @return such as {@code "is [2, 3] there, [2, 4] here"}
         */
        public Optional<String> difference(Tensor tensor) {
            if (!Arrays.equals(shape, tensor.shape().toArray())) {
                return Optional.of(
                        "is " + Arrays.toString(shape) + " there, " + tensor.shape() + " here");
            }
            return dtype.equals(tensor.dtype().name())
                    ? Optional.empty()
                    : Optional.of("is " + dtype + " there, " + tensor.dtype() + " here");
        }

        /**
         * Overwrites a tensor of the same shape and type, bit for bit.
         *
         * @throws JlatentException if shape or type differ
         */
        public void copyTo(Tensor tensor) {
            difference(tensor)
                    .ifPresent(
                            how -> {
                                throw new JlatentException("tensor " + name + " " + how);
                            });
            byte[] bytes = new byte[data.limit()];
            data.duplicate().rewind().get(bytes);
            tensor.device().backend().copyIn(bytes, tensor.address());
        }

        /**
         * The values of an F32 or BF16 tensor.
         *
         * @throws JlatentException if it is of another type
         */
        public float[] toFloats() {
            ByteBuffer little = data.duplicate().order(ByteOrder.LITTLE_ENDIAN).rewind();
            if (dtype.equals("F32")) {
                float[] values = new float[little.remaining() / Float.BYTES];
                little.asFloatBuffer().get(values);
                return values;
            }
            if (dtype.equals("BF16")) {
                float[] values = new float[little.remaining() / Short.BYTES];
                for (int i = 0; i < values.length; i++) {
                    values[i] = Float.intBitsToFloat(little.getShort() << 16);
                }
                return values;
            }
            throw new JlatentException(
                    "tensor " + name + " is " + dtype + ", F32 or BF16 is needed");
        }
    }

    /**
     * Writes all tensors, in this order.
     *
     * @param metadata strings kept in the header
     * @throws IllegalArgumentException if two tensors have one name, or the reserved {@code
     *     __metadata__}
     * @throws JlatentException if the file can't be written; what was there before stays
     */
    public static void write(Path file, List<Entry> tensors, Map<String, String> metadata) {
        ObjectNode header = JSON.createObjectNode();
        header.set(METADATA, JSON.valueToTree(metadata));
        long offset = 0;
        for (Entry tensor : tensors) {
            if (header.has(tensor.name)) {
                throw new IllegalArgumentException(
                        "the name " + tensor.name + " is taken: give the tensor another");
            }
            ObjectNode node = header.putObject(tensor.name);
            node.put("dtype", tensor.dtype);
            ArrayNode shape = node.putArray("shape");
            for (long extent : tensor.shape) {
                shape.add(extent);
            }
            int bytes = tensor.data.limit();
            node.putArray("data_offsets").add(offset).add(offset + bytes);
            offset += bytes;
        }
        AtomicFile.write(file, out -> write(out, header, tensors));
    }

    private static void write(OutputStream out, ObjectNode header, List<Entry> tensors)
            throws IOException {
        String json = JSON.writeValueAsString(header);
        int length = json.getBytes(StandardCharsets.UTF_8).length;
        byte[] padded =
                (json + " ".repeat((8 - length % 8) % 8))
                        .getBytes(StandardCharsets.UTF_8); // data is 8-aligned
        out.write(
                ByteBuffer.allocate(8)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putLong(padded.length)
                        .array());
        out.write(padded);
        WritableByteChannel channel = Channels.newChannel(out);
        for (Entry tensor : tensors) {
            channel.write(tensor.data.duplicate().rewind());
        }
    }

    /**
     * What a file holds.
     *
     * @param tensors by name, in the order of their data
     * @param metadata strings of the header
     */
    public record Contents(Map<String, Entry> tensors, Map<String, String> metadata) {}

    /**
     * All tensors by name, in the order of their data.
     *
     * @throws JlatentException if the file is missing, truncated or breaks the format
     */
    public static Map<String, Entry> read(Path file) {
        return readAll(file).tensors();
    }

    /**
     * The tensors and the metadata.
     *
     * @throws JlatentException if the file is missing, truncated or breaks the format
     */
    public static Contents readAll(Path file) {
        if (!Files.isRegularFile(file)) {
            throw new JlatentException(
                    file + (Files.exists(file) ? " is not a file" : " does not exist"));
        }
        try (FileChannel channel = FileChannel.open(file)) {
            long size = channel.size();
            long length = size < 8 ? -1 : little(channel, 0, 8).getLong();
            if (length < 2 || length > LARGEST_HEADER || length > size - 8) {
                throw damaged(
                        file,
                        size < 8
                                ? "it has " + size + " bytes"
                                : "its header claims " + length + " bytes");
            }
            byte[] header = new byte[(int) length];
            little(channel, 8, (int) length).get(header);
            if (header[0] != '{') {
                throw damaged(file, "its header is no JSON object");
            }
            JsonNode tree = JSON.readTree(header);
            return new Contents(
                    entries(file, tree, channel, 8 + length, size - 8 - length), metadata(tree));
        } catch (JsonProcessingException e) {
            throw damaged(file, "its header is not valid JSON: " + e.getOriginalMessage());
        } catch (IOException e) {
            throw new JlatentException("cannot read " + file + ": " + e.getMessage(), e);
        }
    }

    private static Map<String, String> metadata(JsonNode header) {
        Map<String, String> metadata = new LinkedHashMap<>();
        header.path(METADATA)
                .fields()
                .forEachRemaining(
                        field -> metadata.put(field.getKey(), field.getValue().textValue()));
        return metadata;
    }

    private record Placed(String name, String dtype, long[] shape, long begin, long end) {}

    private static Map<String, Entry> entries(
            Path file, JsonNode header, FileChannel channel, long start, long bytes)
            throws IOException {
        JsonNode metadata = header.path(METADATA);
        boolean strings = metadata.isMissingNode() || metadata.isObject();
        for (JsonNode value : metadata) {
            strings &= value.isTextual();
        }
        if (!strings) {
            throw damaged(file, METADATA + " is no object of strings");
        }
        List<Placed> placed = new ArrayList<>();
        header.fields()
                .forEachRemaining(
                        field -> {
                            if (!field.getKey().equals(METADATA)) {
                                placed.add(place(file, field.getKey(), field.getValue()));
                            }
                        });
        placed.sort(Comparator.comparingLong(Placed::begin).thenComparingLong(Placed::end));
        Map<String, Entry> entries = new LinkedHashMap<>();
        long expected = 0;
        for (Placed p : placed) {
            if (p.begin != expected || p.end < p.begin) {
                throw damaged(
                        file, "tensor " + p.name + " does not begin where the one before ends");
            }
            if (p.end > bytes) {
                throw damaged(
                        file,
                        "it is truncated: tensor "
                                + p.name
                                + " ends at byte "
                                + p.end
                                + " of "
                                + bytes);
            }
            if (p.end - p.begin > Integer.MAX_VALUE) {
                throw damaged(file, "tensor " + p.name + " is larger than 2 GiB");
            }
            entries.put(
                    p.name,
                    new Entry(
                            p.name,
                            p.dtype,
                            p.shape,
                            little(channel, start + p.begin, (int) (p.end - p.begin))));
            expected = p.end;
        }
        if (expected != bytes) {
            throw damaged(file, (bytes - expected) + " bytes at its end belong to no tensor");
        }
        return entries;
    }

    private static Placed place(Path file, String name, JsonNode node) {
        String dtype = node.path("dtype").asText();
        JsonNode extents = node.path("shape");
        JsonNode offsets = node.path("data_offsets");
        if (!BYTES.containsKey(dtype)
                || !extents.isArray()
                || !offsets.isArray()
                || offsets.size() != 2) {
            throw damaged(file, "tensor " + name + " has no known dtype, shape and data_offsets");
        }
        long[] shape = new long[extents.size()];
        for (int i = 0; i < shape.length; i++) {
            shape[i] = whole(extents.get(i));
        }
        long bytes = bytes(dtype, shape);
        long begin = whole(offsets.get(0));
        long end = whole(offsets.get(1));
        if (begin < 0 || bytes < 0 || end - begin != bytes) {
            throw damaged(
                    file, "tensor " + name + " has a shape that does not fit its data_offsets");
        }
        return new Placed(name, dtype, shape, begin, end);
    }

    /** A size or offset of the header, -1 unless it is a whole number from 0 to 2^63 - 1. */
    private static long whole(JsonNode number) {
        return number.isIntegralNumber() && number.canConvertToLong()
                ? Math.max(-1, number.longValue())
                : -1;
    }

    /**
     * Bytes of a tensor; -1 if the dtype is unknown, an extent negative or the product too large.
     */
    private static long bytes(String dtype, long[] shape) {
        if (!BYTES.containsKey(dtype)) {
            return -1;
        }
        long bytes = BYTES.get(dtype);
        for (long extent : shape) {
            if (extent < 0 || (extent > 0 && bytes > Long.MAX_VALUE / extent)) {
                return -1;
            }
            bytes *= extent;
        }
        return bytes;
    }

    private static ByteBuffer little(FileChannel channel, long position, int count)
            throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(count).order(ByteOrder.LITTLE_ENDIAN);
        while (buffer.hasRemaining()) {
            if (channel.read(buffer, position + buffer.position()) < 0) {
                throw new IOException("unexpected end of file");
            }
        }
        return buffer.flip();
    }

    private static JlatentException damaged(Path file, String how) {
        return new JlatentException(file + " is not a valid safetensors file: " + how);
    }
}
