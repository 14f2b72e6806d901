package org.jlatent.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.jlatent.data.ImageShape;
import org.jlatent.io.ImageFiles;
import org.jlatent.io.Npy;
import org.jlatent.io.Safetensors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Models with codes at the command line: training, encoding, decoding, and what is refused. */
final class CodesTest extends CommandTest {
    private static final int SIDE = 12; // codes are 3x3

    private Path data; // 40 images, 36 to train and 4 to test
    private Path run;

    @BeforeEach
    void makeData() throws IOException {
        data = Files.write(folder.resolve("tiny.idx"), idx(40, SIDE));
        run = folder.resolve("run");
    }

    private void train(String model, Path images, String... settings) {
        List<Object> args =
                new ArrayList<>(
                        List.of(
                                "train",
                                model,
                                "--data",
                                images,
                                "--device",
                                "cpu",
                                "--epochs",
                                2,
                                "--out",
                                run));
        Stream.concat(Stream.of("hidden=8", "batch=12"), Stream.of(settings))
                .forEach(setting -> args.addAll(List.of("--set", setting)));
        works(args.toArray());
    }

    private void trainSmall(String... settings) {
        String[] small = {"residual.hidden=4", "codes=16", "dims=4"};
        train(
                "vq-vae",
                data,
                Stream.concat(Stream.of(small), Stream.of(settings)).toArray(String[]::new));
    }

    /** Every quantizer through every command; decoding gives the reconstructions. */
    @ParameterizedTest
    @CsvSource({
        "quantizer=vq, 16, 3-3",
        "learning=gradient, 16, 3-3",
        "stages=2, 16, 3-3-2",
        "heads=2, 16, 3-3-2-1",
        "cosine=on, 16, 3-3",
        "estimator=rotation, 16, 3-3",
        "levels=1, 16, 6-6",
        "quantizer=fsq, 512, 3-3",
        "quantizer=lfq, 512, 3-3",
        "likelihood=gaussian-learned, 16, 3-3",
        "likelihood=logistic-mixture, 16, 3-3",
    })
    void everyQuantizerGoesThroughEveryCommand(String setting, int codes, String shape)
            throws IOException {
        trainSmall(setting);
        List<String> rows = Files.readAllLines(run.resolve("metrics.csv"));
        for (String column :
                List.of("perplexity", "usage", "dead", "revived", "batch_perplexity")) {
            assertTrue(List.of(rows.get(0).split(",")).contains(column), rows.get(0));
        }
        assertEquals(3, rows.size());
        assertEquals(2 * 540, ImageIO.read(run.resolve("curves.png").toFile()).getHeight());

        works("evaluate", run, "--json");
        Map<String, Object> figures = RunFolder.parse(out.toString());
        assertEquals(4, figures.get("images"));
        assertTrue((Double) figures.get("normalized_error") > 0);
        assertTrue((Double) figures.get("perplexity") >= 1);
        assertTrue((Double) figures.get("usage") > 0);
        works("reconstruct", run, "--count", 2);
        works("features", run);

        works("encode", run);
        Npy.Array array = Npy.read(run.resolve("codes.npy"));
        assertEquals(Npy.Type.I4, array.type());
        int[] extents = Stream.of(("4-" + shape).split("-")).mapToInt(Integer::parseInt).toArray();
        assertArrayEquals(extents, array.shape());
        for (int i = 0; i < array.size(); i++) {
            assertTrue(array.integer(i) >= 0 && array.integer(i) < codes);
        }
        Path values = folder.resolve("values.npy");
        works("decode", run, "--codes", run.resolve("codes.npy"), "--out", values);
        Npy.Array decoded = Npy.read(values);
        assertArrayEquals(new int[] {4, SIDE, SIDE, 1}, decoded.shape());
        double squared = 0;
        for (int i = 0; i < decoded.size(); i++) {
            float given = 37 * (36 * SIDE * SIDE + i) % 256 / 255.0f; // the test images
            squared += Math.pow(given - decoded.value(i), 2) / decoded.size();
        }
        assertEquals((Double) figures.get("squared_error"), squared, 1e-5);
    }

