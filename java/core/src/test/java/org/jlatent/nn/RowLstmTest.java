package org.jlatent.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.jlatent.Device;
import org.jlatent.GradientCheck;
import org.jlatent.OnEveryDevice;
import org.jlatent.Ops;
import org.jlatent.Random;
import org.jlatent.RowLstmOps;
import org.jlatent.SamplerProgram;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.Tensor;
import org.jlatent.TestDevice;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The row LSTM, and what leads from one row to the next. */
@OnEveryDevice
final class RowLstmTest {
    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    private Tensor input(double factor, long... extents) {
        Shape shape = Shape.of(extents);
        float[] values = new float[(int) shape.elements()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (factor * Math.sin(1.3 * i + 0.4));
        }
        return scope.of(shape, values);
    }

    private static double sigmoid(double x) {
        return 1 / (1 + Math.exp(-x));
    }

    /** eq. 3, value by value, in double. */
    private static double[] reference(
            int images, int height, int width, int channels, float[] sums, float[] state) {
        double[] c = new double[images * height * width * channels];
        double[] h = new double[c.length];
        int row = width * channels;
        for (int i = 0; i < h.length; i++) {
            int x = i / channels % width;
            int channel = i % channels;
            boolean first = i / row % height == 0;
            double[] s = new double[4];
            for (int k = 0; k < 4; k++) {
                s[k] = sums[4 * i + k];
                for (int tap = 0; tap < 3 * channels && !first; tap++) {
                    int at = x + tap / channels - 1;
                    if (at >= 0 && at < width) {
                        int above = i - row - channel + (at - x) * channels + tap % channels;
                        s[k] += state[(4 * channel + k) * 3 * channels + tap] * h[above];
                    }
                }
            }
            c[i] = sigmoid(s[1]) * (first ? 0 : c[i - row]) + sigmoid(s[2]) * Math.tanh(s[3]);
            h[i] = sigmoid(s[0]) * Math.tanh(c[i]);
        }
        return h;
    }

    @Test
    void rowsAreThoseOfTheFormula() {
        for (int[] s : new int[][] {{1, 1, 1, 1}, {2, 5, 4, 3}, {1, 3, 1, 5}, {3, 2, 7, 4}}) {
            Tensor sums = input(2, s[0], s[1], s[2], 4L * s[3]);
            Tensor state = input(0.7, RowLstmOps.stateShape(s[3]).toArray());
            float[] h = RowLstmOps.forward(scope, sums, state).h().toFloatArray();
            double[] expected =
                    reference(s[0], s[1], s[2], s[3], sums.toFloatArray(), state.toFloatArray());
            for (int i = 0; i < h.length; i++) {
                assertEquals(expected[i], h[i], 2e-6, "value " + i);
            }
        }
    }

    @Test
    void gradientsAreCentralDifferences() {
        for (int groups : new int[] {1, 2}) {
            RowLstm layer = new RowLstm(new Init(scope, 1), 4, 2, groups);
            assertEquals(
                    List.of("state", "input.weight", "input.bias"),
                    List.copyOf(layer.parameters().keySet()));
            Tensor x = input(1, 2, 4, 3, 4);
            List<Tensor> leaves = new ArrayList<>(layer.parameters().values());
            leaves.add(x);
            for (Tensor leaf : leaves) {
                GradientCheck.check(
                        scope,
                        leaf,
                        (tape, t) -> {
                            Tensor y = layer.forward(tape, x);
                            Tensor weights = input(0.5, y.shape().toArray());
                            return Functions.sum(tape, Functions.multiply(tape, y, weights));
                        });
            }
        }
    }

    @Test
    void threadsChangeNothing() {
        List<float[]> one = gradients(1);
        List<float[]> three = gradients(3);
        for (int i = 0; i < one.size(); i++) {
            assertArrayEquals(one.get(i), three.get(i), "array " + i);
        }
    }

    private static List<float[]> gradients(int threads) {
        try (Device device = Device.cpu().threads(threads);
                Scope scope = new Scope(device)) {
            Random random = new Random(scope, 1);
            Tensor sums = Ops.randomNormal(scope, Shape.of(5, 7, 19, 4 * 23), random, 1);
            Tensor state = Ops.randomNormal(scope, RowLstmOps.stateShape(23), random, 2);
            RowLstmOps.Result r = RowLstmOps.forward(scope, sums, state);
            Tensor dh = Ops.randomNormal(scope, r.h().shape(), random, 3);
            RowLstmOps.Gradients d = RowLstmOps.backward(scope, r, state, dh);
            return List.of(
                    r.h().toFloatArray(), d.dSums().toFloatArray(), d.dState().toFloatArray());
        }
    }

    @Test
    void whatDoesNotFitIsNamed() {
        Tensor state = input(1, 8, 1, 3, 2);
        fails(
                "gates must be [batch, height, width, 4 channels]",
                () -> RowLstmOps.forward(scope, input(1, 1, 2, 3, 6), state));
        fails("got [2, 8]", () -> RowLstmOps.forward(scope, input(1, 2, 8), state));
        fails(
                "state must be [12, 1, 3, 3], got [8, 1, 3, 2]",
                () -> RowLstmOps.forward(scope, input(1, 1, 2, 3, 12), state));
        RowLstmOps.Result r = RowLstmOps.forward(scope, input(1, 1, 2, 3, 8), state);
        fails(
                "dh must be [1, 2, 3, 2], got [1, 2, 3, 8]",
                () -> RowLstmOps.backward(scope, r, state, input(1, 1, 2, 3, 8)));
        fails(
                "gates of state [8, 1, 3, 2] must have 8 channels, node 0 has 3",
                () -> {
                    SamplerProgram program = new SamplerProgram();
                    program.pixels(3, 1, 0);
                    program.rowLstm(state, above -> 0);
                });
    }

    private static void fails(String part, Runnable run) {
        ShapeException e = assertThrows(ShapeException.class, run::run);
        assertTrue(e.getMessage().contains(part), e.getMessage());
    }
}
