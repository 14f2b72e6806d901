package org.jlatent.cli;

import java.nio.file.Path;
import org.jlatent.data.ImageSet;
import org.jlatent.models.ImageModel;
import org.jlatent.models.LatentModel;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code jlatent reconstruct}. */
@Command(
        name = "reconstruct",
        description =
                "Shows test images and, below each, what the model makes of them, in one PNG.")
final class ReconstructCommand extends PictureCommand {
    @Option(names = "--count", paramLabel = "N", description = "images (default: at most 32)")
    Integer count;

    @Option(
            names = "--seed",
            paramLabel = "N",
            defaultValue = "0",
            description = "of what is hidden from a denoising autoencoder (default: 0)")
    long seed;

    @Override
    Results use(RunFolder run, ImageModel trained) {
        LatentModel model = latent(run, trained);
        ImageSet images = testImages(run, model, data);
        int shown = count == null ? Math.min(32, images.size()) : count;
        require("--count", shown, 1, Math.min(10_000, images.size()));
        Path file = file(run, "reconstructions.png");
        Pictures.reconstructions(model, images, shown, seed, file);
        return new Results().put("count", shown).put("file", file.toString());
    }
}
