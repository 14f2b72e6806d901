package org.jlatent.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jlatent.JlatentException;

/**
 * NumPy's {@code .npy} files, versions 1 to 3, in C order: u1, and little-endian i4, i8, f4 and f8.
 * A file of more than 2 GiB is an error.
 */
public final class Npy {
    private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
    private static final int ALIGNMENT = 64; // of the data, as NumPy writes it
    private static final Pattern HEADER =
            Pattern.compile(
                    "\\{\\s*'descr':\\s*'([^']*)',\\s*'fortran_order':\\s*(True|False),"
                            + "\\s*'shape':\\s*\\(([\\d\\s,]*)\\),?\\s*\\}\\s*");

    private Npy() {}

    /** Of an element. */
    public enum Type {
        U1("|u1", 1),
        I4("<i4", 4),
        I8("<i8", 8),
        F4("<f4", 4),
        F8("<f8", 8);

        private final String descr;
        private final int bytes;

        Type(String descr, int bytes) {
            this.descr = descr;
            this.bytes = bytes;
        }
    }

    /**
     * A file's contents.
     *
     * @param shape extents, slowest first; empty for a single value
     * @param data the elements in C order, little-endian
     */
    public record Array(Type type, int[] shape, ByteBuffer data) {
        /** How many elements there are. */
        public int size() {
            return data.limit() / type.bytes;
        }

        /**
         * Element {@code index} in C order; f8 and integers beyond 2^24 are rounded to f4.
         *
         * @throws IndexOutOfBoundsException unless it is from 0 to {@link #size} - 1
         */
        public float value(int index) {
            return switch (type) {
                case U1 -> data.get(index) & 0xff;
                case I4 -> data.getInt(4 * index);
                case I8 -> data.getLong(8 * index);
                case F4 -> data.getFloat(4 * index);
                case F8 -> (float) data.getDouble(8 * index);
            };
        }

        /**
         * Element {@code index} of integers, u1, i4 or i8.
         *
         * @throws IllegalStateException if they are none
         */
        public long integer(int index) {
            return switch (type) {
                case U1 -> data.get(index) & 0xff;
                case I4 -> data.getInt(4 * index);
                case I8 -> data.getLong(8 * index);
                default -> throw new IllegalStateException(type + " are no integers");
            };
        }

        /** All elements, as {@link #value} gives them. */
        public float[] toFloats() {
            float[] values = new float[size()];
            for (int i = 0; i < values.length; i++) {
                values[i] = value(i);
            }
            return values;
        }
    }

    /**
     * Reads a file whole.
     *
     * @throws JlatentException if it is missing, damaged, of another type or in Fortran order
     */
    public static Array read(Path file) {
        byte[] all = bytes(file);
        ByteBuffer bytes = ByteBuffer.wrap(all).order(ByteOrder.LITTLE_ENDIAN);
        if (all.length < 10 || !Arrays.equals(Arrays.copyOf(all, MAGIC.length), MAGIC)) {
            throw new JlatentException(file + " is not an npy file");
        }
        int version = bytes.get(6);
        if (version < 1 || version > 3) {
            throw new JlatentException(
                    file + " is of npy version " + version + "; versions 1 to 3 are read");
        }
        int start = version == 1 ? 10 : 12;
        long length =
                version == 1
                        ? bytes.getShort(8) & 0xffff
                        : bytes.limit() < 12 ? Long.MAX_VALUE : bytes.getInt(8) & 0xffffffffL;
        if (length > bytes.limit() - start) {
            throw new JlatentException(file + " is truncated within its header");
        }
        String text = new String(all, start, (int) length, StandardCharsets.UTF_8).strip();
        Matcher header = HEADER.matcher(text);
        if (!header.matches()) {
            throw new JlatentException(
                    file
                            + " has an npy header that cannot be read: "
                            + text.substring(0, Math.min(text.length(), 100)));
        }
        Type type = type(file, header.group(1));
        if (header.group(2).equals("True")) {
            throw new JlatentException(
                    file + " is in Fortran order; save it with numpy.ascontiguousarray");
        }
        int[] shape = shape(file, header.group(3));
        long size = type.bytes;
        for (int extent : shape) {
            size = Math.min(Integer.MAX_VALUE + 1L, size * extent);
        }
        int there = bytes.limit() - start - (int) length;
        if (size != there) {
            throw new JlatentException(
                    file
                            + (there < size ? " is truncated: " : " has bytes too many: ")
                            + header.group(1)
                            + " of shape "
                            + Arrays.toString(shape)
                            + " does not take "
                            + there
                            + " bytes");
        }
        ByteBuffer data = bytes.slice(start + (int) length, there);
        return new Array(type, shape, data.order(ByteOrder.LITTLE_ENDIAN));
    }

