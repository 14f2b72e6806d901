package org.jlatent.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jlatent.Device;
import org.jlatent.JlatentException;
import org.jlatent.OnEveryDevice;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.jlatent.TestDevice;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;
import org.jlatent.nn.VectorQuantizerConfig;
import org.jlatent.train.Adam;
import org.jlatent.train.Callback;
import org.jlatent.train.Progress;
import org.jlatent.train.Trainer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Shapes, codes and sizes of a VqVae. {@link VqVaeTrainingTest} has the rest. */
@OnEveryDevice
final class VqVaeTest {
    static final ImageShape IMAGE = new ImageShape(12, 20, 3);
    static final ImageShape CLIP = new ImageShape(1, 24, 2);

    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    static VectorQuantizerConfig book() {
        return VectorQuantizerConfig.defaults().withCodes(7).withDims(5);
    }

    static VqVaeConfig small() {
        return VqVaeConfig.defaults().withHidden(6).withResidual(1, 3).withQuantizer(book());
    }

    private VqVae model(ImageShape image, VqVaeConfig config) {
        return new VqVae(new Init(scope, 1), image, config, 1);
    }

    /** Smooth images, all different. */
    static float[] pixels(int count, ImageShape shape) {
        float[] values = new float[count * shape.values()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (0.5 + 0.4 * Math.sin(0.13 * i));
        }
        return values;
    }

    static ImageSet set(int count, ImageShape shape) {
        return set("waves", shape, pixels(count, shape));
    }

    /** Images one after the other. */
    static ImageSet set(String name, ImageShape shape, float[] values) {
        return new ImageSet() {
            @Override
            public String name() {
                return name;
            }

            @Override
            public int size() {
                return values.length / shape.values();
            }

            @Override
            public ImageShape shape() {
                return shape;
            }

            @Override
            public void read(int index, float[] destination, int offset) {
                System.arraycopy(
                        values, index * shape.values(), destination, offset, shape.values());
            }
        };
    }

    /** What each of three epochs tells. */
    static List<Map<String, Double>> train(Model model, ImageSet images) {
        List<Map<String, Double>> epochs = new ArrayList<>();
        Trainer.of(model)
                .data(images)
                .batchSize(50)
                .epochs(3)
                .optimizer(Adam.Options.defaults().withLearningRate(2e-3f))
                .callback(
                        new Callback() {
                            @Override
                            public void onEpoch(Progress progress) {
                                epochs.add(progress.metrics());
                            }
                        })
                .train();
        return epochs;
    }

    private Tensor images(int count, ImageShape shape) {
        return scope.of(Shape.of(count, shape.values()), pixels(count, shape));
    }

    @Test
    void aCodeStandsForAPatch() {
        for (int levels = 1; levels <= 3; levels++) {
            int factor = 1 << levels;
            ImageShape image = new ImageShape(3 * factor, 5 * factor, 2);
            for (Likelihood likelihood :
                    List.of(Likelihoods.squaredError(), Likelihoods.gaussianLearned())) {
                VqVae model = model(image, small().withLevels(levels).withLikelihood(likelihood));
                Tensor x = images(2, image);
                assertEquals(Shape.of(2, 3, 5), model.encode(scope, x, image).shape());
                assertEquals(15 * 5, model.latent());
                assertEquals(Shape.of(2, 15 * 5), model.code(scope, x).shape());
                assertEquals(2 * image.values(), model.reconstruct(scope, x).length);
            }
        }
    }

    /** Kernels of sequences are flat, and only their length is halved. */
    @Test
    void sequencesAreOneDimensional() {
        VqVae model = model(CLIP, small());
        Tensor x = images(3, CLIP);
        Tensor codes = model.encode(scope, x, CLIP);
        assertEquals(Shape.of(3, 1, 6), codes.shape());
        assertEquals(3 * CLIP.values(), model.decode(scope, codes).length);
        model.parameters()
                .forEach(
                        (name, p) -> {
                            if (p.shape().rank() == 4) {
                                assertEquals(1, p.shape().get(1), name);
                            }
                        });
    }

    /** What comes of codes is what came of the image: nothing else passes the quantizer. */
    @Test
    void codesAreAllThatTheDecoderSees() {
        for (ImageShape shape : List.of(IMAGE, CLIP)) {
            VqVae model = model(shape, small());
            model.prepare(set(5, shape), 1); // or one code is nearest to all
            Tensor x = images(5, shape);
            float[] reconstructed = model.reconstruct(scope, x);
            Tensor codes = model.encode(scope, x, shape);
            assertArrayEquals(reconstructed, model.decode(scope, codes));
            int[] all = model.encode(set(5, shape), 2);
            assertArrayEquals(codes.toIntArray(), all);
            assertArrayEquals(reconstructed, model.decode(all, shape, 3), 1e-5f);
            assertTrue(Arrays.stream(all).distinct().count() > 1);
            assertArrayEquals(
                    model.code(scope, x).toFloatArray(), model.features(set(5, shape), 5), 0);
        }
    }

