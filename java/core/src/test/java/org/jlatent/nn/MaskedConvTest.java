package org.jlatent.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jlatent.Device;
import org.jlatent.GradientCheck;
import org.jlatent.MaskedConvOps;
import org.jlatent.MaskedConvOps.Epilogue;
import org.jlatent.MaskedConvOps.Options;
import org.jlatent.MaskedConvOps.Taps;
import org.jlatent.OnEveryDevice;
import org.jlatent.Ops;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.TestDevice;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The operation itself is tested in kernels/masked_conv; this is what Java makes of it. */
@OnEveryDevice
final class MaskedConvTest {
    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);
    private final Init init = new Init(scope, 5);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    private Tensor input(long... extents) {
        Shape shape = Shape.of(extents);
        float[] values = new float[(int) shape.elements()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) Math.sin(1.3 * i + 0.4);
        }
        return scope.of(shape, values);
    }

    /** A sum in which every element has a weight of its own; of order 1. */
    private Tensor loss(Tape tape, Tensor y) {
        Tensor weights = Ops.scale(scope, input(y.shape().toArray()), scope.scalar(0.2f));
        return Functions.sum(tape, Functions.multiply(tape, y, weights));
    }

    @Test
    @Tag("slow-on-stubs")
    void gradientsAreCentralDifferences() {
        Tensor x = input(2, 3, 4, 6);
        Tensor vector = input(2, 12);
        Tensor map = input(2, 3, 4, 12);
        for (Taps taps : Taps.values()) {
            for (Epilogue epilogue : List.of(Epilogue.PLAIN, Epilogue.GATE, Epilogue.GLU)) {
                Options options = Options.of(taps, 3).withEpilogue(epilogue);
                if (!taps.name().startsWith("VERTICAL")) {
                    options = options.withGroups(3);
                }
                int out = epilogue.isGated() ? 6 : 12;
                MaskedConv2d layer = new MaskedConv2d(init, 6, out, options);
                assertEquals(List.of("weight", "bias"), List.copyOf(layer.parameters().keySet()));
                List<Tensor> leaves = new ArrayList<>(layer.parameters().values());
                leaves.addAll(List.of(x, vector, map));
                for (Tensor leaf : leaves) {
                    GradientCheck.check(
                            scope,
                            leaf,
                            (tape, t) -> loss(tape, layer.forward(tape, x, vector, map)));
                }
            }
        }
    }

    @Test
    void reluCutsTheSumsAndTheirGradients() {
        Options plain = Options.of(Taps.RASTER_B, 3);
        Tensor x = input(1, 4, 5, 2);
        MaskedConv2d layer = new MaskedConv2d(init, 2, 3, plain.withEpilogue(Epilogue.RELU));
        Tensor weight = layer.parameters().get("weight");
        Tensor bias = layer.parameters().get("bias");
        Tape tape = new Tape(scope);
        layer.watch(tape);
        Tensor y = layer.forward(tape, x);
        tape.backward(Functions.sum(tape, y));
        float[] sums =
                MaskedConvOps.forward(scope, x, weight, bias, null, null, plain, false)
                        .y()
                        .toFloatArray();
        float[] positive = new float[3];
        float[] cut = sums.clone();
        for (int i = 0; i < sums.length; i++) {
            cut[i] = Math.max(sums[i], 0);
            positive[i % 3] += sums[i] > 0 ? 1 : 0;
        }
        assertArrayEquals(cut, y.toFloatArray());
        assertArrayEquals(positive, tape.gradient(bias).toFloatArray());
    }

    /** What a function of an image makes of one pixel, and on which pixels that depends: '#'. */
    private String receptiveField(int height, int width, int y, int x, Layer stack) {
        Tensor image = input(1, height, width, 1);
        Tape tape = new Tape(scope);
        tape.watch(image);
        Tensor out = stack.forward(tape, image);
        int channels = (int) out.shape().get(3);
        float[] selected = new float[(int) out.shape().elements()];
        for (int c = 0; c < channels; c++) {
            selected[(y * width + x) * channels + c] = 1;
        }
        tape.backward(
                Functions.sum(
                        tape, Functions.multiply(tape, out, scope.of(out.shape(), selected))));
        float[] gradient = tape.gradient(image).toFloatArray();
        StringBuilder picture = new StringBuilder();
        for (int i = 0; i < height * width; i++) {
            picture.append(i == y * width + x ? 'o' : gradient[i] == 0 ? '.' : '#');
            picture.append(i % width == width - 1 ? "\n" : "");
        }
        return picture.toString();
    }

    private MaskedConv2d gated(Taps taps, int kernel, int in, int out) {
        return new MaskedConv2d(
                init, in, out, Options.of(taps, kernel).withEpilogue(Epilogue.GATE));
    }

    /** Two stacks [Gated PixelCNN, fig. 2] see all that comes before a pixel, and nothing else. */
    @Test
    void verticalAndHorizontalStacksHaveNoBlindSpot() {
        int layers = 4;
        int width = 3;
        List<MaskedConv2d> vertical = new ArrayList<>();
        List<MaskedConv2d> horizontal = new ArrayList<>();
        List<MaskedConv2d> links = new ArrayList<>();
        for (int i = 0; i < layers; i++) {
            int in = i == 0 ? 1 : width;
            vertical.add(gated(i == 0 ? Taps.VERTICAL_A : Taps.VERTICAL_B, 3, in, width));
            horizontal.add(gated(i == 0 ? Taps.HORIZONTAL_A : Taps.HORIZONTAL_B, 3, in, width));
            links.add(new MaskedConv2d(init, width, 2 * width, Options.of(Taps.RASTER_B, 1)));
        }
        Layer stacks =
                (tape, x) -> {
                    Tensor v = x;
                    Tensor h = x;
                    for (int i = 0; i < layers; i++) {
                        v = vertical.get(i).forward(tape, v);
                        Tensor link = links.get(i).forward(tape, v);
                        h = horizontal.get(i).forward(tape, h, null, link);
                    }
                    return h;
                };
        assertEquals(
                """
                #######
                #######
                #######
                ###o...
                .......
                """,
                receptiveField(5, 7, 3, 3, stacks));
        // The same depth of raster kernels does not see what is to the right above.
        List<MaskedConv2d> raster = new ArrayList<>();
        for (int i = 0; i < layers; i++) {
            raster.add(gated(i == 0 ? Taps.RASTER_A : Taps.RASTER_B, 3, i == 0 ? 1 : width, width));
        }
        Layer stack =
                (tape, x) -> {
                    for (MaskedConv2d layer : raster) {
                        x = layer.forward(tape, x);
                    }
                    return x;
                };
        assertEquals(
                """
                #######
                ######.
                #####..
                ###o...
                .......
                """,
                receptiveField(5, 7, 3, 3, stack));
    }

    @Test
    void threadsChangeNothing() {
        List<float[]> one = gradients(1);
        for (int threads : new int[] {2, 3}) {
            List<float[]> several = gradients(threads);
            for (int i = 0; i < one.size(); i++) {
                assertArrayEquals(one.get(i), several.get(i), "array " + i);
            }
        }
    }

    private static List<float[]> gradients(int threads) {
        Options options = Options.of(Taps.RASTER_B, 3).withEpilogue(Epilogue.GATE);
        try (Device device = Device.cpu().threads(threads);
                Scope scope = new Scope(device)) {
            Random random = new Random(scope, 1);
            Tensor x = Ops.randomNormal(scope, Shape.of(5, 17, 19, 23), random, 1);
            Tensor weight = Ops.randomNormal(scope, options.weightShape(23, 90), random, 2);
            Tensor dy = Ops.randomNormal(scope, Shape.of(5, 17, 19, 45), random, 3);
            MaskedConvOps.Result r =
                    MaskedConvOps.forward(scope, x, weight, null, null, null, options, true);
            Tensor dSums = MaskedConvOps.backwardGate(scope, options.epilogue(), r.gates(), dy);
            MaskedConvOps.Gradients d = MaskedConvOps.backwardWeight(scope, x, dSums, options);
            List<float[]> all = new ArrayList<>();
            for (Tensor t :
                    List.of(
                            r.y(),
                            r.gates(),
                            dSums,
                            MaskedConvOps.backwardData(scope, dSums, weight, options),
                            d.dWeight(),
                            d.dBias())) {
                all.add(t.toFloatArray());
            }
            return all;
        }
    }

    @Test
    void gatesAreKeptWhereTheyAreWanted() {
        Options options = Options.of(Taps.RASTER_A, 3);
        Tensor x = input(1, 2, 2, 3);
        Tensor weight = input(4, 3, 3, 3);
        for (Epilogue epilogue : Epilogue.values()) {
            for (boolean gradient : Set.of(true, false)) {
                boolean kept =
                        MaskedConvOps.forward(
                                                scope,
                                                x,
                                                weight,
                                                null,
                                                null,
                                                null,
                                                options.withEpilogue(epilogue),
                                                gradient)
                                        .gates()
                                != null;
                assertEquals(gradient && epilogue.isGated(), kept);
            }
        }
    }

    @Test
    void whatDoesNotFitIsNamed() {
        Options options = Options.of(Taps.RASTER_B, 3);
        for (int kernel : new int[] {0, -3, 4, 32769}) {
            assertMessage(
                    IllegalArgumentException.class,
                    "kernel must be odd and from 1 to 32767, got " + kernel,
                    () -> Options.of(Taps.RASTER_B, kernel));
        }
        assertMessage(
                IllegalArgumentException.class,
                "groups must be at least 1, got 0",
                () -> options.withGroups(0));
        assertMessage(
                IllegalArgumentException.class,
                "groups must be 1 for VERTICAL_A, got 3",
                () -> Options.of(Taps.VERTICAL_A, 3).withGroups(3));
        assertMessage(
                IllegalArgumentException.class,
                "a kernel of 1 leaves nothing of HORIZONTAL_A",
                () -> Options.of(Taps.HORIZONTAL_A, 1));
        assertMessage(
                ShapeException.class,
                "3 groups do not divide 4 channels and 6 outputs",
                () -> new MaskedConv2d(init, 4, 6, options.withGroups(3)));
        assertMessage(
                ShapeException.class,
                "3 groups do not divide 6 channels and 4 outputs",
                () ->
                        new MaskedConv2d(
                                init, 6, 4, options.withGroups(3).withEpilogue(Epilogue.GATE)));
        assertMessage(
                ShapeException.class,
                "even number of filters, got 2 channels and 5 filters",
                () -> options.withEpilogue(Epilogue.GATE).weightShape(2, 5));
        MaskedConv2d layer = new MaskedConv2d(init, 3, 4, options);
        assertMessage(
                ShapeException.class,
                "the weight must be [4, 3, 3, 2], got [4, 3, 3, 3]",
                () -> layer.forward(new Tape(scope), input(1, 2, 2, 2)));
        assertMessage(
                ShapeException.class,
                "got [2, 3]",
                () -> layer.forward(new Tape(scope), input(2, 3)));
        assertMessage(
                ShapeException.class,
                "vector must be [1, 4], got [1, 3]",
                () -> layer.forward(new Tape(scope), input(1, 2, 2, 3), input(1, 3), null));
        assertMessage(
                ShapeException.class,
                "map must be [1, 2, 2, 4], got [1, 2, 2, 3]",
                () -> layer.forward(new Tape(scope), input(1, 2, 2, 3), null, input(1, 2, 2, 3)));
    }

    private static void assertMessage(
            Class<? extends RuntimeException> type, String part, Runnable run) {
        RuntimeException e = assertThrows(type, run::run);
        assertTrue(e.getMessage().contains(part), e.getMessage());
    }
}
