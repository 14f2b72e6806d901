package org.jlatent.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jlatent.JlatentException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code jlatent demo}: a VAE learns sprites in about a minute. */
@Command(
        name = "demo",
        mixinStandardHelpOptions = true,
        description =
                "Trains a VAE on generated sprites for about a minute and says where the pictures are.")
final class DemoCommand implements Callable<Integer> {
    @Spec CommandSpec spec;

    @Option(
            names = "--out",
            paramLabel = "DIR",
            description = "the run folder (default: a new one below ./runs)")
    Path out;

    @Option(
            names = "--epochs",
            paramLabel = "N",
            defaultValue = "10",
            description = "passes over the data (default: 10)")
    int epochs;

    @Override
    public Integer call() {
        Path folder = out == null ? fresh() : out;
        int code =
                new CommandLine(new TrainCommand())
                        .setOut(spec.commandLine().getOut())
                        .setErr(spec.commandLine().getErr())
                        .setParameterExceptionHandler(
                                spec.commandLine().getParameterExceptionHandler())
                        .setExecutionExceptionHandler(
                                spec.commandLine().getExecutionExceptionHandler())
                        .execute(
                                "vae",
                                "--data",
                                "sprites",
                                "--epochs",
                                Integer.toString(epochs),
                                "--out",
                                folder.toString());
        if (code == 0) {
            spec.commandLine()
                    .getOut()
                    .printf(
                            "%nLook at the pictures in %s:%n"
                                    + "  samples.png          sprites it made up%n"
                                    + "  reconstructions.png  test images, and below each what it made of them%n"
                                    + "  curves.png           how it learned%n",
                            folder.toAbsolutePath());
        }
        return code;
    }

    private static Path fresh() {
        Path runs = Path.of("runs");
        for (int i = 1; ; i++) {
            Path candidate = runs.resolve("demo-" + i);
            if (!Files.exists(candidate)) {
                try {
                    return Files.createDirectories(runs).resolve("demo-" + i);
                } catch (IOException e) {
                    throw new JlatentException(
                            "cannot write below " + runs.toAbsolutePath() + "; use --out");
                }
            }
        }
    }
}
