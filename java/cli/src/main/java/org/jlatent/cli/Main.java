package org.jlatent.cli;

import java.io.OutputStreamWriter;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import org.jlatent.JlatentException;
import org.jlatent.internal.Version;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Ansi;

/** The command line. Results go to standard output; progress and logs to standard error. */
@Command(
        name = "jlatent",
        mixinStandardHelpOptions = true,
        version = "jlatent " + Version.TEXT,
        description = "Trains and uses latent-variable image models.",
        subcommands = {
            TrainCommand.class,
            EvaluateCommand.class,
            SampleCommand.class,
            ReconstructCommand.class,
            InterpolateCommand.class,
            TraverseCommand.class,
            FeaturesCommand.class,
            EncodeCommand.class,
            DecodeCommand.class,
            DoctorCommand.class,
            DemoCommand.class
        },
        footer = {"", "'jlatent test' builds everything and runs every test (Maven and ctest)."})
public final class Main {
    private static final int USER_ERROR = 2;

    private Main() {}

    public static void main(String[] args) {
        System.setProperty("java.awt.headless", "true");
        System.setProperty("java.util.logging.SimpleFormatter.format", "jlatent: %5$s%n");
        System.exit(run(writer(System.out), writer(System.err), args));
    }

    private static PrintWriter writer(PrintStream stream) {
        return new PrintWriter(new OutputStreamWriter(stream, StandardCharsets.UTF_8), true);
    }

    /**
     * Runs one command line and returns the exit code: 0, 2 when the user has something to mend, 1
     * for a fault of ours.
     */
    static int run(PrintWriter out, PrintWriter err, String... args) {
        CommandLine line = new CommandLine(new Main());
        line.getSubcommands()
                .get("train")
                .getCommandSpec()
                .usageMessage()
                .footer(Recipes.help().toArray(String[]::new));
        line.setOut(out);
        line.setErr(err);
        line.setColorScheme(
                CommandLine.Help.defaultColorScheme(
                        Terminal.isInteractive() ? Ansi.AUTO : Ansi.OFF));
        line.setParameterExceptionHandler(
                (e, given) -> {
                    err.println(
                            "jlatent: "
                                    + firstLine(e.getMessage())
                                    + " (see 'jlatent "
                                    + (e.getCommandLine().getParent() == null
                                            ? ""
                                            : e.getCommandLine().getCommandName() + " ")
                                    + "--help')");
                    return USER_ERROR;
                });
        line.setExecutionExceptionHandler(
                (e, command, parsed) -> {
                    if (e instanceof JlatentException
                            || e instanceof IllegalArgumentException
                            || e instanceof UncheckedIOException) {
                        err.println("jlatent: " + firstLine(e.getMessage()));
                        return USER_ERROR;
                    }
                    throw e;
                });
        try {
            return line.execute(args);
        } catch (OutOfMemoryError e) {
            err.println(
                    "jlatent: Java's memory does not suffice: make model, batch or images smaller,"
                            + " or set JAVA_TOOL_OPTIONS=-Xmx8g, say");
            return USER_ERROR;
        }
    }

    private static String firstLine(String message) {
        return message == null
                ? "unknown error"
                : message.lines().findFirst().orElse("").strip().replaceFirst("^Error: ", "");
    }
}
