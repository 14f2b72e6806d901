package org.jlatent.data;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * Opens a folder or archive of PNG and JPEG images, or of wav clips: a file each, its folder its
 * class. All are decoded at once, on all cores.
 */
final class FileSet {

    private static final int OVERHEAD = 500; // bytes an image takes besides its values

    private static final List<String> TRAIN = List.of("train", "training");
    private static final List<String> VALID = List.of("valid", "validation", "val");
    private static final List<String> TEST = List.of("test", "testing");

    /** One file, decoded; {@code rate} is 0 for images. */
    private record Item(
            String path, String name, int height, int width, int channels, float rate, Object row) {
        String folder() {
            return path.substring(0, Math.max(0, path.lastIndexOf('/')));
        }

        String size() {
            return height + "x" + width;
        }
    }

    private final Path source;
    private final DataOptions options;
    private final Memory memory;

    private FileSet(Path source, DataOptions options) {
        this.source = source;
        this.options = options;
        this.memory = new Memory(source.toString());
    }

    static boolean isImage(String path) {
        return path.toLowerCase(Locale.ROOT).matches(".*\\.(png|jpe?g)");
    }

    static boolean isClip(String path) {
        return path.toLowerCase(Locale.ROOT).endsWith(".wav");
    }

    /**
     * The splits of the top folders train, valid and test; where there are none, a tenth of all is
     * for testing, drawn with a fixed seed.
     *
     * @throws DataException if a file is damaged, or images differ in size or channels
     */
    static Splits open(String name, Path source, DataOptions options) {
        List<Item> items = withoutCommonFolder(new FileSet(source, options).decode());
        checkAlike(items);
        checkKind(name, items.get(0), options);
        Map<String, List<Item>> tops = new TreeMap<>();
        for (Item item : items) {
            int slash = item.path.indexOf('/');
            String top = slash < 0 ? "" : item.path.substring(0, slash).toLowerCase(Locale.ROOT);
            tops.computeIfAbsent(top, key -> new ArrayList<>()).add(item);
        }
        Optional<List<Item>> train = split(tops, TRAIN);
        Optional<List<Item>> valid = split(tops, VALID);
        Optional<List<Item>> test = split(tops, TEST);
        if (train.isEmpty() || (valid.isEmpty() && test.isEmpty())) {
            return drawn(set(name, items, labels(items.stream())));
        }
        int used = 1 + (valid.isPresent() ? 1 : 0) + (test.isPresent() ? 1 : 0);
        if (tops.size() > used) {
            throw new DataException(
                    source
                            + " holds images that are in no split: its top folders are "
                            + String.join(", ", tops.keySet()));
        }
        Map<String, Integer> labels = labels(items.stream().map(FileSet::withoutTop));
        return new Splits(
                set(name, below(train.get()), labels),
                test.isPresent() ? valid.map(v -> set(name, below(v), labels)) : Optional.empty(),
                set(name, below(test.orElseGet(valid::get)), labels));
    }

    /**
     * All images of a folder or archive, its folders the classes, sorted by path.
     *
     * @throws DataException as {@link #open}
     */
    static StoredImages openAll(String name, Path source, DataOptions options) {
        List<Item> items = new FileSet(source, options).decode();
        checkAlike(items);
        checkKind(name, items.get(0), options);
        return set(name, items, labels(items.stream()));
    }

    private static Optional<List<Item>> split(Map<String, List<Item>> tops, List<String> names) {
        return names.stream().filter(tops::containsKey).findFirst().map(tops::get);
    }

    private static List<Item> below(List<Item> items) {
        return items.stream().map(FileSet::withoutTop).toList();
    }

    private static Item withoutTop(Item item) {
        return withPath(item, item.path.substring(item.path.indexOf('/') + 1));
    }

    private static Item withPath(Item i, String path) {
        return new Item(path, i.name, i.height, i.width, i.channels, i.rate, i.row);
    }

    private static List<Item> withoutCommonFolder(List<Item> items) {
        String common = items.get(0).folder() + "/";
        for (Item item : items) {
            while (!item.path.startsWith(common) && !common.isEmpty()) {
                common = common.substring(0, common.lastIndexOf('/', common.length() - 2) + 1);
            }
        }
        int length = common.equals("/") ? 0 : common.length();
        return items.stream().map(i -> withPath(i, i.path.substring(length))).toList();
    }