    private static byte[] bytes(Path file) {
        try {
            if (Files.size(file) > Integer.MAX_VALUE - 8) {
                throw new JlatentException(file + " is larger than the 2 GiB that can be read");
            }
            return Files.readAllBytes(file);
        } catch (NoSuchFileException e) {
            throw new JlatentException(file + " does not exist", e);
        } catch (IOException e) {
            throw new JlatentException(
                    file
                            + (Files.isDirectory(file)
                                    ? " is a folder"
                                    : " cannot be read: " + e.getMessage()),
                    e);
        }
    }

    private static Type type(Path file, String descr) {
        return Arrays.stream(Type.values())
                .filter(type -> type.descr.equals(descr))
                .findFirst()
                .orElseThrow(
                        () ->
                                new JlatentException(
                                        file
                                                + " holds elements of type '"
                                                + descr
                                                + "'; |u1, <i4, <i8, <f4 and <f8 are read: convert it"
                                                + " with numpy.astype"));
    }

    private static int[] shape(Path file, String text) {
        try {
            return Arrays.stream(text.split(","))
                    .map(String::strip)
                    .filter(part -> !part.isEmpty())
                    .mapToInt(Integer::parseInt)
                    .toArray();
        } catch (NumberFormatException e) {
            throw new JlatentException(file + " has a shape that cannot be read: " + text, e);
        }
    }

    /**
     * Writes f4.
     *
     * @throws IllegalArgumentException if {@code shape} is not that of as many values
     * @throws JlatentException if the file cannot be written
     */
    public static void write(Path file, float[] values, int... shape) {
        byte[] header = header(Type.F4, values.length, shape);
        byte[] all = Arrays.copyOf(header, header.length + 4 * values.length);
        data(all, header.length).asFloatBuffer().put(values);
        AtomicFile.write(file, out -> out.write(all));
    }

    /**
     * Writes i4.
     *
     * @throws IllegalArgumentException if {@code shape} is not that of as many values
     * @throws JlatentException if the file cannot be written
     */
    public static void write(Path file, int[] values, int... shape) {
        byte[] header = header(Type.I4, values.length, shape);
        byte[] all = Arrays.copyOf(header, header.length + 4 * values.length);
        data(all, header.length).asIntBuffer().put(values);
        AtomicFile.write(file, out -> out.write(all));
    }

    private static ByteBuffer data(byte[] file, int start) {
        return ByteBuffer.wrap(file, start, file.length - start).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** What stands before the data, filled up with spaces. */
    private static byte[] header(Type type, int count, int[] shape) {
        long size = 1;
        for (int extent : shape) {
            size = extent < 0 || size < 0 ? -1 : Math.multiplyExact(size, extent);
        }
        if (size != count) {
            throw new IllegalArgumentException(
                    count + " values are not of shape " + Arrays.toString(shape));
        }
        String extents =
                IntStream.of(shape).mapToObj(Integer::toString).collect(Collectors.joining(", "));
        String text =
                "{'descr': '"
                        + type.descr
                        + "', 'fortran_order': False, 'shape': ("
                        + extents
                        + (shape.length == 1 ? ",), }" : "), }");
        int start = (10 + text.length() + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        byte[] bytes = new byte[start];
        Arrays.fill(bytes, (byte) ' ');
        ByteBuffer header = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        header.put(MAGIC).put((byte) 1).put((byte) 0).putShort((short) (start - 10));
        header.put(text.getBytes(StandardCharsets.US_ASCII));
        bytes[start - 1] = '\n';
        return bytes;
    }
}
