package org.jlatent.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.stream.Stream;
import org.jlatent.JlatentException;
import org.jlatent.data.ImageShape;
import org.jlatent.io.ImageFiles;
import org.jlatent.io.ImageGrid;
import org.jlatent.io.Npy;
import org.jlatent.models.ImageModel;
import org.jlatent.models.QuantizedModel;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code jlatent decode}. */
@Command(name = "decode", description = "Makes images of codes that 'jlatent encode' wrote.")
final class DecodeCommand extends RunCommand {
    private static final int MOST_IN_ONE = 10_000; // images of a picture

    @Option(
            names = "--codes",
            paramLabel = "FILE",
            required = true,
            description = "the .npy file of codes, as --out of encode names it")
    Path codes;

    @Option(
            names = "--out",
            paramLabel = "PATH",
            required = true,
            description =
                    "FILE.png: all images in one picture; FILE.npy: their values, [images, height, width, channels];"
                            + " anything else: a new folder, with a PNG, or a wav file, for each")
    Path out;

    @Option(
            names = "--rate",
            paramLabel = "HZ",
            description = "samples a second, for wav files: those of the clips it was trained on")
    Integer rate;

    @Override
    Results use(RunFolder run, ImageModel model) {
        QuantizedModel quantized = CodesFile.model(run, model);
        CodesFile file = CodesFile.read(codes, quantized);
        ImageShape image = file.image();
        String name = out.getFileName().toString().toLowerCase(Locale.ROOT);
        boolean folder = !name.endsWith(".png") && !name.endsWith(".npy");
        boolean clips = image.height() == 1;
        if (folder && clips) {
            if (rate == null) {
                throw new JlatentException(
                        "wav files need the clips' samples a second, such as --rate 8000");
            }
            require("--rate", rate, 1, 1_000_000);
        }
        float[] images = quantized.decodeMaps(file.codes(), image, CodesFile.batch(image));
        int count = images.length / image.values();
        if (folder) {
            writeEach(images, image, count);
        } else if (name.endsWith(".png")) {
            require("images in one picture", count, 1, MOST_IN_ONE);
            ImageGrid.of(images, image).columns((int) Math.ceil(Math.sqrt(count))).write(out);
        } else {
            Npy.write(out, images, count, image.height(), image.width(), image.channels());
        }
        return new Results()
                .put("images", count)
                .put("size", image.toString())
                .put("file", out.toString());
    }

    private void writeEach(float[] images, ImageShape image, int count) {
        try {
            Files.createDirectories(out);
            try (Stream<Path> entries = Files.list(out)) {
                if (entries.findAny().isPresent()) {
                    throw new JlatentException(
                            out + " is not empty; choose another --out, or remove it first");
                }
            }
        } catch (IOException e) {
            throw new JlatentException("cannot make " + out + ": " + RunFolder.reason(e), e);
        }
        for (int i = 0; i < count; i++) {
            int offset = i * image.values();
            if (image.height() == 1) {
                Path file = out.resolve(String.format(Locale.ROOT, "%05d.wav", i));
                ImageFiles.writeWav(file, images, offset, image, rate);
            } else {
                Path file = out.resolve(String.format(Locale.ROOT, "%05d.png", i));
                ImageFiles.writePng(file, images, offset, image);
            }
        }
    }
}
