package org.jlatent.data;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jlatent.JlatentException;
import org.jlatent.io.Npy;

/**
 * Data sets by name or path.
 *
 * <p>Names: {@code sprites} is generated; {@code mnist}, {@code binarized-mnist}, {@code
 * fashion-mnist}, {@code omniglot} and {@code cifar10} are looked for in a folder of that name (or
 * {@code omniglot-105}, {@code cifar10-jpeg}) in {@code $JLATENT_DATA}, then in {@code
 * ~/.cache/jlatent/data} ({@code $XDG_CACHE_HOME} is honoured), and are downloaded to there,
 * checked against their published checksums, if they are in neither; all but {@code
 * binarized-mnist}. The system property {@code jlatent.data.address.NAME} gives another address,
 * ending with a slash.
 *
 * <p>A path is one of
 *
 * <ul>
 *   <li>a folder with {@code train-images-idx3-ubyte}, {@code test-} or {@code t10k-} and perhaps
 *       {@code valid-}, each plain or {@code .gz}, with {@code -labels-idx1-ubyte} where there are
 *       labels; or one such file of images;
 *   <li>OMNIGLOT: the folder of {@code images_background} and {@code images_evaluation}, each a
 *       folder or {@code .zip};
 *   <li>CIFAR-10's binary version: the folder of {@code data_batch_1.bin} and so on, or the
 *       official archive;
 *   <li>a folder, or a {@code .tar}, {@code .tar.gz}, {@code .tgz} or {@code .zip} archive, of PNG
 *       and JPEG images. Top folders {@code train}, {@code valid} (or {@code val}) and {@code test}
 *       are the splits ({@code valid} alone serves for testing), folders below them the classes,
 *       numbered in the order of their names. Without such folders a tenth of the images, drawn
 *       with a fixed seed, is for testing. Values are the file's divided by its largest (255, or
 *       65535 at 16 bits); alpha is dropped; grey stays grey;
 *   <li>the same of wav clips (PCM of 8, 16, 24 and 32 bits, and float): images of height 1 whose
 *       width is the number of samples, values in [-1, 1];
 *   <li>an {@code .npy} file, [images, height, width] or [images, height, width, channels]: u1,
 *       divided by 255 unless all are zeros and ones, or f4 or f8, taken as they are;
 *   <li>a folder that holds one archive and nothing else of these.
 * </ul>
 *
 * <p>Of a single idx or npy file the last tenth is for testing. Files are decoded when the set is
 * opened, on all cores; images are kept in memory, a byte a value (npy floats and clips: four). A
 * set that does not fit is a {@link DataException}, as is every damaged file, by its name, and
 * images of different sizes unless {@link DataOptions} make them equal.
 */
public final class Datasets {
    static final int HELD_OUT = 10; // where there are no splits, every tenth is for testing

    private static final String SPRITES = "sprites";

    private Datasets() {}

    /**
     * Images as they are.
     *
     * @throws DataException if there is no such data set, or it is damaged
     */
    public static Splits open(String nameOrPath) {
        return open(nameOrPath, DataOptions.defaults());
    }

    /**
     * Images as {@code options} want them. What they change from epoch to epoch is left to {@link
     * Splits#augmentation}, which {@code Trainer.data(splits)} takes over.
     *
     * @throws DataException if there is no such data set, it is damaged, or an option does not fit
     *     it
     */
    public static Splits open(String nameOrPath, DataOptions options) {
        return open(nameOrPath, options, NamedSet.Places.ofUser());
    }

    static Splits open(String nameOrPath, DataOptions options, NamedSet.Places places) {
        Splits splits = find(nameOrPath, options, places);
        return new Splits(
                options.forTraining(splits.train()),
                splits.validation().map(options::forTesting),
                options.forTesting(splits.test()),
                options.augmentation());
    }

    /** Whether {@link #open} takes {@code text} for the name of a data set, not for a path. */
    public static boolean isName(String text) {
        return text.equals(SPRITES) || NamedSet.of(text).isPresent();
    }

