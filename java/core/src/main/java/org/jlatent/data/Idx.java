package org.jlatent.data;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.IntStream;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;

/**
 * Reads MNIST's idx files of unsigned bytes, plain or gzipped (a name that ends in {@code .gz}):
 * big-endian magic number 2051 (images) or 2049 (labels), the extents, the bytes.
 */
public final class Idx {
    private static final int IMAGES = 2051;
    private static final int LABELS = 2049;

    private Idx() {}

    /**
     * Grey images. A file of zeros and ones is read as such, any other is divided by 255.
     *
     * @param labels the file of their classes, or null
     * @throws DataException if a file is missing, empty, damaged, of another kind, or the counts
     *     differ
     */
    public static ImageSet images(String name, Path file, Path labels) {
        return stored(name, file, labels);
    }

    static StoredImages stored(String name, Path file, Path labels) {
        Content images = read(file, IMAGES, 3);
        int[] classes = null;
        if (labels != null) {
            byte[] bytes = read(labels, LABELS, 1).bytes;
            if (bytes.length != images.extents[0]) {
                throw new DataException(
                        labels
                                + " has "
                                + bytes.length
                                + " labels, "
                                + file
                                + " has "
                                + images.extents[0]
                                + " images");
            }
            classes = IntStream.range(0, bytes.length).map(i -> bytes[i] & 0xff).toArray();
        }
        return StoredImages.ofBytes(
                name,
                images.extents[0],
                new ImageShape(images.extents[1], images.extents[2], 1),
                images.bytes,
                classes);
    }

    private record Content(int[] extents, byte[] bytes) {}

    private static Content read(Path file, int magic, int rank) {
        if (!Files.isRegularFile(file)) {
            throw new DataException(
                    file + (Files.exists(file) ? " is not a file" : " does not exist"));
        }
        try (InputStream raw = new BufferedInputStream(Files.newInputStream(file));
                DataInputStream in =
                        new DataInputStream(
                                file.toString().endsWith(".gz")
                                        ? new GZIPInputStream(raw, 1 << 16)
                                        : raw)) {
            int found = in.readInt();
            if (found != magic) {
                throw new DataException(
                        String.format(
                                "%s is not an idx file of %s: its magic number is 0x%08x, not 0x%08x",
                                file, magic == IMAGES ? "images" : "labels", found, magic));
            }
            int[] extents = new int[rank];
            long size = 1;
            for (int i = 0; i < rank; i++) {
                extents[i] = in.readInt();
                size =
                        extents[i] < 0 || size > Integer.MAX_VALUE
                                ? Long.MAX_VALUE
                                : size * extents[i];
            }
            if (size > Integer.MAX_VALUE - 8) {
                throw new DataException(
                        file + " claims more bytes than can be held: its header is damaged");
            }
            if (size == 0) {
                throw new DataException(
                        file
                                + " holds no "
                                + (magic == IMAGES ? "images" : "labels")
                                + ": its sizes are "
                                + Arrays.toString(extents));
            }
            new Memory(file.toString()).take(3 * size); // growing buffer, array, images
            byte[] bytes = atMost((int) size, in);
            if (bytes.length < size) {
                throw new DataException(
                        file
                                + " is truncated: "
                                + size
                                + " bytes announced, "
                                + bytes.length
                                + " there");
            }
            if (in.read() >= 0) {
                throw new DataException(file + " has bytes after the " + size + " it announces");
            }
            return new Content(extents, bytes);
        } catch (EOFException e) {
            throw new DataException(
                    file
                            + (file.toFile().length() == 0
                                    ? " is empty"
                                    : " is truncated: its header alone needs "
                                            + (4 + 4 * rank)
                                            + " bytes"),
                    e);
        } catch (ZipException e) {
            throw new DataException(file + " is not a valid gzip file: " + e.getMessage(), e);
        } catch (IOException e) {
            throw new DataException("cannot read " + file + ": " + e.getMessage(), e);
        }
    }

    /** The next {@code size} bytes, or what there is of them, also of a gzip stream cut short. */
    private static byte[] atMost(int size, InputStream in) throws IOException {
        // Grows as bytes arrive: a damaged header may announce gigabytes.
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        byte[] chunk = new byte[1 << 16];
        try {
            int count = 0;
            while (count >= 0 && bytes.size() < size) {
                bytes.write(chunk, 0, count);
                count = in.read(chunk, 0, Math.min(chunk.length, size - bytes.size()));
            }
        } catch (EOFException e) {
            // GZIPInputStream throws where another stream returns -1
        }
        return bytes.toByteArray();
    }
}
