package org.jlatent.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;
import org.jlatent.JlatentException;
import org.jlatent.data.Binarize;
import org.jlatent.data.DataOptions;
import org.jlatent.data.Datasets;

/** How images are seen, in training and whenever the model is used after it. */
final class DataSettings {
    private static final Settings.Key<Optional<DataOptions.Size>> CROP =
            size("data.crop", "the centre that is kept of images, such as 140 or 128x96");
    private static final Settings.Key<Optional<DataOptions.Size>> RESIZE =
            size("data.resize", "size that images are brought to, after the crop");
    private static final Settings.Key<String> CHANNELS =
            Settings.choice(
                    "data.channels", "as-is", List.of("as-is", "grey", "rgb"), "of an image");
    private static final Settings.Key<Integer> LENGTH =
            Settings.integer(
                    "data.length", 0, 0, "samples that clips are cut or filled up to; 0: as is");
    private static final Settings.Key<String> BINARIZE =
            Settings.choice(
                    "data.binarize",
                    "none",
                    List.of("none", "threshold", "static", "dynamic"),
                    "zeros and ones of greys: at one half, drawn once, or in every epoch");
    private static final Settings.Key<String> DEQUANTIZE =
            Settings.choice(
                    "data.dequantize", "off", Settings.SWITCH, "uniform noise on 8-bit values");
    private static final Settings.Key<String> FLIP =
            Settings.choice(
                    "data.flip", "off", Settings.SWITCH, "mirror half of the training images");
    private static final Settings.Key<Integer> PAD =
            Settings.integer("data.pad", 0, 0, "most pixels by which training images are shifted");

    static final List<Settings.Key<?>> KEYS =
            Stream.<Settings.Key<?>>of(
                            CROP, RESIZE, CHANNELS, LENGTH, BINARIZE, DEQUANTIZE, FLIP, PAD)
                    .toList();

    /** Of {@code --data}: every name and form. */
    static final String HELP =
            "sprites (generated; default, but of published runs the data in their name); mnist, binarized-mnist, fashion-mnist, omniglot or cifar10,"
                    + " in $JLATENT_DATA or ~/.cache/jlatent/data, downloaded to there if in neither;"
                    + " or a path: an idx or .npy file, a folder or archive (.tar, .tar.gz, .zip) of"
                    + " PNG and JPEG images, of wav clips, or of CIFAR-10's .bin files, or a folder"
                    + " of idx files";

    private DataSettings() {}

    /**
     * @throws JlatentException if they contradict each other
     */
    static DataOptions options(Settings settings) {
        int channels =
                switch (settings.get(CHANNELS)) {
                    case "grey" -> 1;
                    case "rgb" -> 3;
                    default -> 0;
                };
        try {
            return new DataOptions(
                    settings.get(CROP).orElse(null),
                    settings.get(RESIZE).orElse(null),
                    channels,
                    settings.get(LENGTH),
                    Binarize.valueOf(settings.get(BINARIZE).toUpperCase(Locale.ROOT)),
                    settings.get(DEQUANTIZE).equals("on"),
                    settings.get(FLIP).equals("on"),
                    settings.get(PAD));
        } catch (IllegalArgumentException e) {
            throw new JlatentException("settings data.*: " + e.getMessage(), e);
        }
    }

    /** {@code --data} for the configuration: a path means the same from every folder. */
    static String lasting(String data) {
        return Datasets.isName(data) ? data : Path.of(data).toAbsolutePath().normalize().toString();
    }

    private static Settings.Key<Optional<DataOptions.Size>> size(String name, String meaning) {
        return new Settings.Key<>(
                name,
                "none",
                meaning,
                text -> {
                    if (text.equals("none")) {
                        return Optional.empty();
                    }
                    if (!text.matches("\\d{1,5}(x\\d{1,5})?")) {
                        throw new IllegalArgumentException(
                                "must be a size such as 32 or 32x48, or none, got " + text);
                    }
                    String[] sides = text.split("x", -1);
                    int height = Integer.parseInt(sides[0]);
                    int width = sides.length == 1 ? height : Integer.parseInt(sides[1]);
                    return Optional.of(new DataOptions.Size(height, width));
                });
    }
}
