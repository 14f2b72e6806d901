package org.jlatent.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jlatent.Device;
import org.jlatent.OnEveryDevice;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.TestDevice;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.data.Sprites;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihoods;
import org.jlatent.nn.VectorQuantizerConfig.Learning;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What a VqVae2 has beyond a VqVae: several maps, and that those above are seen below. */
@OnEveryDevice
final class VqVae2Test {
    private static final ImageShape IMAGE = new ImageShape(8, 24, 3);
    private static final ImageShape CLIP = new ImageShape(1, 24, 2);

    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    /** Two maps; the bottom one has half the sides of an image. */
    private static VqVae2Config small() {
        return VqVae2Config.defaults().withNetwork(VqVaeTest.small().withLevels(1));
    }

    private VqVae2 model(ImageShape image, VqVae2Config config) {
        return new VqVae2(new Init(scope, 1), image, config, 1);
    }

    private Tensor images(int count, ImageShape shape) {
        return scope.of(Shape.of(count, shape.values()), VqVaeTest.pixels(count, shape));
    }

    @Test
    void everyMapHasHalfTheSidesOfTheOneBelow() {
        Tensor x = images(2, IMAGE);
        VqVae2 two = model(IMAGE, small());
        List<Tensor> codes = two.encodeMaps(scope, x, IMAGE);
        assertEquals(Shape.of(2, 2, 6, 1), codes.get(0).shape());
        assertEquals(Shape.of(2, 4, 12, 1), codes.get(1).shape());
        assertEquals((12 + 48) * 5, two.latent());
        VqVae2 three =
                model(
                        IMAGE,
                        small().withMaps(3)
                                .withNetwork(
                                        small().network()
                                                .withLikelihood(Likelihoods.gaussianLearned())));
        assertEquals(List.of("top", "middle", "bottom"), three.maps());
        codes = three.encodeMaps(scope, x, IMAGE);
        assertEquals(Shape.of(2, 1, 3, 1), codes.get(0).shape());
        assertEquals(Shape.of(2, 2, 6, 1), codes.get(1).shape());
        assertEquals(Shape.of(2, 4, 12, 1), codes.get(2).shape());
        assertEquals(2 * IMAGE.values(), three.decodeMaps(scope, codes).length);
        VqVae2 clips = model(CLIP, small());
        codes = clips.encodeMaps(scope, images(3, CLIP), CLIP);
        assertEquals(Shape.of(3, 1, 6, 1), codes.get(0).shape());
        assertEquals(Shape.of(3, 1, 12, 1), codes.get(1).shape());
    }

    /** Nothing else passes the quantizers, and any size of images may. */
    @Test
    void codesAreAllThatTheDecoderSees() {
        VqVaeConfig books =
                small().network().withQuantizer(VqVaeTest.book().withDims(6).withHeads(2));
        for (VqVae2Config config :
                List.of(small(), small().withMaps(3), small().withNetwork(books))) {
            VqVae2 model = model(IMAGE, config);
            ImageSet set = VqVaeTest.set(5, IMAGE);
            model.prepare(set, 1); // or one code is nearest to all
            Tensor x = images(5, IMAGE);
            float[] reconstructed = model.reconstruct(scope, x);
            List<Tensor> codes = model.encodeMaps(scope, x, IMAGE);
            assertArrayEquals(reconstructed, model.decodeMaps(scope, codes));
            int[][] all = model.encodeMaps(set, 2);
            for (int map = 0; map < all.length; map++) {
                assertArrayEquals(codes.get(map).toIntArray(), all[map]);
                assertTrue(Arrays.stream(all[map]).distinct().count() > 1, "map " + map);
            }
            assertArrayEquals(reconstructed, model.decodeMaps(all, IMAGE, 3), 1e-5f);
            ImageShape large = new ImageShape(16, 32, 3);
            Tensor other = images(1, large);
            assertEquals(
                    large.values(),
                    model.decodeMaps(scope, model.encodeMaps(scope, other, large)).length);
        }
    }

