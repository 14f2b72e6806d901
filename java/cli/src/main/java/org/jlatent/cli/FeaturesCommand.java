package org.jlatent.cli;

import java.nio.file.Path;
import java.util.OptionalInt;
import org.jlatent.JlatentException;
import org.jlatent.data.ImageSet;
import org.jlatent.io.Npy;
import org.jlatent.models.ImageModel;
import org.jlatent.models.LatentModel;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code jlatent features}. */
@Command(
        name = "features",
        description =
                "Writes the code of every image as a matrix [images, latent] in NumPy's format.")
final class FeaturesCommand extends RunCommand {
    private static final int BATCH = 256;

    @Option(
            names = "--data",
            paramLabel = "NAME|PATH",
            description = "other images than those it was trained on")
    String data;

    @Option(
            names = "--split",
            paramLabel = "NAME",
            defaultValue = "test",
            description = "train or test (default)")
    String split;

    @Option(
            names = "--out",
            paramLabel = "FILE",
            description = "the .npy file (default: features.npy in the run folder)")
    Path out;

    @Option(
            names = "--labels",
            paramLabel = "FILE",
            description = "also the class of every image, as a .npy file")
    Path labels;

    @Override
    Results use(RunFolder run, ImageModel trained) {
        LatentModel model = latent(run, trained);
        ImageSet images = images(run, data, split);
        model.check(images);
        int[] classes = labels == null ? null : classes(images);
        Path file = out == null ? run.path().resolve("features.npy") : out;
        Npy.write(file, model.features(images, BATCH), images.size(), model.latent());
        if (classes != null) {
            Npy.write(labels, classes, classes.length);
        }
        return new Results()
                .put("images", images.size())
                .put("latent", model.latent())
                .put("file", file.toString());
    }

    private static int[] classes(ImageSet images) {
        int[] classes = new int[images.size()];
        for (int i = 0; i < classes.length; i++) {
            OptionalInt label = images.label(i);
            if (label.isEmpty()) {
                throw new JlatentException(images.name() + " has no classes to write to --labels");
            }
            classes[i] = label.getAsInt();
        }
        return classes;
    }
}
