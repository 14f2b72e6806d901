package org.jlatent.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jlatent.Device;
import org.jlatent.Scope;
import org.jlatent.data.Datasets;
import org.jlatent.data.ImageSet;
import org.jlatent.data.Splits;
import org.jlatent.models.Vae;
import org.jlatent.models.VaeEvaluation;
import org.jlatent.nn.Init;
import org.jlatent.train.Progress;
import org.jlatent.train.Trainer;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code jlatent train}. */
@Command(
        name = "train",
        footerHeading = "%nSettings (--set KEY=VALUE), with their defaults:%n",
        mixinStandardHelpOptions = true,
        description =
                "Trains a model and leaves a run folder: weights, figures, curves, samples, reconstructions.")
final class TrainCommand implements Callable<Integer> {
    private static final int EVALUATION_SAMPLES = 1;
    private static final int PICTURES = 64;

    @Spec CommandSpec spec;

    @Parameters(paramLabel = "MODEL", description = "what to train: vae")
    String model;

    @Option(
            names = "--data",
            paramLabel = "NAME|PATH",
            defaultValue = "sprites",
            description =
                    "sprites (default, generated), mnist or binarized-mnist in $JLATENT_DATA, or a folder or file in idx format")
    String data;

    @Option(
            names = "--out",
            paramLabel = "DIR",
            required = true,
            description = "the new run folder")
    Path out;

    @Option(
            names = "--device",
            paramLabel = "KIND",
            defaultValue = "auto",
            description = "auto (default), cpu or cuda; cuda never falls back")
    String device;

    @ArgGroup Length length = new Length();

    static final class Length {
        @Option(
                names = "--epochs",
                paramLabel = "N",
                description = "passes over the data (default: 10)")
        Integer epochs;

        @Option(
                names = "--steps",
                paramLabel = "N",
                description = "steps in all, instead of epochs")
        Integer steps;
    }

    @Option(
            names = "--seed",
            paramLabel = "N",
            defaultValue = "0",
            description = "of weights, order and noise (default: 0)")
    long seed;

    @Option(names = "--threads", paramLabel = "N", description = "cores to use (default: all)")
    Integer threads;

    @Option(
            names = "--set",
            paramLabel = "KEY=VALUE",
            description = "settings of the model, see below")
    Map<String, String> settings = new LinkedHashMap<>();

    @Option(
            names = "--json",
            description = "print the results as one line of JSON, last on standard output")
    boolean json;

    @Override
    public Integer call() {
        VaeRecipe.checkName(model);
        Settings checked = new Settings(VaeRecipe.KEYS).with(settings);
        Splits splits = Datasets.open(data);
        ImageSet train = splits.train();
        RunFolder.Config config =
                new RunFolder.Config(
                        model,
                        data,
                        train.height(),
                        train.width(),
                        train.channels(),
                        seed,
                        checked.toMap());
        try (Device place = RunFolder.device(device, threads);
                Scope scope = new Scope(place)) {
            Vae vae = VaeRecipe.model(new Init(scope, seed), config.dims(), checked, seed);
            Trainer trainer =
                    VaeRecipe.trainer(vae, checked)
                            .data(train)
                            .validation(splits.validation().orElse(null))
                            .seed(seed);
            if (length.steps != null) {
                trainer.steps(length.steps);
            } else {
                trainer.epochs(length.epochs == null ? 10 : length.epochs);
            }
            RunFolder run = RunFolder.create(out, config);
            try {
                Results.print(spec.commandLine(), json, train(run, vae, trainer, splits, place));
            } catch (RuntimeException e) {
                run.removeIfEmpty();
                throw e;
            }
            return 0;
        }
    }

    private Results train(RunFolder run, Vae vae, Trainer trainer, Splits splits, Device place) {
        PrintWriter err = spec.commandLine().getErr();
        ImageSet images = splits.train();
        err.printf(
                "training %s on %s (%,d images of %dx%dx%d) on %s%n",
                model,
                images.name(),
                images.size(),
                images.height(),
                images.width(),
                images.channels(),
                place);
        Metrics metrics = new Metrics();
        Progress last;
        try (ProgressReport report = new ProgressReport(err)) {
            last = trainer.callback(metrics).callback(report).train();
        }
        VaeEvaluation evaluation =
                VaeEvaluation.of(vae, splits.test(), EVALUATION_SAMPLES, 256, seed);
        run.save(vae);
        metrics.write(run);
        Pictures.samples(vae, run.config(), PICTURES, out.resolve("samples.png"));
        Pictures.reconstructions(
                vae, run.config(), splits.test(), PICTURES / 2, out.resolve("reconstructions.png"));
        return Results.of(evaluation, false)
                .put("steps", last.step())
                .put("epochs", last.epoch())
                .put("images_per_second", Math.round(last.imagesPerSecond()))
                .put("device", place.toString())
                .put("run", out.toString());
    }
}
