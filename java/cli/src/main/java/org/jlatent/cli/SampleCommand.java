package org.jlatent.cli;

import java.nio.file.Path;
import org.jlatent.JlatentException;
import org.jlatent.models.AutoregressiveModel;
import org.jlatent.models.ImageModel;
import org.jlatent.models.Vae;
import org.jlatent.models.VqVae;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code jlatent sample}. */
@Command(name = "sample", description = "Draws images from a trained model into one PNG.")
final class SampleCommand extends RunCommand {
    private static final int MANY = 64;
    static final int FEW = 16; // a forward pass a value takes its time

    @Option(
            names = "--count",
            paramLabel = "N",
            description = "images (default: 64; 16 of models that draw value by value)")
    Integer count;

    @Option(
            names = "--label",
            paramLabel = "N",
            description = "class of the images, of a model that has classes (default: all in turn)")
    Integer label;

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
    Results use(RunFolder run, ImageModel model) {
        AutoregressiveModel autoregressive = model instanceof AutoregressiveModel a ? a : null;
        int images = count != null ? count : autoregressive == null ? MANY : FEW;
        require("--count", images, 1, 10_000);
        int classes = autoregressive == null ? 0 : autoregressive.classes();
        if (label != null && classes == 0) {
            throw new JlatentException(
                    "this " + run.config().model() + " knows no classes: leave out --label");
        }
        if (label != null) {
            require("--label", label, 0, classes - 1);
        }
        Path file = out == null ? run.path().resolve("samples.png") : out;
        Results results = new Results().put("count", images).put("file", file.toString());
        if (autoregressive != null) {
            Pictures.samples(autoregressive, images, label, seed, file);
            return results;
        }
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
        Pictures.samples(vae, images, seed, file);
        return results;
    }
}
