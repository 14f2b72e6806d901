package org.jlatent.data;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * CIFAR-10's binary version: {@code data_batch_1.bin} to {@code data_batch_5.bin} and {@code
 * test_batch.bin}, in a folder or the official archive. A record is the class and 32x32 bytes each
 * of red, green and blue.
 */
final class CifarBinary {
    private static final int SIDE = 32;
    private static final int PLANE = SIDE * SIDE;
    private static final int RECORD = 1 + 3 * PLANE;

    private record Batch(List<Object> rows, List<Integer> labels) {}

    private CifarBinary() {}

    static boolean isBatch(String path) {
        return path.matches("(.*/)?(data_batch_\\d|test_batch)\\.bin");
    }

    /**
     * @return empty if there is no such file in {@code source}
     * @throws DataException if one is damaged or missing
     */
    static Optional<Splits> open(String name, Path source) {
        Memory memory = new Memory(source.toString());
        Map<String, Batch> batches = new TreeMap<>();
        Entries.visit(
                source,
                CifarBinary::isBatch,
                entry -> {
                    byte[] bytes = entry.bytes();
                    memory.take(bytes.length);
                    String file = entry.path().substring(entry.path().lastIndexOf('/') + 1);
                    if (batches.put(file, batch(entry, bytes)) != null) {
                        throw new DataException(source + " holds " + file + " twice");
                    }
                });
        if (batches.isEmpty()) {
            return Optional.empty();
        }
        Batch test = batches.remove("test_batch.bin");
        if (test == null || batches.isEmpty()) {
            throw new DataException(
                    source
                            + " holds no "
                            + (test == null ? "test_batch.bin" : "data_batch_1.bin")
                            + ": CIFAR-10 needs data_batch_1.bin to data_batch_5.bin and"
                            + " test_batch.bin");
        }
        return Optional.of(
                new Splits(
                        set(name, List.copyOf(batches.values())),
                        Optional.empty(),
                        set(name, List.of(test))));
    }

    private static Batch batch(Entries.Entry entry, byte[] bytes) {
        if (bytes.length == 0 || bytes.length % RECORD != 0) {
            throw new DataException(
                    entry.name()
                            + " is truncated or no CIFAR-10 batch: it has "
                            + bytes.length
                            + " bytes, no multiple of "
                            + RECORD);
        }
        List<Object> rows = new ArrayList<>();
        List<Integer> labels = new ArrayList<>();
        for (int start = 0; start < bytes.length; start += RECORD) {
            int label = bytes[start] & 0xff;
            if (label > 9) {
                throw new DataException(
                        entry.name()
                                + " is damaged: image "
                                + start / RECORD
                                + " has class "
                                + label
                                + " of 0 to 9");
            }
            byte[] row = new byte[3 * PLANE];
            for (int i = 0; i < PLANE; i++) {
                for (int c = 0; c < 3; c++) {
                    row[3 * i + c] = bytes[start + 1 + c * PLANE + i];
                }
            }
            rows.add(row);
            labels.add(label);
        }
        return new Batch(rows, labels);
    }

    private static StoredImages set(String name, List<Batch> batches) {
        return new StoredImages(
                name,
                new ImageShape(SIDE, SIDE, 3),
                batches.stream().flatMap(b -> b.rows.stream()).toArray(),
                batches.stream().flatMap(b -> b.labels.stream()).mapToInt(i -> i).toArray());
    }
}
