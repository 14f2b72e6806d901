package org.jlatent.data;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;

/**
 * Handwritten characters of 50 alphabets, 105x105 [Lake et al. 2015]. Strokes are 1 on 0, the
 * reverse of the files; the background alphabets are for training, the evaluation ones for testing;
 * a character is a class.
 */
final class Omniglot {
    static final String NAME = "omniglot";

    private Omniglot() {}

    /** Whether it is this set, whatever the folder is called. */
    static boolean isIn(Path folder) {
        return Datasets.find(folder, "background-images-idx3-ubyte").isPresent()
                || source(folder, "images_background").isPresent();
    }

    /**
     * @param folder holds {@code images_background} and {@code images_evaluation} as folders or zip
     *     archives, or {@code background-images-idx3-ubyte.gz} and so on with {@code
     *     background-names.txt.gz}
     * @throws DataException if a part is missing or damaged
     */
    static Splits open(Path folder, DataOptions options) {
        if (Datasets.find(folder, "background-images-idx3-ubyte").isPresent()) {
            return Views.of(splits(idx(folder, "background"), idx(folder, "evaluation")), options);
        }
        return splits(
                files(folder, "images_background", options),
                files(folder, "images_evaluation", options));
    }

    private static Splits splits(StoredImages train, StoredImages test) {
        int classes = 1;
        for (int i = 0; i < train.size(); i++) {
            classes = Math.max(classes, 1 + train.label(i).orElse(-1));
        }
        int first = classes; // other characters than those of the background set
        int[] labels =
                test.labels() == null
                        ? null
                        : IntStream.of(test.labels()).map(c -> c < 0 ? c : first + c).toArray();
        return new Splits(train.inverted(), Optional.empty(), test.withLabels(labels).inverted());
    }

    private static StoredImages files(Path folder, String part, DataOptions options) {
        Path source =
                source(folder, part)
                        .orElseThrow(
                                () ->
                                        new DataException(
                                                folder
                                                        + " holds no "
                                                        + part
                                                        + ", as a folder or .zip"));
        return FileSet.openAll(NAME, source, options);
    }

    private static Optional<Path> source(Path folder, String part) {
        return Stream.of(folder.resolve(part), folder.resolve(part + ".zip"))
                .filter(Files::exists)
                .findFirst();
    }

    private static StoredImages idx(Path folder, String part) {
        Path file =
                Datasets.find(folder, part + "-images-idx3-ubyte")
                        .orElseThrow(
                                () ->
                                        new DataException(
                                                folder
                                                        + " holds no "
                                                        + part
                                                        + "-images-idx3-ubyte, plain or .gz"));
        StoredImages images = Idx.stored(NAME, file, null);
        Optional<Path> names = Datasets.find(folder, part + "-names.txt");
        return names.isPresent() ? images.withLabels(labels(names.get(), images.size())) : images;
    }

    /** Lines {@code alphabet/character/drawing}, one an image: each folder is a class. */
    private static int[] labels(Path file, int count) {
        try (InputStream raw = Files.newInputStream(file);
                BufferedReader in =
                        new BufferedReader(
                                new InputStreamReader(
                                        file.toString().endsWith(".gz")
                                                ? new GZIPInputStream(raw)
                                                : raw,
                                        StandardCharsets.UTF_8))) {
            List<String> lines = in.lines().toList();
            if (lines.size() != count) {
                throw new DataException(
                        file + " names " + lines.size() + " images, there are " + count);
            }
            Map<String, Integer> classes = new HashMap<>();
            int[] labels = new int[count];
            for (int i = 0; i < count; i++) {
                String line = lines.get(i);
                String character = line.substring(0, Math.max(0, line.lastIndexOf('/')));
                labels[i] = classes.computeIfAbsent(character, key -> classes.size());
            }
            return labels;
        } catch (IOException | UncheckedIOException e) {
            throw new DataException(file + " cannot be read: " + e.getMessage(), e);
        }
    }
}
