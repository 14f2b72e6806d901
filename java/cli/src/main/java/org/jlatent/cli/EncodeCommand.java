package org.jlatent.cli;

import java.nio.file.Path;
import java.util.Arrays;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.models.ImageModel;
import org.jlatent.models.QuantizedModel;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code jlatent encode}. */
@Command(
        name = "encode",
        description = {
            "Writes the codes of every image, integers [images, height, width] (clips: [clips, length]; with several"
                    + " books: one more axis for heads, for stages), in NumPy's format. Images may be of any size that"
                    + " the model's strides divide. A vq-vae-2 has a file for each map: FILE-top.npy and so on."
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
            description = "the .npy file, or files (default: codes.npy in the run folder)")
    Path out;

    @Override
    Results use(RunFolder run, ImageModel model) {
        QuantizedModel quantized = CodesFile.model(run, model);
        ImageSet images = images(run, data, split);
        ImageShape image = images.shape();
        Path given = out == null ? run.path().resolve("codes.npy") : out;
        int[][] codes = quantized.encodeMaps(images, CodesFile.batch(image));
        new CodesFile(codes, image).write(given, quantized, images.size());
        Results results = new Results().put("images", images.size());
        for (int map = 0; map < codes.length; map++) {
            String of = codes.length == 1 ? "" : quantized.maps().get(map) + "_";
            int[] shape = CodesFile.shapes(quantized, images.size(), image).get(map);
            results.put(of + "shape", Arrays.toString(shape))
                    .put(of + "codes", quantized.quantizers().get(map).codes())
                    .put(of + "file", CodesFile.files(given, quantized).get(map).toString());
        }
        return results;
    }
}