    /** A convolutional network gives a patch the same codes wherever it lies, away from borders. */
    @Test
    void imagesOfOtherSizes() {
        VqVae model = model(IMAGE, small().withResidual(0, 1));
        ImageShape large = new ImageShape(32, 36, 3);
        Tensor x = images(1, large);
        Tensor codes = model.encode(scope, x, large);
        assertEquals(Shape.of(1, 8, 9), codes.shape());
        float[] decoded = model.decode(scope, codes);
        assertEquals(large.values(), decoded.length);
        // The lower right 24x28 pixels alone.
        ImageShape part = new ImageShape(24, 28, 3);
        float[] whole = x.toFloatArray();
        float[] cut = new float[part.values()];
        for (int y = 0; y < 24; y++) {
            System.arraycopy(whole, ((y + 8) * 36 + 8) * 3, cut, y * 28 * 3, 28 * 3);
        }
        int[] ofPart =
                model.encode(scope, scope.of(Shape.of(1, part.values()), cut), part).toIntArray();
        int[] ofWhole = codes.toIntArray();
        for (int y = 2; y < 4; y++) {
            for (int column = 2; column < 5; column++) {
                assertEquals(ofWhole[(y + 2) * 9 + column + 2], ofPart[y * 7 + column]);
            }
        }
        assertEquals(new ImageShape(4, 400, 3), model.imageShape(Shape.of(1, 100)));
        VqVae clips = model(CLIP, small());
        assertEquals(new ImageShape(1, 400, 2), clips.imageShape(Shape.of(1, 100)));
    }

    @Test
    void sizesThatDoNotFitAreNamed() {
        VqVae model = model(IMAGE, small());
        fails(
                () -> model.codesShape(new ImageShape(30, 21, 3)),
                "30x21x3; 28x20 or 32x24 would fit");
        fails(() -> model.codesShape(new ImageShape(3, 21, 3)), "3x21x3; 4x24 would fit");
        fails(() -> model.codesShape(new ImageShape(12, 20, 1)), "3 channels, got 12x20x1");
        fails(() -> model(new ImageShape(13, 20, 3), small()), "multiples of 4");
        VqVae clips = model(CLIP, small());
        fails(
                () -> clips.codesShape(new ImageShape(1, 23, 2)),
                "length of 20 or a length of 24 would fit");
        fails(() -> clips.codesShape(new ImageShape(4, 24, 2)), "height 1, got 4x24x2");
        fails(() -> model.decode(new int[16], IMAGE, 1), "15 codes each, got 16");
        fails(() -> model.decode(new int[15], IMAGE, 0), "batchSize");
        for (Shape shape : List.of(Shape.of(3), Shape.of(1, 0), Shape.of(3, 5, 1))) {
            fails(() -> model.imageShape(shape), "[height, width] here, got " + shape);
        }
        fails(() -> clips.imageShape(Shape.of(2, 5)), "[1, length] here");
        fails(() -> model.decode(scope, scope.zeros(Shape.of(1, 3, 5))), "I32");
        fails(
                () -> model.decode(scope, scope.ofInts(Shape.of(1, 1, 3, 1), 0, 0, 0)),
                "[height, width] here, got [1, 3, 1]");
        for (int code : new int[] {-1, 7}) {
            Tensor codes = scope.ofInts(Shape.of(1, 1, 2), 0, code);
            if (TestDevice.refusesBadValues(device)) {
                assertThrows(JlatentException.class, () -> model.decode(scope, codes));
            } else {
                assertTrue(Float.isNaN(model.decode(scope, codes)[0]));
            }
        }
        for (Executable mistake :
                List.<Executable>of(
                        () -> small().withLevels(0),
                        () -> small().withHidden(0),
                        () -> small().withResidual(-1, 1),
                        () -> small().withResidual(1, 0),
                        () -> VqVaeEvaluation.of(model, set(0, IMAGE), 1),
                        () -> VqVaeEvaluation.of(model, set(2, CLIP), 1))) {
            assertThrows(IllegalArgumentException.class, mistake);
        }
    }

    private static void fails(Executable mistake, String words) {
        String message = assertThrows(RuntimeException.class, mistake).getMessage();
        assertEquals(1, message.lines().count(), message);
        assertTrue(message.contains(words), "'" + words + "' is not in: " + message);
    }

    @Test
    void aCodebookWithNanIsNamedOrMarked() {
        VqVae model = model(IMAGE, small());
        Tensor book = model.state().get("quantizer.codebook");
        float[] values = book.toFloatArray();
        values[11] = Float.NaN;
        book.copyFrom(values);
        Tensor x = images(1, IMAGE);
        if (!TestDevice.refusesBadValues(device)) {
            int[] codes = model.encode(scope, x, IMAGE).toIntArray();
            assertTrue(Arrays.stream(codes).allMatch(code -> code == -1));
            return;
        }
        fails(() -> model.encode(scope, x, IMAGE), "codebook");
        fails(() -> model.decode(scope, scope.ofInts(Shape.of(1, 1, 1), 0)), "codebook");
    }
}
