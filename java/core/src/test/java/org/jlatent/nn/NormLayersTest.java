package org.jlatent.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.jlatent.Device;
import org.jlatent.GradientCheck;
import org.jlatent.NormOps;
import org.jlatent.OnEveryDevice;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.TestDevice;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The normalizing layers against their formulas, and their gradients by central differences. */
@OnEveryDevice
final class NormLayersTest {
    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);
    private final Init init = new Init(scope, 3);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    private Tensor input(long... extents) {
        Shape shape = Shape.of(extents);
        float[] values = new float[(int) shape.elements()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (2 * Math.sin(1.3 * i + 0.4 * (i % 5)) + 0.7);
        }
        return scope.of(shape, values);
    }

    /** Weights and biases that are not 1 and 0. */
    private static void disturb(Module layer) {
        layer.parameters()
                .forEach(
                        (name, p) -> {
                            float[] values = new float[(int) p.shape().elements()];
                            for (int i = 0; i < values.length; i++) {
                                values[i] = (float) (0.8 + 0.5 * Math.cos(i + name.length()));
                            }
                            p.copyFrom(values);
                        });
    }

    /** -log N(0.2; y, 1), a mean over rows. */
    private static Tensor loss(Tape tape, Tensor y) {
        Tensor rows = y.reshape(Shape.of(y.shape().rows(), y.shape().get(-1)));
        tape.record("reshape", y, rows, dy -> dy.reshape(y.shape()));
        Tensor x = tape.scope().filled(rows.shape(), 0.2f);
        return Likelihoods.gaussian(1)
                .loss(tape, rows, x, tape.scope().scalar(1.0f / rows.shape().get(0)))
                .total();
    }

    private <L extends Module & Layer> void checkGradients(L layer, Tensor x) {
        disturb(layer);
        // Differences are taken on inference tapes, where batch norm would be another function.
        GradientCheck.check(scope, x, (tape, t) -> loss(tape, layer.forward(training(tape), t)));
        for (Tensor parameter : layer.parameters().values()) {
            GradientCheck.check(
                    scope, parameter, (tape, t) -> loss(tape, layer.forward(training(tape), x)));
        }
    }

    private static Tape training(Tape tape) {
        return tape.recording() ? tape : new Tape(tape.scope());
    }

    @Test
    void gradientsAreCentralDifferences() {
        checkGradients(new LayerNorm(init, 5), input(4, 5));
        checkGradients(new LayerNorm(init, 18), input(2, 3, 18)); // read item by item
        checkGradients(new GroupNorm(init, 2, 6), input(2, 3, 3, 6));
        checkGradients(new GroupNorm(init, 2, 34), input(2, 2, 34)); // likewise
        checkGradients(new GroupNorm(init, 4, 4), input(2, 2, 3, 4)); // instance norm
        checkGradients(new BatchNorm(init, 3), input(7, 3));
        checkGradients(new BatchNorm(init, 4), input(2, 3, 2, 4));
    }

    @Test
    void layerAndGroupNormAreTheFormula() {
        LayerNorm layer = new LayerNorm(init, 4);
        disturb(layer);
        Tensor x = input(3, 4);
        assertArrayEquals(
                expected(x.toFloatArray(), layer, i -> i / 4),
                layer.forward(Tape.inference(scope), x).toFloatArray(),
                1e-5f);
        GroupNorm group = new GroupNorm(init, 2, 4);
        disturb(group);
        Tensor images = input(2, 3, 3, 4);
        assertArrayEquals(
                expected(images.toFloatArray(), group, i -> i / 36 * 2 + i % 4 / 2),
                group.forward(Tape.inference(scope), images).toFloatArray(),
                1e-5f);
    }

    /** The formula in fp64; {@code item} says which value belongs to which mean. */
    private static float[] expected(
            float[] x, Module layer, java.util.function.IntUnaryOperator item) {
        float[] weight = layer.parameters().get("weight").toFloatArray();
        float[] bias = layer.parameters().get("bias").toFloatArray();
        float[] y = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            double n = 0;
            double sum = 0;
            double squares = 0;
            for (int j = 0; j < x.length; j++) {
                if (item.applyAsInt(j) == item.applyAsInt(i)) {
                    n++;
                    sum += x[j];
                    squares += (double) x[j] * x[j];
                }
            }
            double mean = sum / n;
            double variance = squares / n - mean * mean;
            int c = i % weight.length;
            y[i] = (float) (weight[c] * (x[i] - mean) / Math.sqrt(variance + 1e-5) + bias[c]);
        }
        return y;
    }

    @Test
    void batchNormTrainsOnTheBatchAndInfersFromRunningStatistics() {
        BatchNorm norm = new BatchNorm(init, 2);
        Tensor x = scope.of(Shape.of(4, 2), 1, 10, 2, 20, 3, 30, 6, 60);
        // Before any training: mean 0, variance 1.
        assertArrayEquals(
                x.toFloatArray(), norm.forward(Tape.inference(scope), x).toFloatArray(), 1e-3f);
        float[] y = norm.forward(new Tape(scope), x).toFloatArray();
        assertArrayEquals(expected(x.toFloatArray(), norm, i -> i % 2), y, 1e-5f);
        // Means 3 and 30; unbiased variances 14 / 3 and 1400 / 3.
        assertArrayEquals(new float[] {0.3f, 3}, norm.runningMean().toFloatArray(), 1e-5f);
        float[] variance = norm.runningVariance().toFloatArray();
        assertArrayEquals(
                new float[] {0.9f + 0.1f * 14 / 3, 0.9f + 0.1f * 1400 / 3}, variance, 1e-4f);
        // Inference uses them, and leaves them.
        float[] inferred = norm.forward(Tape.inference(scope), x).toFloatArray();
        assertEquals((1 - 0.3) / Math.sqrt(variance[0] + 1e-5), inferred[0], 1e-5);
        assertEquals((60 - 3.0) / Math.sqrt(variance[1] + 1e-5), inferred[7], 1e-4);
        assertArrayEquals(variance, norm.runningVariance().toFloatArray());
        // The running statistics are kept with the parameters, but nobody asks for their gradient.
        assertEquals(List.of("weight", "bias"), new ArrayList<>(norm.parameters().keySet()));
        assertEquals(
                List.of("runningMean", "runningVariance"),
                new ArrayList<>(norm.buffers().keySet()));
    }

    @Test
    void aBatchThatIsNotFiniteLeavesTheRunningStatistics() {
        BatchNorm norm = new BatchNorm(init, 2);
        Tensor y = norm.forward(new Tape(scope), scope.of(Shape.of(2, 2), 1, Float.NaN, 3, 4));
        assertTrue(Float.isNaN(y.toFloatArray()[3]));
        assertEquals(-1, y.toFloatArray()[0], 1e-4);
        assertArrayEquals(new float[] {0.2f, 0}, norm.runningMean().toFloatArray(), 1e-6f);
        assertArrayEquals(new float[] {1.1f, 1}, norm.runningVariance().toFloatArray(), 1e-6f);
    }

    /** Large enough to be shared out; few and many images go different ways. */
    @Test
    void resultsDoNotDependOnTheNumberOfCores() {
        Tensor few = input(2, 300, 64);
        Tensor many = input(40, 30, 40);
        for (NormOps.Options options :
                List.of(
                        NormOps.Options.layer(),
                        NormOps.Options.group(8),
                        NormOps.Options.batch())) {
            for (Tensor x : List.of(few, many)) {
                device.threads(1);
                List<float[]> one = everything(options, x);
                device.threads(3);
                List<float[]> three = everything(options, x);
                for (int i = 0; i < one.size(); i++) {
                    assertArrayEquals(one.get(i), three.get(i), options + " " + i);
                }
            }
        }
    }

    private List<float[]> everything(NormOps.Options options, Tensor x) {
        NormOps.Result r = NormOps.forward(scope, options, x, null, null, null);
        NormOps.Gradients d =
                NormOps.backward(
                        scope, options, x, null, r.statistics(), input(x.shape().toArray()), true);
        return List.of(
                r.y().toFloatArray(),
                r.statistics().toFloatArray(),
                d.dx().toFloatArray(),
                d.dGamma().toFloatArray(),
                d.dBeta().toFloatArray());
    }

    @Test
    void plainNormalizationTakesNoParameters() {
        Tensor x = input(3, 7);
        NormOps.Result r = NormOps.forward(scope, NormOps.Options.layer(), x, null, null, null);
        assertArrayEquals(
                new LayerNorm(init, 7).forward(Tape.inference(scope), x).toFloatArray(),
                r.y().toFloatArray());
        NormOps.Gradients d =
                NormOps.backward(
                        scope, NormOps.Options.layer(), x, null, r.statistics(), r.y(), false);
        assertNull(d.dx());
        assertEquals(Shape.of(7), d.dGamma().shape());
        // No rows: no values, but the parameters' gradients are there, and 0.
        Tensor none = scope.empty(Shape.of(0, 7));
        NormOps.Result empty =
                NormOps.forward(scope, NormOps.Options.layer(), none, null, null, null);
        float[] dBeta =
                NormOps.backward(
                                scope,
                                NormOps.Options.layer(),
                                none,
                                null,
                                empty.statistics(),
                                none,
                                true)
                        .dBeta()
                        .toFloatArray();
        assertArrayEquals(new float[7], dBeta);
    }

    @Test
    void badShapesAndSettingsAreNamed() {
        Tape tape = new Tape(scope);
        assertMessage("at least one channel, got 0", () -> new LayerNorm(init, 0));
        assertMessage("3 groups do not divide 4 channels", () -> new GroupNorm(init, 3, 4));
        assertMessage("0 groups", () -> new GroupNorm(init, 0, 4));
        assertMessage(
                "gamma must be [5], got [4]",
                () -> new LayerNorm(init, 4).forward(tape, input(2, 5)));
        assertMessage(
                "at least 2 axes, got [4]",
                () -> new GroupNorm(init, 2, 4).forward(tape, input(4)));
        assertMessage(
                "at least two values a channel in training, got x [1, 4]",
                () -> new BatchNorm(init, 4).forward(tape, input(1, 4)));
        assertMessage(
                "x [0, 4] has no values",
                () ->
                        new BatchNorm(init, 4)
                                .forward(Tape.inference(scope), scope.empty(Shape.of(0, 4))));
        NormOps.Options layer = NormOps.Options.layer();
        assertMessage(
                "statistics must be [3, 2], got [3, 1]",
                () ->
                        NormOps.backward(
                                scope, layer, input(2, 4), null, input(3, 1), input(2, 4), true));
        assertMessage(
                "dy must be [2, 4], got [4, 2]",
                () ->
                        NormOps.backward(
                                scope, layer, input(2, 4), null, input(3, 2), input(4, 2), true));
        NormOps.Running running = new NormOps.Running(input(4), input(4), 0.1f);
        assertThrows(
                IllegalArgumentException.class,
                () -> NormOps.forward(scope, layer, input(2, 4), null, null, running));
        assertThrows(
                IllegalArgumentException.class,
                () -> NormOps.inference(scope, layer, input(2, 4), null, null, input(4), input(4)));
        assertThrows(IllegalArgumentException.class, () -> layer.withEpsilon(0));
        assertThrows(IllegalArgumentException.class, () -> NormOps.Options.group(0));
        assertThrows(
                IllegalArgumentException.class, () -> new NormOps.Running(input(4), input(4), 2));
    }

    private static void assertMessage(String part, Runnable action) {
        String message = assertThrows(ShapeException.class, action::run).getMessage();
        assertTrue(message.contains(part), message);
    }
}
