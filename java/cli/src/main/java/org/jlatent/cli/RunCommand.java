package org.jlatent.cli;

import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jlatent.Device;
import org.jlatent.JlatentException;
import org.jlatent.Scope;
import org.jlatent.data.Datasets;
import org.jlatent.data.ImageSet;
import org.jlatent.data.Splits;
import org.jlatent.models.ImageModel;
import org.jlatent.models.LatentModel;
import org.jlatent.models.QuantizedModel;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** What the commands that use a trained model share. */
@Command(mixinStandardHelpOptions = true)
abstract class RunCommand implements Callable<Integer> {
    @Spec CommandSpec spec;

    @Parameters(paramLabel = "DIR", description = "the run folder that 'train' left")
    Path folder;

    @Option(
            names = "--device",
            paramLabel = "KIND",
            defaultValue = "auto",
            description = "auto (default), cpu or cuda; cuda never falls back")
    String device;

    @Option(names = "--threads", paramLabel = "N", description = "cores to use (default: all)")
    Integer threads;

    @Option(
            names = "--json",
            description = "print the results as one line of JSON, last on standard output")
    boolean json;

    @Override
    public final Integer call() {
        RunFolder run = RunFolder.open(folder);
        try (Device place = RunFolder.device(device, threads);
                Scope scope = new Scope(place)) {
            Results results =
                    use(run, run.loadModel(scope))
                            .put("device", place.toString())
                            .put("run", folder.toString());
            Results.print(spec.commandLine(), json, results);
        }
        return 0;
    }

    abstract Results use(RunFolder run, ImageModel model);

    /**
     * @throws JlatentException unless the value is from min to max
     */
    static void require(String option, long value, long min, long max) {
        if (value < min || value > max) {
            throw new JlatentException(
                    option + " must be from " + min + " to " + max + ", got " + value);
        }
    }

    /**
     * @throws JlatentException if the model gives images no codes
     */
    static LatentModel latent(RunFolder run, ImageModel model) {
        if (model instanceof LatentModel latent) {
            return latent;
        }
        throw new JlatentException(
                "a "
                        + run.config().model()
                        + " gives images no codes to make them again from; 'jlatent sample' draws"
                        + " images");
    }

    /**
     * @throws JlatentException if the model has no codes, or they are integers, with nothing
     *     between them
     */
    static LatentModel continuous(RunFolder run, ImageModel model) {
        if (model instanceof QuantizedModel) {
            throw new JlatentException(
                    "the codes of a "
                            + run.config().model()
                            + " are integers, with nothing between them; 'jlatent reconstruct'"
                            + " shows what it makes of images");
        }
        return latent(run, model);
    }

    /**
     * The test images of {@code given}, or of the data the run was trained on.
     *
     * @throws IllegalArgumentException unless they are of the size the model takes
     */
    static ImageSet testImages(RunFolder run, ImageModel model, String given) {
        ImageSet images = splits(run, given).test();
        model.check(images);
        return images;
    }

    /**
     * @param split train or test; training images without what is random in training
     * @throws JlatentException for another
     */
    static ImageSet images(RunFolder run, String given, String split) {
        return switch (split) {
            case "train" ->
                    DataSettings.options(run.settings()).forTesting(splits(run, given).train());
            case "test" -> splits(run, given).test();
            default ->
                    throw new JlatentException(
                            "--split must be train or test, got '" + split + "'");
        };
    }

    static Splits splits(RunFolder run, String given) {
        return Datasets.open(
                given == null ? run.config().data() : given, DataSettings.options(run.settings()));
    }
}
