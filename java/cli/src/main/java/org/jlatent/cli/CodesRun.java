package org.jlatent.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jlatent.JlatentException;
import org.jlatent.Scope;
import org.jlatent.internal.Hashes;
import org.jlatent.models.CodedModel;

/**
 * The run whose codes a prior is one of, in the prior's {@code config.json}.
 *
 * @param run its folder
 * @param sha256 of its {@code model.safetensors}: other weights have other codes
 */
record CodesRun(String run, String sha256) {

    /**
     * @throws JlatentException if the folder holds no run of a model that has codes
     */
    static CodesRun of(Path folder) {
        RunFolder opened = RunFolder.open(folder);
        if (!opened.recipe().hasCodes()) {
            throw new JlatentException(
                    folder
                            + " holds a model of kind "
                            + opened.config().model()
                            + ", which has no codes: --on takes the run of a vq-vae");
        }
        opened.requireModel();
        return new CodesRun(folder.toAbsolutePath().normalize().toString(), hash(opened));
    }

    RunFolder open() {
        try {
            return RunFolder.open(Path.of(run));
        } catch (JlatentException e) {
            throw new JlatentException(
                    "the prior is one of the codes of " + run + ", but " + e.getMessage(), e);
        }
    }

    /**
     * The model that the codes are of.
     *
     * @throws JlatentException if it is gone, or was trained further
     */
    CodedModel model(Scope scope) {
        RunFolder opened = open();
        opened.requireModel();
        if (!hash(opened).equals(sha256)) {
            throw new JlatentException(
                    "the prior was trained on other codes: "
                            + opened.path().resolve(RunFolder.MODEL)
                            + " has changed since; train a new one with: jlatent train prior --on "
                            + run);
        }
        return (CodedModel) opened.loadModel(scope);
    }

    private static String hash(RunFolder run) {
        Path file = run.path().resolve(RunFolder.MODEL);
        if (!Files.exists(file)) {
            throw new JlatentException(file + " does not exist: there are no codes of it");
        }
        try {
            return Hashes.sha256(Files.readAllBytes(file));
        } catch (IOException e) {
            throw new JlatentException(file + " cannot be read: " + RunFolder.reason(e), e);
        }
    }
}
