package org.jlatent.cli;

import java.nio.file.Path;
import org.jlatent.JlatentException;
import org.jlatent.data.ImageSet;
import org.jlatent.models.ImageModel;
import org.jlatent.models.LatentModel;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code jlatent traverse}. */
@Command(
        name = "traverse",
        description =
                "Shows what each latent dimension does: a row a dimension, those that vary most first.")
final class TraverseCommand extends PictureCommand {
    @Option(
            names = "--image",
            paramLabel = "N",
            defaultValue = "0",
            description = "the test image whose code the others are kept from (default: 0)")
    int image;

    @Option(
            names = "--dims",
            paramLabel = "N",
            description = "dimensions to show (default: at most 10)")
    Integer dims;

    @Option(
            names = "--steps",
            paramLabel = "N",
            defaultValue = "9",
            description = "values of a dimension (default: 9)")
    int steps;

    @Option(
            names = "--span",
            paramLabel = "X",
            defaultValue = "3",
            description =
                    "from -X to X (default: 3); of an autoencoder in standard deviations around the mean")
    double span;

    @Override
    Results use(RunFolder run, ImageModel trained) {
        LatentModel model = continuous(run, trained);
        ImageSet images = testImages(run, model, data);
        int rows = dims == null ? Math.min(10, model.latent()) : dims;
        require("--image", image, 0, images.size() - 1);
        require("--dims", rows, 1, model.latent());
        require("--steps", steps, 2, 100);
        if (!(span > 0) || Double.isInfinite(span)) {
            throw new JlatentException("--span must be positive, got " + span);
        }
        Path file = file(run, "traversals.png");
        Pictures.traversals(model, images, image, rows, steps, span, file);
        return new Results().put("dims", rows).put("file", file.toString());
    }
}
