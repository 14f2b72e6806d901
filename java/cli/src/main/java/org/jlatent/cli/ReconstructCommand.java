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
final class ReconstructCommand extends RunCommand {
    @Option(
            names = "--data",
            paramLabel = "NAME|PATH",
            description = "other images than those it was trained on")
    String data;

    @Option(
            names = "--count",
            paramLabel = "N",
            defaultValue = "32",
            description = "images (default: 32)")
    int count;

    @Option(
            names = "--out",
            paramLabel = "FILE",
            description = "the PNG (default: reconstructions.png in the run folder)")
    Path out;

    @Override
    Results use(RunFolder run, LatentModel model) {
        require("--count", count, 1, 10_000);
        Path file = out == null ? run.path().resolve("reconstructions.png") : out;
        Pictures.reconstructions(model, testImages(run, data), count, file);
        return new Results().put("count", count).put("file", file.toString());
    }
}
