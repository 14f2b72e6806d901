package org.jlatent.cli;

import java.nio.file.Path;
import org.jlatent.JlatentException;
import org.jlatent.data.ImageSet;
import org.jlatent.models.ImageModel;
import org.jlatent.models.LatentModel;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code jlatent interpolate}. */
@Command(
        name = "interpolate",
        description =
                "Shows what the model puts between pairs of test images, code by code, in one PNG.")
final class InterpolateCommand extends PictureCommand {
    @Option(
            names = "--count",
            paramLabel = "N",
            description = "pairs, a row each (default: at most 8)")
    Integer count;

    @Option(
            names = "--steps",
            paramLabel = "N",
            defaultValue = "9",
            description = "codes from one image to the other, both included (default: 9)")
    int steps;

    @Override
    Results use(RunFolder run, ImageModel trained) {
        LatentModel model = continuous(run, trained);
        ImageSet images = testImages(run, model, data);
        if (images.size() < 2) {
            throw new JlatentException(
                    "there is nothing between images: " + images.name() + " has 1 test image");
        }
        int rows = count == null ? Math.min(8, images.size() - 1) : count;
        require("--count", rows, 1, Math.min(1000, images.size() - 1));
        require("--steps", steps, 2, 100);
        Path file = file(run, "interpolations.png");
        Pictures.interpolations(model, images, rows, steps, file);
        return new Results().put("count", rows).put("file", file.toString());
    }
}
