package org.jlatent.cli;

import org.jlatent.data.ImageSet;
import org.jlatent.models.ImageModel;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code jlatent evaluate}. */
@Command(
        name = "evaluate",
        description = "Measures a trained model on test images; likelihoods in nats an image.")
final class EvaluateCommand extends RunCommand {
    @Option(
            names = "--data",
            paramLabel = "NAME|PATH",
            description = "other images than those it was trained on")
    String data;

    @Option(
            names = "--samples",
            paramLabel = "N",
            description = "samples of z an image for a VAE's importance-weighted nll (default: 50)")
    Integer samples;

    @Option(
            names = "--drop",
            paramLabel = "PART",
            description =
                    "part of the pixels to hide from an autoencoder (default: as in its training)")
    Float drop;

    @Option(
            names = "--seed",
            paramLabel = "N",
            defaultValue = "0",
            description = "of the noise (default: 0)")
    long seed;

    @Override
    Results use(RunFolder run, ImageModel model) {
        ImageSet images = testImages(run, model, data);
        return run.recipe()
                .evaluate(model, images, new Recipe.Evaluation(samples, drop, seed))
                .put("images", images.size());
    }
}
