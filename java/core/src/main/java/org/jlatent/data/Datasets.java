package org.jlatent.data;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Data sets by name or path. {@code sprites} is generated; {@code mnist} and {@code
 * binarized-mnist} are folders of idx files in {@code $JLATENT_DATA}; a path is such a folder, or
 * one idx file.
 */
public final class Datasets {
    private static final int HELD_OUT = 10; // of a single file, every tenth part is the test set

    private static final List<String> IN_DATA_FOLDER = List.of("mnist", "binarized-mnist");

    private Datasets() {}

    /**
     * @throws DataException if there is no such data set, or it is damaged
     */
    public static Splits open(String nameOrPath) {
        return open(nameOrPath, System.getenv("JLATENT_DATA"));
    }

    static Splits open(String nameOrPath, String root) {
        if (nameOrPath.equals("sprites")) {
            return Sprites.splits();
        }
        if (IN_DATA_FOLDER.contains(nameOrPath)) {
            if (root == null || root.isBlank()) {
                throw new DataException(
                        "data set '"
                                + nameOrPath
                                + "' is looked for in $JLATENT_DATA, which is not set: set it to the"
                                + " folder that holds "
                                + nameOrPath);
            }
            Path folder = Path.of(root, nameOrPath);
            if (!Files.isDirectory(folder)) {
                throw new DataException(
                        "data set '"
                                + nameOrPath
                                + "' was looked for in "
                                + folder
                                + ", which is no folder: is JLATENT_DATA right?");
            }
            return folder(nameOrPath, folder);
        }
        Path path = Path.of(nameOrPath);
        if (!nameOrPath.isBlank() && Files.isDirectory(path)) {
            return folder(Objects.toString(path.getFileName(), nameOrPath), path);
        }
        if (Files.isRegularFile(path)) {
            return file(path);
        }
        throw new DataException(
                "there is no data set or file '"
                        + nameOrPath
                        + "'; names are sprites, "
                        + String.join(", ", IN_DATA_FOLDER)
                        + " (these in the folder that JLATENT_DATA is set to), and paths a folder of"
                        + " idx files or one of them");
    }

    private static Splits folder(String name, Path folder) {
        ImageSet train =
                images(name, folder, "train")
                        .orElseThrow(
                                () ->
                                        new DataException(
                                                folder
                                                        + " holds no train-images-idx3-ubyte or train-images-idx3-ubyte.gz"));
        ImageSet test =
                Stream.of("test", "t10k")
                        .flatMap(split -> images(name, folder, split).stream())
                        .findFirst()
                        .orElseThrow(
                                () ->
                                        new DataException(
                                                folder
                                                        + " holds no test-images-idx3-ubyte or t10k-images-idx3-ubyte, plain or .gz"));
        Optional<ImageSet> validation = images(name, folder, "valid");
        checkSize(folder, train, test);
        validation.ifPresent(images -> checkSize(folder, train, images));
        return new Splits(train, validation, test);
    }

    private static void checkSize(Path folder, ImageSet train, ImageSet other) {
        if (train.height() != other.height() || train.width() != other.width()) {
            throw new DataException(
                    folder
                            + " holds images of different sizes: "
                            + train.height()
                            + "x"
                            + train.width()
                            + " and "
                            + other.height()
                            + "x"
                            + other.width());
        }
    }

    private static Optional<ImageSet> images(String name, Path folder, String split) {
        return find(folder, split + "-images-idx3-ubyte")
                .map(
                        file ->
                                Idx.images(
                                        name,
                                        file,
                                        find(folder, split + "-labels-idx1-ubyte").orElse(null)));
    }

    private static Optional<Path> find(Path folder, String file) {
        return Stream.of(folder.resolve(file), folder.resolve(file + ".gz"))
                .filter(Files::exists)
                .findFirst();
    }

    private static Splits file(Path file) {
        ImageSet all = Idx.images(file.getFileName().toString(), file, null);
        int test = Math.max(1, all.size() / HELD_OUT);
        if (all.size() <= test) {
            throw new DataException(
                    file
                            + " holds "
                            + all.size()
                            + " image; at least 2 are needed to train and test");
        }
        return new Splits(
                all.range(0, all.size() - test),
                Optional.empty(),
                all.range(all.size() - test, all.size()));
    }
}