    private static Splits find(String nameOrPath, DataOptions options, NamedSet.Places places) {
        if (nameOrPath.equals(SPRITES)) {
            return Views.of(Sprites.splits(), options);
        }
        Optional<NamedSet> named = NamedSet.of(nameOrPath);
        if (named.isPresent()) {
            Path folder = named.get().folder(places);
            return folder(nameOrPath, folder, options);
        }
        Path path = Path.of(nameOrPath);
        String name = Objects.toString(path.getFileName(), nameOrPath);
        if (!nameOrPath.isBlank() && Files.isDirectory(path)) {
            return folder(name, path, options);
        }
        if (Files.isRegularFile(path)) {
            if (Entries.isArchive(path)) {
                return files(name, path, options);
            }
            boolean npy = name.toLowerCase(Locale.ROOT).endsWith(".npy");
            StoredImages all = npy ? npy(name, path) : Idx.stored(name, path, null);
            return Views.of(lastTenth(path, all), options);
        }
        throw new DataException(
                "there is no data set or file '"
                        + nameOrPath
                        + "'; names are sprites, "
                        + NamedSet.names()
                        + ", and paths an idx or npy file, or a folder or archive (tar, tar.gz, zip)"
                        + " of idx files, images or wav clips");
    }

    private static Splits folder(String name, Path folder, DataOptions options) {
        if (find(folder, "train-images-idx3-ubyte").isPresent()) {
            return Views.of(idx(name, folder), options);
        }
        if (name.equals(Omniglot.NAME) || Omniglot.isIn(folder)) {
            return Omniglot.open(folder, options);
        }
        List<Path> archives = archives(folder);
        return files(name, archives.size() == 1 ? archives.get(0) : folder, options);
    }

    /** Of a folder that holds nothing else but remarks. */
    private static List<Path> archives(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(Files::isRegularFile).filter(Entries::isArchive).toList();
        } catch (IOException e) {
            throw new DataException("cannot read " + folder + ": " + e.getMessage(), e);
        }
    }

    private static Splits files(String name, Path source, DataOptions options) {
        Optional<Splits> cifar = CifarBinary.open(name, source);
        return cifar.isPresent()
                ? Views.of(cifar.get(), options)
                : FileSet.open(name, source, options);
    }

    private static Splits idx(String name, Path folder) {
        ImageSet train = images(name, folder, "train").orElseThrow();
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

    /** A file, plain or gzipped. */
    static Optional<Path> find(Path folder, String file) {
        return Stream.of(folder.resolve(file), folder.resolve(file + ".gz"))
                .filter(Files::exists)
                .findFirst();
    }

    private static StoredImages npy(String name, Path file) {
        new Memory(file.toString()).take(2 * file.toFile().length());
        Npy.Array array;
        try {
            array = Npy.read(file);
        } catch (JlatentException e) {
            throw new DataException(e.getMessage(), e);
        }
        int[] shape = array.shape();
        if (shape.length < 3 || shape.length > 4 || array.size() == 0) {
            throw new DataException(
                    file
                            + " holds no images: its shape is "
                            + Arrays.toString(shape)
                            + ", not [images, height, width] or [images, height, width, channels]");
        }
        int channels = shape.length == 3 ? 1 : shape[3];
        ImageShape image = new ImageShape(shape[1], shape[2], channels);
        int dims = image.values();
        if (array.type() == Npy.Type.I4 || array.type() == Npy.Type.I8) {
            throw new DataException(file + " holds images of i4 or i8; save them as u1 or f4");
        }
        if (array.type() == Npy.Type.U1) {
            byte[] pixels = new byte[array.size()];
            array.data().get(0, pixels);
            return StoredImages.ofBytes(name, shape[0], image, pixels, null);
        }
        Object[] rows = new Object[shape[0]];
        for (int i = 0; i < rows.length; i++) {
            float[] row = new float[dims];
            for (int j = 0; j < dims; j++) {
                row[j] = array.value(i * dims + j);
                if (!Float.isFinite(row[j])) {
                    throw new DataException(
                            file + " holds a value that is not finite, in image " + i);
                }
            }
            rows[i] = row;
        }
        return new StoredImages(name, image, rows, null);
    }

    private static Splits lastTenth(Path file, StoredImages all) {
        int test = Math.max(1, all.size() / HELD_OUT);
        if (all.size() <= test) {
            throw new DataException(
                    file
                            + " holds "
                            + all.size()
                            + " image; at least 2 are needed to train and test");
        }
        int[] order = IntStream.range(0, all.size()).toArray();
        return new Splits(
                all.pick(order, 0, all.size() - test),
                Optional.empty(),
                all.pick(order, all.size() - test, all.size()));
    }
}
