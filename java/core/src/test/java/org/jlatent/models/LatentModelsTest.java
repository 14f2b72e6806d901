package org.jlatent.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import org.jlatent.Activation;
import org.jlatent.Device;
import org.jlatent.GradientCheck;
import org.jlatent.OnEveryDevice;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.TestDevice;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.data.Sprites;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;
import org.jlatent.train.Trainer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/**
 * Autoencoders and convolutional VAEs: shapes, losses, gradients, and what training is to bring.
 */
@OnEveryDevice
final class LatentModelsTest {
    private static final ImageShape ODD = new ImageShape(7, 5, 3);

    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    private Tensor images(long count, ImageShape shape) {
        float[] values = new float[(int) count * shape.values()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (0.5 + 0.5 * Math.sin(1.7 * i));
        }
        return scope.of(Shape.of(count, shape.values()), values);
    }

    private static VaeConfig small() {
        return VaeConfig.convolutional()
                .withChannels(3, 4)
                .withHidden(6)
                .withLatent(2)
                .withActivation(Activation.SILU);
    }

    /** Sizes that strides do not divide come back whole, for one and for two parameters a value. */
    @Test
    void convolutionsMirrorOddSizes() {
        for (Likelihood likelihood :
                new Likelihood[] {Likelihoods.bernoulli(), Likelihoods.gaussianLearned()}) {
            Vae vae = new Vae(new Init(scope, 1), ODD, small().withLikelihood(likelihood), 1);
            Tensor x = images(3, ODD);
            assertEquals(3 * ODD.values(), vae.reconstruct(scope, x).length);
            assertEquals(4 * ODD.values(), vae.sample(scope, 4, 1).length);
            assertEquals(Shape.of(3, 2), vae.code(scope, x).shape());
        }
    }

    /**
     * The decoder's means come first, then the log variances: shifting one bias shifts one of them.
     */
    @Test
    void parametersOfAValueAreLaidOutInPlanes() {
        VaeConfig config = small().withLikelihood(Likelihoods.gaussianLearned());
        Vae vae = new Vae(new Init(scope, 1), ODD, config, 1);
        Tensor z = scope.of(Shape.of(2, 2), 0.3f, -1, 2, 0.1f);
        float[] before = vae.decode(Tape.inference(scope), z).toFloatArray();
        Tensor bias = vae.parameters().get("decoder.4.bias");
        float[] shifted = bias.toFloatArray();
        assertEquals(6, shifted.length); // 3 channels of means, 3 of log variances
        shifted[1] += 10; // the second channel's mean
        shifted[5] += 100; // the third channel's log variance
        bias.copyFrom(shifted);
        float[] after = vae.decode(Tape.inference(scope), z).toFloatArray();
        int values = ODD.values();
        for (int i = 0; i < after.length; i++) {
            boolean mean = i % (2 * values) < values;
            int channel = i % 3;
            float shift = mean && channel == 1 ? 10 : !mean && channel == 2 ? 100 : 0;
            assertEquals(before[i] + shift, after[i], 1e-4, "at " + i);
        }
    }

    @Test
    void gradientsOfAConvolutionalVae() {
        ImageShape shape = new ImageShape(5, 6, 1);
        VaeConfig config = small().withLikelihood(Likelihoods.gaussianLearned());
        Vae vae = new Vae(new Init(scope, 2), shape, config, 1);
        Tensor x = images(2, shape);
        Tensor tenth = scope.scalar(0.1f); // losses of order 1
        for (Tensor parameter : vae.parameters().values()) {
            GradientCheck.check(
                    scope,
                    parameter,
                    (tape, t) -> {
                        Tensor loss = vae.objective(tape, x).loss();
                        Tensor scaled = org.jlatent.Ops.scale(tape.scope(), loss, tenth);
                        return tape.record(
                                "scaled",
                                loss,
                                scaled,
                                d -> org.jlatent.Ops.scale(tape.scope(), d, tenth));
                    });
        }
    }

    @Test
    void errorsAreSumsOverAnImage() {
        Tensor given = scope.of(Shape.of(2, 3), 1, -2, 0.5f, 0, 0, 3);
        Tensor x = scope.of(Shape.of(2, 3), 0, 1, 0.5f, 1, -1, 0.5f);
        Tensor weight = scope.scalar(0.5f);
        Tape tape = new Tape(scope);
        tape.watch(given);
        Likelihood.Loss squared = Likelihoods.squaredError().loss(tape, given, x, weight);
        assertArrayEquals(new float[] {10, 8.25f}, squared.rows().toFloatArray(), 1e-5f);
        assertEquals(9.125f, squared.total().item(), 1e-5f);
        tape.backward(squared.total());
        assertArrayEquals(
                new float[] {1, -3, 0, -1, 1, 2.5f}, tape.gradient(given).toFloatArray(), 1e-5f);

        tape = new Tape(scope);
        tape.watch(given);
        Likelihood.Loss absolute = Likelihoods.absoluteError().loss(tape, given, x, null);
        assertArrayEquals(new float[] {4, 4.5f}, absolute.rows().toFloatArray(), 1e-5f);
        tape.backward(absolute.total());
        assertArrayEquals(
                new float[] {1, -1, 0, -1, 1, 1}, tape.gradient(given).toFloatArray(), 1e-5f);
    }