    /** What an image is made of depends on each map, and a map on those above. */
    @Test
    void everyMapIsSeenByWhatFollows() {
        VqVae2 model = model(IMAGE, small().withMaps(3));
        model.prepare(VqVaeTest.set(20, IMAGE), 1);
        Tensor x = images(1, IMAGE);
        List<Tensor> codes = model.encodeMaps(scope, x, IMAGE);
        float[] image = model.decodeMaps(scope, codes);
        for (int map = 0; map < 3; map++) {
            List<Tensor> changed = new ArrayList<>(codes);
            int[] others = codes.get(map).toIntArray();
            others[0] = (others[0] + 1) % 7;
            changed.set(map, scope.ofInts(codes.get(map).shape(), others));
            assertFalse(Arrays.equals(image, model.decodeMaps(scope, changed)), "map " + map);
        }
        for (int map = 1; map < 3; map++) {
            Tape tape = Tape.inference(scope);
            Tensor before = model.vectors(tape, x, map);
            Tensor book = model.quantizers().get(map - 1).state().get("codebook");
            float[] values = book.toFloatArray();
            float[] moved = values.clone();
            for (int i = 0; i < moved.length; i++) {
                moved[i] += 1; // the codes stay, or become others: what stands for them moves
            }
            book.copyFrom(moved);
            float[] after = model.vectors(tape, x, map).toFloatArray();
            book.copyFrom(values);
            assertFalse(Arrays.equals(before.toFloatArray(), after), "map " + map);
        }
    }

    @Test
    void mistakesAreNamed() {
        fails(
                () -> model(new ImageShape(28, 28, 1), VqVae2Config.defaults()),
                "halved 3 times and must be multiples of 8, got 28x28x1; 24x24 or 32x32 would fit");
        fails(() -> small().withMaps(1), "maps must be 2 or 3, got 1");
        fails(() -> small().withMaps(4), "maps must be 2 or 3, got 4");
        VqVae2 model = model(IMAGE, small());
        Tensor top = scope.ofInts(Shape.of(1, 2, 6, 1), new int[12]);
        Tensor bottom = scope.ofInts(Shape.of(1, 4, 12, 1), new int[48]);
        assertEquals(IMAGE.values(), model.decodeMaps(scope, List.of(top, bottom)).length);
        fails(() -> model.decodeMaps(scope, List.of(top)), "2 maps of codes, got 1");
        fails(
                () -> model.decodeMaps(scope, List.of(top, top)),
                "the bottom map are of 1 images of 4x12x3, those of the top map of 1 of 8x24x3");
        fails(
                () -> model.decodeMaps(scope, List.of(top, bottom.reshape(Shape.of(1, 4, 12)))),
                "[height, width, 1] here");
        fails(
                () -> model.decodeMaps(scope, List.of(top, scope.zeros(bottom.shape()))),
                "must be I32");
        fails(() -> model.decodeMaps(new int[][] {new int[12]}, IMAGE, 1), "2 maps of codes");
        fails(
                () -> model.decodeMaps(new int[][] {new int[12], new int[12]}, IMAGE, 1),
                "have 48 codes each, got 12");
        fails(() -> model.codesShape(1, new ImageShape(8, 26, 3)), "8x24 or 8x28 would fit");
    }

    private static void fails(Executable mistake, String words) {
        String message = assertThrows(RuntimeException.class, mistake).getMessage();
        assertEquals(1, message.lines().count(), message);
        assertTrue(message.contains(words), "'" + words + "' is not in: " + message);
    }

    // ---- training ----

    private static VqVae2Config byGradient(int maps) {
        return small().withMaps(maps)
                .withNetwork(
                        small().network()
                                .withQuantizer(
                                        VqVaeTest.book()
                                                .withLearning(Learning.GRADIENT)
                                                .withRevive(0)));
    }

