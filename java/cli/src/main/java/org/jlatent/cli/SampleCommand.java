package org.jlatent.cli;

import java.nio.file.Path;
import org.jlatent.JlatentException;
import org.jlatent.models.LatentModel;
import org.jlatent.models.Vae;
import org.jlatent.models.VqVae;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code jlatent sample}. */
@Command(name = "sample", description = "Draws images from a trained model's prior into one PNG.")
final class SampleCommand extends RunCommand {
    @Option(
            names = "--count",
            paramLabel = "N",
            defaultValue = "64",
            description = "images (default: 64)")
    int count;

    @Option(
            names = "--out",
            paramLabel = "FILE",
            description = "the PNG (default: samples.png in the run folder)")
    Path out;

    @Option(
            names = "--seed",
            paramLabel = "N",
            defaultValue = "0",
            description = "of the draws (default: 0)")
    long seed;

    @Override
    Results use(RunFolder run, LatentModel model) {
        require("--count", count, 1, 10_000);
        if (model instanceof VqVae) {
            throw new JlatentException(
                    "the codes of a "
                            + run.config().model()
                            + " have no prior to draw from yet; 'jlatent reconstruct' shows what it"
                            + " makes of images");
        }
        if (!(model instanceof Vae vae)) {
            throw new JlatentException(
                    "an "
                            + run.config().model()
                            + " has no prior to draw from; 'jlatent interpolate' shows what lies between"
                            + " images");
        }
        Path file = out == null ? run.path().resolve("samples.png") : out;
        Pictures.samples(vae, count, seed, file);
        return new Results().put("count", count).put("file", file.toString());
    }
}
