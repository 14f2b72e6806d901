package org.jlatent.cli;

import java.nio.file.Path;
import org.jlatent.JlatentException;
import org.jlatent.models.AutoregressiveModel.Draws;
import org.jlatent.models.CodedModel;
import org.jlatent.models.GenerativeModel;
import org.jlatent.models.ImageModel;
import org.jlatent.models.Vae;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code jlatent sample}. */
@Command(name = "sample", description = "Draws images from a trained model into one PNG.")
final class SampleCommand extends RunCommand {
    static final int COUNT = 64;

    @Option(names = "--count", paramLabel = "N", description = "images (default: 64)")
    int count = COUNT;

    @Option(
            names = "--label",
            paramLabel = "N",
            description = "class of the images, of a model that has classes (default: all in turn)")
    Integer label;

    @Option(
            names = "--temperature",
            paramLabel = "T",
            description =
                    "of a model that draws value by value: below 1 likelier values, above 1 others"
                            + " (default: 1)")
    Float temperature;

    @Option(
            names = "--top-k",
            paramLabel = "K",
            description =
                    "of a model that draws one of many levels: only the K most likely (default: all)")
    Integer topK;

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
        require("--count", count, 1, 10_000);
        GenerativeModel generative = generative(run, model);
        int classes = generative.classes();
        if (label != null && classes == 0) {
            throw new JlatentException(
                    "this " + run.config().model() + " knows no classes: leave out --label");
        }
        if (label != null) {
            require("--label", label, 0, classes - 1);
        }
        if ((temperature != null || topK != null) && model instanceof Vae) {
            throw new JlatentException(
                    "a "
                            + run.config().model()
                            + " does not draw value by value: leave out --temperature and --top-k");
        }
        Path file = out == null ? run.path().resolve("samples.png") : out;
        Pictures.samples(generative, count, label, draws(), file);
        return new Results().put("count", count).put("file", file.toString());
    }

    private static GenerativeModel generative(RunFolder run, ImageModel model) {
        if (model instanceof GenerativeModel generative) {
            return generative;
        }
        String kind = run.config().model();
        throw new JlatentException(
                model instanceof CodedModel
                        ? "a "
                                + kind
                                + " alone draws no images: train a prior of its codes with"
                                + " 'jlatent train prior --on "
                                + run.path()
                                + "', and sample from that run"
                        : "an "
                                + kind
                                + " has no prior to draw from; 'jlatent interpolate' shows what lies"
                                + " between images");
    }

    private Draws draws() {
        if (temperature != null && !(temperature > 0 && temperature <= 1000)) {
            throw new JlatentException(
                    "--temperature must be above 0 and at most 1000, got " + temperature);
        }
        if (topK != null) {
            require("--top-k", topK, 1, 65536);
        }
        return new Draws(temperature == null ? 1 : temperature, topK == null ? 0 : topK, seed);
    }
}