    /** Every network, codebooks too; the decoder's are those of differences. */
    @Test
    void gradientsReachEveryMap() {
        for (int maps = 2; maps <= 3; maps++) {
            VqVae2 model = model(IMAGE, byGradient(maps));
            model.prepare(VqVaeTest.set(20, IMAGE), 1);
            Tensor x = images(3, IMAGE);
            Tape tape = new Tape(scope);
            model.watch(tape);
            tape.backward(model.objective(tape, x).loss());
            model.parameters()
                    .forEach(
                            (name, p) -> {
                                boolean moved = false;
                                for (float value : tape.gradient(p).toFloatArray()) {
                                    moved |= value != 0;
                                }
                                assertTrue(moved, name);
                            });
            // Codes do not change with the decoder, nor with how maps are joined for it.
            for (String name : List.of("doubled.top.bias", "decoder.bottom.0.bias")) {
                Tensor bias = model.parameters().get(name);
                float[] values = bias.toFloatArray();
                float at = values[1];
                double h = 1e-3; // small: ReLUs have kinks
                values[1] = (float) (at + h);
                bias.copyFrom(values);
                double above = model.objective(Tape.inference(scope), x).loss().item();
                values[1] = (float) (at - h);
                bias.copyFrom(values);
                double below = model.objective(Tape.inference(scope), x).loss().item();
                values[1] = at;
                bias.copyFrom(values);
                if (maps == 2 || !name.startsWith("doubled")) { // or the middle map sees it, too
                    double expected = (above - below) / (2 * h);
                    double given = tape.gradient(bias).toFloatArray()[1];
                    assertEquals(expected, given, 2e-3 + 1e-2 * Math.abs(expected), name);
                }
            }
        }
    }

    /** The loss is the reconstruction's and every map's. */
    @Test
    void theLossesOfAllMapsAreSummed() {
        VqVae2 model = model(IMAGE, small().withMaps(3));
        model.prepare(VqVaeTest.set(20, IMAGE), 1);
        Model.Objective objective = model.objective(Tape.inference(scope), images(4, IMAGE));
        double sum = 0;
        for (float row : objective.metrics().get("reconstruction").toFloatArray()) {
            sum += row / 4;
        }
        for (String map : model.maps()) {
            float quantization = objective.metrics().get(map + "_quantization").item();
            assertTrue(quantization > 0, map);
            sum += quantization;
        }
        assertEquals(sum, objective.loss().item(), 1e-4);
    }

    /** Errors fall, and every map is in use: the top one is not left to the bottom one. */
    @Test
    @Tag("slow-on-stubs")
    void trainingLowersTheErrorAndUsesEveryMap() {
        ImageSet train = Sprites.splits().train().range(0, 1000);
        VqVae2Config config =
                VqVae2Config.defaults()
                        .withNetwork(
                                VqVaeConfig.defaults()
                                        .withHidden(16)
                                        .withResidual(1, 8)
                                        .withQuantizer(VqVaeTest.book().withCodes(32).withDims(8)));
        VqVae2 model = new VqVae2(new Init(scope, 1), train.shape(), config, 1);
        List<Map<String, Double>> epochs = VqVaeTest.train(model, train);
        Map<String, Double> first = epochs.get(0);
        Map<String, Double> last = epochs.get(2);
        assertTrue(
                last.get("reconstruction") < 0.7 * first.get("reconstruction"), epochs::toString);
        VqVaeEvaluation e = VqVaeEvaluation.of(model, train, 100);
        for (int map = 0; map < 2; map++) {
            assertTrue(e.maps().get(map).perplexity() > 2, e::toString);
            assertTrue(last.get(model.maps().get(map) + "_perplexity") > 2, epochs::toString);
        }
        int places = train.shape().height() * train.shape().width();
        assertEquals(5.0 / 64 + 5.0 / 16, e.bitsPerValue(), 1e-6, places + " pixels"); // 32 codes
    }

    /** A run that stops and goes on has these names in its files. */
    @Test
    void everyMapsCodebookIsKept() {
        VqVae2 model = model(IMAGE, small());
        Map<String, Tensor> state = model.state();
        float[] top = state.get("quantizer.top.codebook").toFloatArray();
        float[] bottom = state.get("quantizer.bottom.codebook").toFloatArray();
        model.prepare(VqVaeTest.set(20, IMAGE), 1);
        assertNotEquals(0, state.get("prepared").toIntArray()[0]);
        assertFalse(Arrays.equals(top, state.get("quantizer.top.codebook").toFloatArray()));
        assertFalse(Arrays.equals(bottom, state.get("quantizer.bottom.codebook").toFloatArray()));
    }
}
