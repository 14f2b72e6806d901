package org.jlatent.cli;

import java.nio.file.Path;
import org.jlatent.models.LatentModel;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code jlatent reconstruct}. */
@Command(
        name = "reconstruct",
        description =
                "Shows test images and, below each, what the model makes of them, in one PNG.")
final class ReconstructCommand extends PictureCommand {
    @Option(
            names = "--count",
            paramLabel = "N",
            defaultValue = "32",
            description = "images (default: 32)")
    int count;

    @Override
    Results use(RunFolder run, LatentModel model) {
        require("--count", count, 1, 10_000);
        Path file = file(run, "reconstructions.png");
        Pictures.reconstructions(model, testImages(run, data), count, file);
        return new Results().put("count", count).put("file", file.toString());
    }
}