    /** Classes are numbered in the order of their names, over all splits. */
    private static Map<String, Integer> labels(Stream<Item> items) {
        TreeSet<String> names = new TreeSet<>();
        items.forEach(item -> names.add(item.folder()));
        names.remove("");
        Map<String, Integer> labels = new TreeMap<>();
        names.forEach(name -> labels.put(name, labels.size()));
        return labels;
    }

    private static StoredImages set(String name, List<Item> items, Map<String, Integer> labels) {
        Item first = items.get(0);
        int[] classes =
                labels.isEmpty()
                        ? null
                        : items.stream()
                                .mapToInt(i -> labels.getOrDefault(i.folder(), -1))
                                .toArray();
        return new StoredImages(
                name,
                new ImageShape(first.height, first.width, first.channels),
                items.stream().map(Item::row).toArray(),
                classes);
    }

    private static void checkAlike(List<Item> items) {
        Item first = items.get(0);
        for (Item item : items) {
            String both = first.name + " and " + item.name;
            if (first.rate != item.rate) {
                throw new DataException(
                        first.rate == 0 || item.rate == 0
                                ? both + " are an image and a clip: a set is of one kind"
                                : both
                                        + " differ in sample rate: "
                                        + first.rate
                                        + " and "
                                        + item.rate
                                        + " Hz; bring them to one rate first");
            }
            if (first.rate > 0 && first.width != item.width) {
                throw new DataException(
                        both
                                + " differ in length: "
                                + first.width
                                + " and "
                                + item.width
                                + " samples; the option length makes them equal");
            }
            if (first.height != item.height || first.width != item.width) {
                throw new DataException(
                        both
                                + " differ in size: "
                                + first.size()
                                + " and "
                                + item.size()
                                + "; the options resize and crop make them equal");
            }
            if (first.channels != item.channels) {
                throw new DataException(
                        both
                                + " differ in channels: "
                                + first.channels
                                + " and "
                                + item.channels
                                + (first.rate > 0
                                        ? "; a set needs as many everywhere"
                                        : "; the option channels (grey or rgb) makes them equal"));
            }
        }
    }

    private static void checkKind(String name, Item first, DataOptions options) {
        boolean images = options.changesImages() || options.flip() || options.pad() > 0;
        if (first.rate > 0 && images) {
            throw new DataException(
                    name
                            + " holds clips, which are not cropped, resized, flipped, padded,"
                            + " thresholded or given channels; their option is length");
        }
        if (first.rate == 0 && options.length() > 0) {
            throw Views.noClips(name);
        }
    }

    private static Splits drawn(StoredImages all) {
        int test = Math.max(1, all.size() / Datasets.HELD_OUT);
        if (all.size() <= test) {
            throw new DataException(
                    all.name() + " holds 1 image; at least 2 are needed to train and test");
        }
        int[] order = Batches.permutation(all.size(), new SplittableRandom(0));
        return new Splits(
                all.pick(order, 0, all.size() - test),
                Optional.empty(),
                all.pick(order, all.size() - test, all.size()));
    }

    private List<Item> decode() {
        try (Workers<Item> workers = new Workers<>(source.toString())) {
            Entries.visit(
                    source,
                    path -> isImage(path) || isClip(path),
                    entry -> workers.submit(() -> decode(entry)));
            List<Item> items = new ArrayList<>(workers.results());
            if (items.isEmpty()) {
                throw new DataException(
                        source
                                + " holds no data: no .png, .jpg, .jpeg or .wav files, no"
                                + " train-images-idx3-ubyte, no CIFAR-10 data_batch_1.bin");
            }
            items.sort(Comparator.comparing(Item::path));
            return items;
        }
    }

    private Item decode(Entries.Entry entry) {
        float rate = 0;
        Picture picture;
        Object row;
        if (isClip(entry.path())) {
            Clips.Clip clip = Clips.decode(entry.name(), entry.bytes(), options.length());
            picture = clip.picture();
            rate = clip.rate();
            row = picture.values();
            memory.take(OVERHEAD + 4L * picture.values().length);
        } else {
            picture = PictureFiles.decode(entry.name(), entry.bytes()).view(options);
            memory.take(OVERHEAD + picture.values().length);
            row = StoredImages.quantized(picture.values());
        }
        return new Item(
                entry.path(),
                entry.name(),
                picture.height(),
                picture.width(),
                picture.channels(),
                rate,
                row);
    }
}