    @Test
    void codesBecomePicturesAndFiles() throws IOException {
        trainSmall();
        Path codes = folder.resolve("codes.npy");
        works("encode", run, "--split", "train", "--out", codes, "--json");
        assertEquals("[36, 3, 3]", RunFolder.parse(out.toString()).get("shape"));
        Path grid = folder.resolve("grid.png");
        works("decode", run, "--codes", codes, "--out", grid);
        assertEquals(2 + 6 * (8 * SIDE + 2), ImageIO.read(grid.toFile()).getWidth());
        Path pictures = folder.resolve("pictures");
        works("decode", run, "--codes", codes, "--out", pictures);
        try (Stream<Path> files = Files.list(pictures)) {
            assertEquals(36, files.count());
        }
        assertEquals(SIDE, ImageIO.read(pictures.resolve("00035.png").toFile()).getWidth());
        fails("is not empty", "decode", run, "--codes", codes, "--out", pictures);
        // Codes as NumPy's own integers.
        Npy.Array array = Npy.read(codes);
        ByteBuffer longs = ByteBuffer.allocate(8 * array.size()).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < array.size(); i++) {
            longs.putLong(array.integer(i));
        }
        Path wide = write("wide.npy", "<i8", "36, 3, 3", longs.array());
        works("decode", run, "--codes", wide, "--out", folder.resolve("wide.png"));
        assertEquals(-1, Files.mismatch(grid, folder.resolve("wide.png")));
    }

    @Test
    void everyMapOfCodesHasAFile() throws IOException {
        Path images = Files.write(folder.resolve("large.idx"), idx(40, 24));
        train("vq-vae-2", images, "maps=3", "levels=1", "residual.hidden=4", "codes=16", "dims=4");
        String columns = Files.readAllLines(run.resolve("metrics.csv")).get(0);
        for (String column : List.of("top_perplexity", "middle_usage", "bottom_quantization")) {
            assertTrue(List.of(columns.split(",")).contains(column), columns);
        }
        assertEquals(2 * 540, ImageIO.read(run.resolve("curves.png").toFile()).getHeight());
        works("evaluate", run, "--json");
        Map<String, Object> figures = RunFolder.parse(out.toString());
        assertTrue((Double) figures.get("top_perplexity") >= 1);
        assertEquals(4 * (9 + 36 + 144) / 576.0, (Double) figures.get("bits_per_value"), 1e-9);
        works("reconstruct", run, "--count", 2);
        Path codes = folder.resolve("all.npy");
        works("encode", run, "--out", codes, "--json");
        assertEquals("[4, 6, 6]", RunFolder.parse(out.toString()).get("middle_shape"));
        assertArrayEquals(new int[] {4, 3, 3}, Npy.read(folder.resolve("all-top.npy")).shape());
        Path bottom = folder.resolve("all-bottom.npy");
        assertArrayEquals(new int[] {4, 12, 12}, Npy.read(bottom).shape());
        Path values = folder.resolve("values.npy");
        works("decode", run, "--codes", codes, "--out", values);
        Npy.Array decoded = Npy.read(values);
        double squared = 0;
        for (int i = 0; i < decoded.size(); i++) {
            float given = 37 * (36 * 576 + i) % 256 / 255.0f; // the test images
            squared += Math.pow(given - decoded.value(i), 2) / decoded.size();
        }
        assertEquals((Double) figures.get("squared_error"), squared, 1e-5);
        Npy.write(bottom, new int[3 * 144], 3, 12, 12);
        fails("all-bottom.npy is of 3 images", "decode", run, "--codes", codes, "--out", values);
        Files.delete(bottom);
        fails("all-bottom.npy", "decode", run, "--codes", codes, "--out", values);
        fails("are integers", "interpolate", run);
        int code = run("train", "vq-vae-2", "--data", data, "--out", folder.resolve("odd"));
        assertEquals(2, code);
        assertTrue(err.toString().contains("8x8 or 16x16 would fit"), err::toString);
    }

    @Test
    void imagesOfOtherSizesHaveCodes() throws IOException {
        trainSmall();
        Path large = Files.write(folder.resolve("large.idx"), idx(20, 20));
        Path codes = folder.resolve("codes.npy");
        works("encode", run, "--data", large, "--out", codes);
        assertArrayEquals(new int[] {2, 5, 5}, Npy.read(codes).shape());
        Path values = folder.resolve("values.npy");
        works("decode", run, "--codes", codes, "--out", values);
        assertArrayEquals(new int[] {2, 20, 20, 1}, Npy.read(values).shape());
        Path odd = Files.write(folder.resolve("odd.idx"), idx(20, 18));
        fails("16x16 or 20x20 would fit", "encode", run, "--data", odd);
        fails("takes images of 12x12x1", "evaluate", run, "--data", large);
    }

    private Path clips(int encoding, int length) throws IOException {
        Path clips = Files.createDirectory(folder.resolve("clips" + encoding + "-" + length));
        for (int i = 0; i < 20; i++) {
            float[] wave = new float[length];
            for (int t = 0; t < length; t++) {
                wave[t] = (float) (0.7 * Math.sin(0.05 * (i + 1) * t));
            }
            Path file = clips.resolve(i + ".wav");
            ImageFiles.writeWav(file, wave, 0, new ImageShape(1, length, 1), 8000);
            byte[] bytes = Files.readAllBytes(file);
            bytes[20] = (byte) encoding;
            Files.write(file, bytes);
        }
        return clips;
    }

    @Test
    void clipsHaveCodesAndComeBackAsWavFiles() throws IOException {
        Path clips = clips(1, 64);
        train("vq-vae", clips, "residual.hidden=4", "codes=16", "dims=4");
        works("encode", run);
        Path codes = run.resolve("codes.npy");
        assertArrayEquals(new int[] {2, 16}, Npy.read(codes).shape());
        works("encode", run, "--data", clips(1, 100), "--out", folder.resolve("long.npy"));
        assertArrayEquals(new int[] {2, 25}, Npy.read(folder.resolve("long.npy")).shape());
        Path wavs = folder.resolve("wavs");
        fails("--rate", "decode", run, "--codes", codes, "--out", wavs);
        works("decode", run, "--codes", codes, "--out", wavs, "--rate", 8000);
        assertEquals(44 + 2 * 64, Files.size(wavs.resolve("00001.wav")));
        works("decode", run, "--codes", codes, "--out", folder.resolve("curves.png"));
        works("decode", run, "--codes", codes, "--out", folder.resolve("v.npy"));
        assertArrayEquals(new int[] {2, 1, 64, 1}, Npy.read(folder.resolve("v.npy")).shape());
        fails("length of 60 or a length of 64", "encode", run, "--data", clips(1, 61));
        fails(".wav is", "encode", run, "--data", clips(6, 64)); // A-law
    }

    /** An npy file. */
    private Path write(String name, String type, String shape, byte[] values) throws IOException {
        String header =
                "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + shape + "), }\n";
        ByteBuffer file =
                ByteBuffer.allocate(10 + header.length() + values.length)
                        .order(ByteOrder.LITTLE_ENDIAN);
        file.put(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0});
        file.putShort((short) header.length())
                .put(header.getBytes(StandardCharsets.US_ASCII))
                .put(values);
        return Files.write(folder.resolve(name), file.array());
    }

    private Path codes(String name, int[] values, int... shape) {
        Path file = folder.resolve(name);
        Npy.write(file, values, shape);
        return file;
    }

    @Test
    void codesThatTheModelCannotHaveMadeAreNamed() throws IOException {
        trainSmall();
        Path png = folder.resolve("x.png");
        Object[][] mistakes = {
            {"holds code 16 at [1, 0, 2]", codes("a", new int[] {0, 0, 0, 0, 0, 16}, 2, 1, 3)},
            {"codes from 0 to 15: they are another model's", folder.resolve("a")},
            {"holds code -1", codes("b", new int[] {-1}, 1, 1, 1)},
            {"[height, width] here, got [3]", codes("c", new int[3], 1, 3)},
            {"[height, width] here, got [1, 1, 2]", codes("d", new int[2], 1, 1, 1, 2)},
            {"holds no codes", codes("e", new int[0], 0, 3, 3)},
            {"holds no codes", codes("f", new int[4], 4)},
            {"does not fit", codes("g", new int[0], 1, 0, 3)},
            {"holds U1 values; codes are integers", write("h", "|u1", "1, 1, 1", new byte[1])},
            {"type '<i2'", write("i", "<i2", "1, 1, 1", new byte[2])},
            {"none.npy does not exist", folder.resolve("none.npy")},
            {"is not an npy file", data},
        };
        for (Object[] mistake : mistakes) {
            fails((String) mistake[0], "decode", run, "--codes", mistake[1], "--out", png);
        }
        Path floats = folder.resolve("floats.npy");
        Npy.write(floats, new float[] {1}, 1, 1, 1);
        fails("holds F4 values", "decode", run, "--codes", floats, "--out", png);
        assertFalse(Files.exists(png));
        Path good = codes("good", new int[9], 1, 3, 3);
        fails("--codes", "decode", run, "--out", png);
        fails("no/such", "decode", run, "--codes", good, "--out", folder.resolve("no/such.npy"));
        fails("--split must be", "encode", run, "--split", "valid");

        Path model = run.resolve("model.safetensors");
        List<Safetensors.Entry> entries = new ArrayList<>(Safetensors.read(model).values());
        entries.replaceAll(
                e -> {
                    if (!e.name().equals("quantizer.codebook")) {
                        return e;
                    }
                    float[] values = e.toFloats();
                    values[5] = Float.NaN;
                    return Safetensors.Entry.ofFloats(e.name(), e.shape(), values);
                });
        Safetensors.write(model, entries, Map.of());
        fails("codebook", "decode", run, "--codes", good, "--out", png);
        fails("codebook", "encode", run);
    }

    @Test
    void whatTheModelCannotDoIsNamed() {
        trainSmall();
        fails("jlatent train prior --on " + run, "sample", run);
        fails("nothing between them", "interpolate", run);
        fails("nothing between them", "traverse", run);
        fails("leave out --samples", "evaluate", run, "--samples", 2);
        Path other = folder.resolve("other");
        Object[] start = {"train", "vq-vae", "--data", data, "--out", other, "--set"};
        for (String[] mistake :
                new String[][] {
                    {"codes=0", "at least 1, got 0"},
                    {"dims=0", "at least 1, got 0"},
                    {"heads=3", "heads must divide dims"},
                    {"levels=3", "8x8 or 16x16 would fit"},
                    {"levels=0", "at least 1"},
                    {"quantizer=x", "must be one of vq, fsq, lfq"},
                    {"revive=1", "must be from 0"},
                    {"likelihood=poisson", "must be one of l2"},
                }) {
            Object[] args = Stream.concat(Stream.of(start), Stream.of(mistake[0])).toArray();
            fails(mistake[1], args);
            assertFalse(Files.exists(other));
        }
        works("train", "vae", "--data", data, "--steps", 1, "--out", other);
        fails("only models with vector quantization have codes", "encode", other);
    }

    /** What the published run is trained with, unless something else is asked for. */
    @Test
    void thePublishedRunIsARecipe() throws IOException {
        train("vq-vae-cifar10", data, "codes=16", "residual.hidden=4");
        RunFolder.Config config = RunFolder.open(run).config();
        assertEquals("0.0003", config.settings().get("learning-rate"));
        assertEquals("off", config.settings().get("initialize"));
        assertEquals("0", config.settings().get("revive"));
        assertEquals("64", config.settings().get("dims"));
        Recipe recipe = Recipes.of("vq-vae-cifar10");
        assertEquals("cifar10", recipe.data());
        assertEquals(10_000, recipe.steps());
        assertEquals("32", recipe.settings().toMap().get("batch"));
        assertEquals("sprites", Recipes.of("vq-vae").data());
        works("train", "--help");
        assertTrue(out.toString().contains("vq-vae as published"));
    }
}
