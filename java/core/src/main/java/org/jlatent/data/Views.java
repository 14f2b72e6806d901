package org.jlatent.data;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/** Sets that are there already, seen as {@link DataOptions} want them. */
final class Views {
    private static final int BLOCK = 256; // images a task

    private Views() {}

    static DataException noClips(String name) {
        return new DataException(name + " holds images; the option length is of clips (wav files)");
    }

    /**
     * All three splits, cropped, resized and so on.
     *
     * @throws DataException if an option does not fit the images
     */
    static Splits of(Splits splits, DataOptions options) {
        if (options.length() > 0) {
            throw noClips(splits.train().name());
        }
        if (!options.changesImages()) {
            return splits;
        }
        Optional<ImageSet> validation = splits.validation().map(v -> of(v, options));
        return new Splits(of(splits.train(), options), validation, of(splits.test(), options));
    }

    private static ImageSet of(ImageSet images, DataOptions options) {
        boolean floats = images instanceof StoredImages stored && !stored.quantized();
        Memory memory = new Memory(images.name());
        List<Object> rows = new ArrayList<>(images.size());
        Picture first = picture(images, 0).view(options);
        try (Workers<List<Object>> workers = new Workers<>(images.name())) {
            for (int begin = 0; begin < images.size(); begin += BLOCK) {
                int from = begin;
                int to = Math.min(images.size(), begin + BLOCK);
                workers.submit(
                        () -> {
                            List<Object> block = new ArrayList<>(to - from);
                            for (int i = from; i < to; i++) {
                                float[] values = picture(images, i).view(options).values();
                                memory.take(values.length * (floats ? 4L : 1L));
                                block.add(floats ? values : StoredImages.quantized(values));
                            }
                            return block;
                        });
            }
            workers.results().forEach(rows::addAll);
        }
        int[] labels =
                IntStream.range(0, images.size()).map(i -> images.label(i).orElse(-1)).toArray();
        return new StoredImages(
                images.name(),
                new ImageShape(first.height(), first.width(), first.channels()),
                rows.toArray(),
                labels);
    }

    private static Picture picture(ImageSet images, int index) {
        float[] values = new float[images.dimensions()];
        images.read(index, values, 0);
        return new Picture(
                "image " + index + " of " + images.name(),
                images.height(),
                images.width(),
                images.channels(),
                values);
    }
}
