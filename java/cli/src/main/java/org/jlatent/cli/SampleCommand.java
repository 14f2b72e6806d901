package org.jlatent.cli;

import java.nio.file.Path;
import org.jlatent.JlatentException;
import org.jlatent.models.Vae;
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

    @Override
    Results use(RunFolder run, Vae vae) {
        if (count < 1 || count > 10_000) {
            throw new JlatentException("--count must be from 1 to 10000, got " + count);
        }
        Path file = out == null ? run.path().resolve("samples.png") : out;
        Pictures.samples(vae, run.config(), count, seed, file);
        return new Results().put("count", count).put("file", file.toString());
    }
}
