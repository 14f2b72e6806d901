package org.jlatent.cli;

import org.jlatent.data.ImageSet;
import org.jlatent.models.Vae;
import org.jlatent.models.VaeEvaluation;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code jlatent evaluate}. */
@Command(
        name = "evaluate",
        description = "Measures a trained model on test images; figures in nats an image.")
final class EvaluateCommand extends RunCommand {
    @Option(
            names = "--data",
            paramLabel = "NAME|PATH",
            description = "other images than those it was trained on")
    String data;

    @Option(
            names = "--samples",
            paramLabel = "N",
            defaultValue = "50",
            description = "samples of z an image for the importance-weighted nll (default: 50)")
    int samples;

    @Override
    Results use(RunFolder run, Vae vae) {
        ImageSet images = testImages(run, data);
        VaeEvaluation evaluation = VaeEvaluation.of(vae, images, samples, 128, seed);
        return Results.of(evaluation, true).put("images", images.size());
    }
}
