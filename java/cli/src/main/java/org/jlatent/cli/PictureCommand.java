package org.jlatent.cli;

import java.nio.file.Path;
import picocli.CommandLine.Option;

/** What the commands that draw test images share. */
abstract class PictureCommand extends RunCommand {
    @Option(
            names = "--data",
            paramLabel = "NAME|PATH",
            description = "other images than those it was trained on")
    String data;

    @Option(
            names = "--out",
            paramLabel = "FILE",
            description = "the PNG (default: in the run folder, named for what it shows)")
    Path out;

    Path file(RunFolder run, String name) {
        return out == null ? run.path().resolve(name) : out;
    }
}