    @Test
    void featuresAreTheCodesInOrder() {
        ImageSet sprites = Sprites.splits().test().range(0, 23);
        Vae vae =
                new Vae(new Init(scope, 1), sprites.shape(), VaeConfig.defaults().withLatent(3), 1);
        float[] all = vae.features(sprites, 5);
        for (int i : new int[] {0, 4, 5, 22}) {
            Tensor x = LatentModel.batch(scope, sprites, i, 1);
            assertArrayEquals(
                    vae.code(scope, x).toFloatArray(),
                    Arrays.copyOfRange(all, 3 * i, 3 * i + 3),
                    1e-5f);
        }
        Vae other = new Vae(new Init(scope, 1), ODD, small(), 1);
        IllegalArgumentException e =
                assertThrows(IllegalArgumentException.class, () -> other.features(sprites, 5));
        assertTrue(e.getMessage().contains("7x5x3"), e.getMessage());
        assertThrows(
                IllegalArgumentException.class,
                () -> Trainer.of(other).data(sprites).epochs(1).train());
        for (Executable mistake :
                List.<Executable>of(
                        () -> VaeEvaluation.of(other, sprites, 1, 5, 1),
                        () -> VaeEvaluation.of(vae, sprites, 1, 0, 1),
                        () -> VaeEvaluation.of(vae, sprites.range(0, 0), 1, 5, 1),
                        () -> vae.features(sprites, 0))) {
            assertThrows(IllegalArgumentException.class, mistake);
        }
    }

    /** With half of the pixels hidden, half the error of a model that never saw such images. */
    @Test
    @Tag("slow-on-stubs")
    void denoisingRestoresWhatIsHidden() {
        ImageSet train = Sprites.splits().train().range(0, 4000);
        ImageSet test = Sprites.splits().test().range(0, 500);
        double[] errors = new double[2];
        for (int denoising = 0; denoising < 2; denoising++) {
            AutoencoderConfig config =
                    AutoencoderConfig.defaults().withHidden(128).withDrop(0.5f * denoising);
            Autoencoder model = new Autoencoder(new Init(scope, 1), train.shape(), config, 1);
            Trainer.of(model).data(train).batchSize(64).epochs(12).train();
            errors[denoising] = AutoencoderEvaluation.of(model, test, 0.5f, 100, 7).squaredError();
        }
        assertTrue(errors[1] < 0.5 * errors[0], () -> Arrays.toString(errors));
    }

    /** The encoder sees each value as it is or 0; the decoder is held against all of them. */
    @Test
    void hiddenPixelsAreBlackAndTheRestUnchanged() {
        Autoencoder model =
                new Autoencoder(
                        new Init(scope, 1), ODD, AutoencoderConfig.defaults().withDrop(0.3f), 1);
        Tensor x = scope.filled(Shape.of(50, ODD.values()), 0.8f);
        int hidden = 0;
        for (float value : model.seen(scope, x, 4).toFloatArray()) {
            assertTrue(value == 0 || value == 0.8f, () -> "" + value);
            hidden += value == 0 ? 1 : 0;
        }
        assertEquals(0.3, hidden / (50.0 * ODD.values()), 0.03);
        Random random = model.random();
        assertArrayEquals(
                model.seen(scope, x, 4).toFloatArray(), model.seen(scope, x, 4).toFloatArray());
        float first = model.objective(Tape.inference(scope), x).loss().item();
        random.advance();
        assertTrue(first != model.objective(Tape.inference(scope), x).loss().item());
    }

    @Test
    void whatDoesNotFitIsNamed() {
        Init init = new Init(scope, 1);
        ImageShape flat = new ImageShape(1, 40, 1);
        IllegalArgumentException e =
                assertThrows(IllegalArgumentException.class, () -> new Vae(init, flat, small(), 1));
        assertTrue(e.getMessage().contains("leave nothing of images of 1x40x1"), e.getMessage());
        assertThrows(IllegalArgumentException.class, () -> small().withChannels(4, 0));
        AutoencoderConfig config = AutoencoderConfig.defaults();
        assertThrows(IllegalArgumentException.class, () -> config.withDrop(1));
        assertThrows(IllegalArgumentException.class, () -> config.withDrop(Float.NaN));
        assertThrows(IllegalArgumentException.class, () -> config.withLatent(0));
        assertThrows(IllegalArgumentException.class, () -> config.withHidden(3, 0));
        assertThrows(IllegalArgumentException.class, () -> new ImageShape(3, 0, 1));
    }
}
