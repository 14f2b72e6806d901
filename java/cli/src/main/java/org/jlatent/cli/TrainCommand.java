package org.jlatent.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jlatent.Device;
import org.jlatent.JlatentException;
import org.jlatent.Precision;
import org.jlatent.Scope;
import org.jlatent.data.Datasets;
import org.jlatent.data.ImageSet;
import org.jlatent.data.Splits;
import org.jlatent.io.AtomicFile;
import org.jlatent.models.AutoregressiveModel;
import org.jlatent.models.AutoregressiveModel.Draws;
import org.jlatent.models.ImageModel;
import org.jlatent.models.LatentModel;
import org.jlatent.models.Vae;
import org.jlatent.train.Checkpoint;
import org.jlatent.train.Progress;
import org.jlatent.train.Trainer;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
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
    private static final int PICTURES = 64;
    private static final long PICTURE_SEED = 0; // as the commands that draw them again have

    @Spec CommandSpec spec;

    @Parameters(
            paramLabel = "MODEL",
            arity = "0..1",
            description =
                    "what to train: vae, conv-vae, autoencoder, vq-vae, pixel-cnn, gated-pixel-cnn or"
                            + " pixel-rnn; or, as published,"
                            + " vq-vae-cifar10 or pixel-cnn-binarized-mnist;"
                            + " not with --resume")
    String model;

    @Option(names = "--data", paramLabel = "NAME|PATH", description = DataSettings.HELP)
    String data;

    @Option(
            names = "--out",
            paramLabel = "DIR",
            description = "the new run folder; not with --resume")
    Path out;

    @Option(
            names = "--resume",
            paramLabel = "DIR",
            description =
                    "go on with the run in this folder, as its config.json says; --epochs or --steps: to another length, "
                            + "which the schedule then follows from here on")
    Path resume;

    @Option(
            names = "--device",
            paramLabel = "KIND",
            description = "auto (default), cpu or cuda; cuda never falls back")
    String device;

    @Option(
            names = "--precision",
            paramLabel = "KIND",
            defaultValue = "f32",
            description =
                    "what products and convolutions round their factors to in training: f32 (default: nothing), bf16, or"
                            + " tf32, on a GPU only; all else is f32")
    String precision;

    @ArgGroup Length length = new Length();

    static final class Length {
        @Option(
                names = "--epochs",
                paramLabel = "N",
                description = "passes over the data (default: 10; vq-vae-cifar10: 10,000 steps)")
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
        return resume == null ? begin() : goOn();
    }

    private int begin() {
        if (model == null) {
            throw new ParameterException(spec.commandLine(), "Missing required parameter: 'MODEL'");
        }
        if (out == null) {
            throw new ParameterException(
                    spec.commandLine(), "Missing required option: '--out=DIR'");
        }
        ofTraining(precision);
        Recipe recipe = Recipes.of(model);
        Settings checked = recipe.settings().with(settings);
        String source = data == null ? recipe.data() : data;
        Splits splits = Datasets.open(source, DataSettings.options(checked));
        boolean usual = length.epochs == null && length.steps == null;
        ImageSet train = splits.train();
        RunFolder.Config config =
                new RunFolder.Config(
                        model,
                        DataSettings.lasting(source),
                        train.height(),
                        train.width(),
                        train.channels(),
                        seed,
                        usual && recipe.steps() == null ? Integer.valueOf(10) : length.epochs,
                        usual ? recipe.steps() : length.steps,
                        device == null ? "auto" : device,
                        threads,
                        precision,
                        checked.toMap());
        RunFolder run = RunFolder.create(out, config);
        return RunLock.holding(
                out,
                () -> {
                    try {
                        return train(run, splits, null);
                    } catch (RuntimeException e) {
                        run.removeUnlessBegun();
                        throw e;
                    }
                });
    }

    private int goOn() {
        for (String option : List.of("--data", "--out", "--seed", "--precision", "--set")) {
            if (spec.commandLine().getParseResult().hasMatchedOption(option)) {
                throw leaveOut(option);
            }
        }
        if (model != null) {
            throw leaveOut(model);
        }
        RunFolder.open(resume); // no lock is left in a folder of something else
        return RunLock.holding(
                resume,
                () -> {
                    AtomicFile.clean(resume);
                    RunFolder.Config config = RunFolder.open(resume).config();
                    if (length.epochs != null || length.steps != null) {
                        config = config.withLength(length.epochs, length.steps);
                    }
                    config =
                            config.withPlace(
                                    device == null ? config.device() : device,
                                    threads == null ? config.threads() : threads);
                    RunFolder run = new RunFolder(resume, config);
                    Splits splits =
                            Datasets.open(config.data(), DataSettings.options(run.settings()));
                    return train(run, splits, run.readCheckpoint());
                });
    }

    /** What the trainer has to do with a precision: tf32 is the device's own. */
    private static Precision ofTraining(String precision) {
        return switch (precision) {
            case "f32", "tf32" -> Precision.F32;
            case "bf16" -> Precision.BF16;
            default ->
                    throw new JlatentException(
                            "--precision must be f32, tf32 or bf16, got '" + precision + "'");
        };
    }

    private ParameterException leaveOut(String given) {
        return new ParameterException(
                spec.commandLine(), "--resume takes that from the run: leave out " + given);
    }

    /**
     * @param from null: from the beginning
     */
    private int train(RunFolder run, Splits splits, Checkpoint from) {
        RunFolder.Config config = run.config();
        Precision factors = ofTraining(config.precision());
        boolean tf32 = config.precision().equals("tf32");
        try (Device place = RunFolder.device(config.device(), config.threads(), tf32);
                Scope scope = new Scope(place)) {
            ImageModel model = run.newModel(scope);
            Trainer trainer =
                    TrainingSettings.trainer(model, run.settings(), run.checkpoint())
                            .data(splits)
                            .seed(config.seed())
                            .precision(factors);
            if (config.steps() != null) {
                trainer.steps(config.steps());
            } else if (config.epochs() != null) {
                trainer.epochs(config.epochs());
            }
            Metrics metrics = new Metrics();
            if (from != null) {
                from.state().checkLength(trainer.totalSteps());
                trainer.resume(from);
                metrics.resume(from.state().history());
            }
            run.saveConfig();
            Progress last;
            int signalled;
            PrintWriter err = spec.commandLine().getErr();
            try (Interrupts interrupts = new Interrupts(trainer::stop);
                    ProgressReport report = new ProgressReport(err)) {
                describe(run, splits.train(), place, trainer.totalSteps(), from);
                last = trainer.callback(metrics).callback(report).train();
                signalled = interrupts.exitCode();
            }
            if (signalled != 0) {
                err.printf(
                        "jlatent: stopped after step %d of %d; go on with: jlatent train --resume %s%n",
                        last.step(), last.steps(), run.path());
                return signalled;
            }
            metrics.write(run);
            Results.print(spec.commandLine(), json, results(run, model, last, splits, place));
            return 0;
        }
    }

    private void describe(
            RunFolder run, ImageSet images, Device place, long steps, Checkpoint from) {
        PrintWriter err = spec.commandLine().getErr();
        err.printf(
                "training %s on %s (%,d images of %dx%dx%d) on %s in %s%n",
                run.config().model(),
                images.name(),
                images.size(),
                images.height(),
                images.width(),
                images.channels(),
                place,
                run.config().precision());
        if (from != null && from.state().step() == steps) {
            err.printf(
                    "%s is finished: all of its %d steps are done; --epochs or --steps trains it longer%n",
                    run.path(), steps);
        } else if (resume != null) {
            err.printf(
                    "going on after step %d of %d%n",
                    from == null ? 0 : from.state().step(), steps);
        }
    }

    private static Results results(
            RunFolder run, ImageModel model, Progress last, Splits splits, Device place) {
        Results results = run.recipe().measure(model, splits.test(), run.config().seed());
        run.save(model);
        if (model instanceof Vae vae) {
            Pictures.samples(vae, PICTURES, PICTURE_SEED, run.path().resolve("samples.png"));
        }
        if (model instanceof AutoregressiveModel autoregressive) {
            Pictures.samples(
                    autoregressive,
                    SampleCommand.COUNT,
                    null,
                    Draws.of(PICTURE_SEED),
                    run.path().resolve("samples.png"));
        }
        if (model instanceof LatentModel latent) {
            Pictures.reconstructions(
                    latent,
                    splits.test(),
                    Math.min(PICTURES / 2, splits.test().size()),
                    PICTURE_SEED,
                    run.path().resolve("reconstructions.png"));
        }
        return results.put("steps", last.step())
                .put("epochs", last.epoch())
                .put("images_per_second", Math.round(last.imagesPerSecond()))
                .put("precision", run.config().precision())
                .put("device", place.toString())
                .put("run", run.path().toString());
    }
}
