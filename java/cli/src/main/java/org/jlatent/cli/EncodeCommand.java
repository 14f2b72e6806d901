package org.jlatent.cli;

import java.nio.file.Path;
import java.util.Arrays;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.models.ImageModel;
import org.jlatent.models.VqVae;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code jlatent encode}. */
@Command(
        name = "encode",
        description = {
            "Writes the codes of every image, integers [images, height, width] (clips: [clips, length]; with several"
                    + " books: one more axis for heads, for stages), in NumPy's format. Images may be of any size that"
                    + " the model's strides divide."
        })
final class EncodeCommand extends RunCommand {
    @Option(
            names = "--data",
            paramLabel = "NAME|PATH",
            description = "other images than those it was trained on")
    String data;

    @Option(
            names = "--split",
            paramLabel = "NAME",
            defaultValue = "test",
            description = "train or test (default)")
    String split;

    @Option(
            names = "--out",
            paramLabel = "FILE",
            description = "the .npy file (default: codes.npy in the run folder)")
    Path out;

    @Override
    Results use(RunFolder run, ImageModel model) {
        VqVae vqVae = CodesFile.model(run, model);
        ImageSet images = images(run, data, split);
        ImageShape image = images.shape();
        Path file = out == null ? run.path().resolve("codes.npy") : out;
        int[] codes = vqVae.encode(images, CodesFile.batch(image));
        new CodesFile(codes, image).write(file, vqVae);
        return new Results()
                .put("images", images.size())
                .put("shape", Arrays.toString(CodesFile.shape(vqVae, images.size(), image)))
                .put("codes", vqVae.quantizer().codes())
                .put("file", file.toString());
    }
}
