package org.jlatent.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.jlatent.Activation;
import org.jlatent.Device;
import org.jlatent.GaussianOps;
import org.jlatent.GradientCheck;
import org.jlatent.JlatentException;
import org.jlatent.LikelihoodLevelsOps;
import org.jlatent.OnEveryDevice;
import org.jlatent.Posterior;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.TestDevice;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * Gradients of modules by central differences, through a likelihood that makes a scalar of
 * anything.
 */
@OnEveryDevice
final class LayersTest {
    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);
    private final Init init = new Init(scope, 3);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    private Tensor input(long rows, long columns) {
        float[] values = new float[(int) (rows * columns)];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) Math.sin(1.3 * i + 0.4);
        }
        return scope.of(Shape.of(rows, columns), values);
    }

    /** -log N(0.2; y, 1), a mean over rows. */
    private Tensor loss(Tape tape, Tensor y) {
        Tensor x = tape.scope().filled(y.shape(), 0.2f);
        return Likelihoods.gaussian(1)
                .loss(tape, y, x, tape.scope().scalar(1.0f / y.shape().get(0)))
                .total();
    }

    @Test
    void linearWithEveryActivation() {
        for (Activation activation : Activation.values()) {
            Tensor x = input(5, 4);
            Linear linear = new Linear(new Init(scope, seedAwayFromZero(x)), 4, 3, activation);
            GradientCheck.check(scope, x, (tape, t) -> loss(tape, linear.forward(tape, t)));
            for (Tensor parameter : linear.parameters().values()) {
                GradientCheck.check(
                        scope, parameter, (tape, t) -> loss(tape, linear.forward(tape, x)));
            }
        }
    }

    /** A seed whose layer has no product near 0, where differences would straddle ReLU's kink. */
    private long seedAwayFromZero(Tensor x) {
        for (long seed = 0; ; seed++) {
            boolean near = false;
            for (float product :
                    new Linear(new Init(scope, seed), 4, 3)
                            .forward(Tape.inference(scope), x)
                            .toFloatArray()) {
                near |= Math.abs(product) < 0.05;
            }
            if (!near) {
                return seed;
            }
        }
    }

    @Test
    void linearIsTheFormula() {
        Linear linear = new Linear(init, 2, 1);
        float[] w = linear.parameters().get("weight").toFloatArray();
        float b = linear.parameters().get("bias").item();
        Tensor y = linear.forward(Tape.inference(scope), scope.of(Shape.of(1, 2), 3, -2));
        assertEquals(3 * w[0] - 2 * w[1] + b, y.item(), 1e-6);
    }

    @Test
    void sequentialNamesItsParametersByPosition() {
        Sequential net =
                new Sequential(
                        new Linear(init, 3, 4),
                        new Elementwise(Activation.SILU),
                        new Linear(init, 4, 2, Activation.TANH));
        assertEquals(
                List.of("0.weight", "0.bias", "2.weight", "2.bias"),
                new ArrayList<>(net.parameters().keySet()));
        Tensor x = input(3, 3);
        GradientCheck.check(scope, x, (tape, t) -> loss(tape, net.forward(tape, t)));
        for (Tensor parameter : net.parameters().values()) {
            GradientCheck.check(scope, parameter, (tape, t) -> loss(tape, net.forward(tape, x)));
        }
    }

    @Test
    void gaussianSampleThroughEveryOutput() {
        Random random = new Random(scope, 5);
        GaussianOps.Options options =
                GaussianOps.Options.plain()
                        .withSamples(3)
                        .withFreeBits(0.05f)
                        .withLogVarRange(-0.9f, 0.95f)
                        .withDensities(true);
        GaussianSample sample = new GaussianSample(random, options);
        Tensor weight = scope.scalar(0.3f);
        Tensor packed = input(2, 6);
        GradientCheck.check(
                scope,
                packed,
                (tape, t) -> everything(tape, sample.forward(tape, Posterior.packed(t), weight)));
        Tensor mu = input(2, 3);
        Tensor logVar = scope.of(Shape.of(2, 3), 0.1f, -0.3f, 0.5f, 0.2f, -0.6f, 0.7f);
        GradientCheck.check(
                scope,
                mu,
                (tape, t) ->
                        everything(tape, sample.forward(tape, Posterior.of(t, logVar), weight)));
        GradientCheck.check(
                scope,
                logVar,
                (tape, t) -> everything(tape, sample.forward(tape, Posterior.of(mu, t), weight)));
    }

    /** A loss that depends on every output of a gaussian sample. */
    private Tensor everything(Tape tape, GaussianOps.Result r) {
        Tensor total = loss(tape, r.z());
        for (Tensor part : List.of(r.klRows(), r.logQ(), r.logP())) {
            Tensor rows = Functions.reshape(tape, part, Shape.of(part.shape().elements(), 1));
            total = Functions.add(tape, total, loss(tape, rows));
        }
        return Functions.add(tape, total, r.klTotal());
    }

    @Test
    void everyLikelihoodInTotalAndByRows() {
        List<Likelihood> all =
                List.of(
                        Likelihoods.bernoulli(),
                        Likelihoods.gaussian(0.5),
                        Likelihoods.gaussianLearned(),
                        Likelihoods.laplace(0.7),
                        Likelihoods.laplaceLearned());
        for (Likelihood likelihood : all) {
            Tensor parameters = input(4, 3L * likelihood.planes());
            Tensor x =
                    scope.of(
                            Shape.of(2, 3),
                            0.1f,
                            0.9f,
                            0.5f,
                            0.2f,
                            0.7f,
                            0.4f); // two samples share a row
            Tensor weight = scope.scalar(0.4f);
            GradientCheck.check(
                    scope, parameters, (tape, p) -> likelihood.loss(tape, p, x, weight).total());
            GradientCheck.check(
                    scope,
                    parameters,
                    (tape, p) -> {
                        Tensor rows = likelihood.loss(tape, p, x, weight).rows();
                        Tensor column = Functions.reshape(tape, rows, Shape.of(4, 1));
                        return loss(tape, column);
                    });
            // Total used twice: its gradient is not the seed any more.
            GradientCheck.check(
                    scope,
                    parameters,
                    (tape, p) -> {
                        Tensor total = likelihood.loss(tape, p, x, weight).total();
                        return Functions.add(tape, total, total);
                    });
            assertEquals(12, likelihood.mean(parameters.toFloatArray(), 3).length);
        }
    }

    @Test
    void likelihoodsOfLevelsInTotalAndByRows() {
        for (Likelihood likelihood :
                List.of(
                        Likelihoods.categorical(5),
                        Likelihoods.discretizedLogisticMixture(2, 5, 3))) {
            Tensor parameters = input(4, likelihood.parametersPerPixel(3)); // one pixel
            Tensor images = scope.of(Shape.of(2, 3), 0, 0.25f, 1, 0.75f, 0.5f, 0.75f);
            Tensor levels = scope.ofInts(Shape.of(2, 3), 0, 1, 4, 3, 2, 3);
            Tensor weight = scope.scalar(0.4f);
            assertArrayEquals(
                    likelihood
                            .loss(Tape.inference(scope), parameters, levels, weight)
                            .rows()
                            .toFloatArray(),
                    likelihood
                            .loss(Tape.inference(scope), parameters, images, weight)
                            .rows()
                            .toFloatArray());
            GradientCheck.check(
                    scope,
                    parameters,
                    (tape, p) -> likelihood.loss(tape, p, images, weight).total());
            GradientCheck.check(
                    scope,
                    parameters,
                    (tape, p) -> {
                        Tensor rows = likelihood.loss(tape, p, images, weight).rows();
                        return loss(tape, Functions.reshape(tape, rows, Shape.of(4, 1)));
                    },
                    6e-3); // losses of order 10
            float[] mean = likelihood.mean(parameters.toFloatArray(), 3);
            assertEquals(12, mean.length);
            for (float value : mean) {
                assertTrue(value >= 0 && value <= 1, "mean " + value);
            }
            assertEquals(5, likelihood.levels());
            likelihood.check(images.toFloatArray());
            for (float wrong : new float[] {0.3f, -0.25f, 1.25f, Float.NaN}) {
                String message =
                        assertThrows(
                                        JlatentException.class,
                                        () -> likelihood.check(new float[] {0, wrong}))
                                .getMessage();
                assertTrue(message.contains("of 5 levels takes values k / 4"), message);
            }
        }
        assertEquals(0, Likelihoods.gaussian(1).levels());
        assertThrows(
                IllegalArgumentException.class,
                () -> Likelihoods.discretizedLogisticMixture(2, 5, 3).parametersPerPixel(1));
    }

    /** The mean of what is drawn; of a mixture that stays within the range. */
    @Test
    void meansOfLevelsAreThoseOfDraws() {
        int pixels = 20_000;
        Random random = new Random(scope, 5);
        float[] logits = {0.3f, -1, 2, 0.1f, 1};
        float[] mixture = {
            0.5f, -0.2f, -0.3f, 0.2f, 0.1f, -0.1f, -3, -2.5f, -2.8f, -3, 0.4f, -0.9f
        };
        List<LikelihoodLevelsOps.Options> options =
                List.of(
                        LikelihoodLevelsOps.Options.categorical(5),
                        LikelihoodLevelsOps.Options.logisticMixture(2, 256, 2));
        List<Likelihood> likelihoods =
                List.of(
                        Likelihoods.categorical(5),
                        Likelihoods.discretizedLogisticMixture(2, 256, 2));
        for (int which = 0; which < 2; which++) {
            float[] pixel = which == 0 ? logits : mixture;
            int channels = which + 1;
            float[] all = new float[pixels * pixel.length];
            for (int i = 0; i < all.length; i++) {
                all[i] = pixel[i % pixel.length];
            }
            int[] drawn =
                    LikelihoodLevelsOps.draw(
                                    scope,
                                    options.get(which),
                                    scope.of(Shape.of(1, all.length), all),
                                    Shape.of(1, (long) pixels * channels),
                                    random,
                                    1,
                                    1,
                                    0)
                            .toIntArray();
            float[] mean = likelihoods.get(which).mean(pixel, channels);
            for (int c = 0; c < channels; c++) {
                double sum = 0;
                for (int i = c; i < drawn.length; i += channels) {
                    sum += drawn[i];
                }
                assertEquals(mean[c], sum / pixels / (likelihoods.get(which).levels() - 1), 0.01);
            }
        }
    }

    @Test
    void badShapesAndSettingsAreNamed() {
        assertMessage("0 to 3", () -> new Linear(init, 0, 3));
        Linear linear = new Linear(init, 4, 3);
        assertMessage(
                "inner extents differ: a is [2, 5]",
                () -> linear.forward(Tape.inference(scope), input(2, 5)));
        assertMessage("[2, 3] and [3, 2]", () -> Posterior.of(input(2, 3), input(3, 2)));
        assertMessage("[2, 3]", () -> Posterior.packed(input(2, 3)));
        assertMessage(
                "needs parameters of 6 columns, got [2, 3]",
                () ->
                        Likelihoods.gaussianLearned()
                                .loss(Tape.inference(scope), input(2, 3), input(2, 3), null));
        assertMessage(
                "3 rows of parameters do not share 2",
                () ->
                        Likelihoods.bernoulli()
                                .loss(Tape.inference(scope), input(3, 3), input(2, 3), null));
        assertThrows(IllegalArgumentException.class, () -> Likelihoods.gaussian(0));
        assertThrows(
                IllegalArgumentException.class, () -> GaussianOps.Options.plain().withSamples(0));
        assertThrows(
                IllegalArgumentException.class,
                () -> GaussianOps.Options.plain().withLogVarRange(2, 1));
        assertThrows(
                IllegalArgumentException.class,
                () ->
                        GaussianOps.forward(
                                scope,
                                Posterior.packed(input(2, 4)),
                                GaussianOps.Options.plain(),
                                null,
                                null,
                                null));
    }

    private static void assertMessage(String part, Runnable action) {
        String message = assertThrows(ShapeException.class, action::run).getMessage();
        assertTrue(message.contains(part), message);
    }
}
