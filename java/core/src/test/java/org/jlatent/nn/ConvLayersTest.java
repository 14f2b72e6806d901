package org.jlatent.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.jlatent.Activation;
import org.jlatent.ConvOps;
import org.jlatent.DType;
import org.jlatent.Device;
import org.jlatent.GradientCheck;
import org.jlatent.OnEveryDevice;
import org.jlatent.PoolOps;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.TestDevice;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Gradients of convolutional modules by central differences, and their shapes. */
@OnEveryDevice
final class ConvLayersTest {
    private static final ConvOps.Options PLAIN = ConvOps.Options.plain();

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

    /** -log N(0.2; y, 1), a mean over values, so that it is of order 1. */
    private Tensor loss(Tape tape, Tensor y) {
        Tensor flat = Functions.reshape(tape, y, Shape.of(1, y.shape().elements()));
        Tensor x = tape.scope().filled(flat.shape(), 0.2f);
        return Likelihoods.gaussian(1)
                .loss(tape, flat, x, tape.scope().scalar(4.0f / y.shape().elements()))
                .total();
    }

    private <L extends Module & Layer> void checkGradients(L layer, Tensor x) {
        GradientCheck.check(scope, x, (tape, t) -> loss(tape, layer.forward(tape, t)));
        for (Tensor parameter : layer.parameters().values()) {
            GradientCheck.check(scope, parameter, (tape, t) -> loss(tape, layer.forward(tape, x)));
        }
    }

    @Test
    void convolutions() {
        Tensor x = input(2, 5, 4, 4);
        for (Activation activation : new Activation[] {Activation.IDENTITY, Activation.SILU}) {
            checkGradients(new Conv2d(init, 4, 6, 3, PLAIN.withPadding(1, 1), activation), x);
        }
        checkGradients(
                new Conv2d(
                        init,
                        4,
                        2,
                        2,
                        3,
                        PLAIN.withStride(2, 1)
                                .withPadding(1, 0, 0, 2)
                                .withDilation(2, 1)
                                .withGroups(2),
                        Activation.TANH),
                x);
        checkGradients(new Conv1d(init, 3, 4, 3, 2, 2, 2, 1, Activation.IDENTITY), input(2, 9, 3));
    }

    @Test
    void transposedConvolutions() {
        Tensor x = input(2, 3, 2, 4);
        checkGradients(
                new ConvTranspose2d(
                        init,
                        4,
                        3,
                        4,
                        PLAIN.withStride(2, 2).withPadding(1, 1),
                        Activation.SOFTPLUS),
                x);
        checkGradients(
                new ConvTranspose2d(
                        init,
                        4,
                        6,
                        3,
                        2,
                        PLAIN.withStride(3, 2).withPadding(1, 0).withGroups(2),
                        2,
                        1,
                        Activation.IDENTITY),
                x);
    }

    @Test
    void residualBlockAndPooling() {
        Tensor x = input(2, 4, 5, 3);
        checkGradients(new ResidualBlock(init, 3, 4), x);
        PoolOps.Options overlapping = new PoolOps.Options(3, 2, 2, 1, 1, 0, true);
        for (PoolOps.Options options :
                new PoolOps.Options[] {
                    PoolOps.Options.max(2), PoolOps.Options.average(2), overlapping
                }) {
            GradientCheck.check(
                    scope, x, (tape, t) -> loss(tape, new Pool2d(options).forward(tape, t)));
        }
    }

    /** What a convolution makes of a shape, its transpose undoes, for every remainder. */
    @Test
    void transposedUndoesShapes() {
        for (int size = 5; size <= 9; size++) {
            ConvOps.Options options = PLAIN.withStride(3, 2).withPadding(1, 0);
            Tensor x = input(1, size, size + 1, 2);
            Tensor y =
                    new Conv2d(init, 2, 5, 3, options, Activation.RELU)
                            .forward(Tape.inference(scope), x);
            long height = y.shape().get(1);
            long width = y.shape().get(2);
            int extraHeight = (int) (size - ((height - 1) * 3 + 3 - 2));
            int extraWidth = (int) (size + 1 - ((width - 1) * 2 + 3));
            ConvTranspose2d back =
                    new ConvTranspose2d(
                            init,
                            5,
                            2,
                            3,
                            3,
                            options,
                            extraHeight,
                            extraWidth,
                            Activation.IDENTITY);
            assertEquals(x.shape(), back.forward(Tape.inference(scope), y).shape());
        }
    }

    @Test
    void maximaAreOfTheirWindows() {
        Tensor x = scope.of(Shape.of(1, 2, 4, 1), 1, 5, -3, -4, 2, 5, -9, -1);
        Tensor y = new Pool2d(PoolOps.Options.max(2)).forward(Tape.inference(scope), x);
        assertArrayEquals(new float[] {5, -1}, y.toFloatArray());
        y = new Pool2d(PoolOps.Options.average(2)).forward(Tape.inference(scope), x);
        assertArrayEquals(new float[] {3.25f, -4.25f}, y.toFloatArray());
    }

    @Test
    void bf16ImagesAndWeights() {
        Tensor x = scope.empty(Shape.of(1, 3, 3, 2), DType.BF16);
        Tensor weight = scope.empty(Shape.of(4, 3, 3, 2), DType.BF16);
        float[] ones = new float[18];
        java.util.Arrays.fill(ones, 1);
        x.copyFrom(ones);
        float[] values = new float[72];
        for (int i = 0; i < values.length; i++) {
            values[i] = i / 18 + 1;
        }
        weight.copyFrom(values);
        Tensor bias = scope.of(Shape.of(4), 0.5f, 0, 0, 0);
        Tensor y = ConvOps.forward(scope, x, weight, bias, PLAIN, Activation.IDENTITY);
        assertEquals(DType.BF16, y.dtype());
        assertArrayEquals(new float[] {18.5f, 36, 54, 72}, y.toFloatArray());
        Tensor dWeight = ConvOps.weightGradient(scope, x, y, weight.shape(), PLAIN);
        assertEquals(DType.F32, dWeight.dtype());
        assertEquals(18.5f, dWeight.toFloatArray()[17]);
        assertMessage(
                "conv of F32 tensors cannot give BF16",
                () ->
                        ConvOps.forward(
                                scope,
                                input(1, 3, 3, 2),
                                scope.zeros(weight.shape()),
                                null,
                                PLAIN,
                                Activation.RELU,
                                DType.BF16));
        assertThrows(
                ShapeException.class,
                () ->
                        ConvOps.forward(
                                scope,
                                x,
                                scope.zeros(weight.shape()),
                                null,
                                PLAIN,
                                Activation.RELU));
    }

    @Test
    void whatDoesNotFitIsNamed() {
        Tensor x = input(2, 5, 4, 4);
        assertMessage(
                "kernel of 7x7 does not fit",
                () -> new Conv2d(init, 4, 2, 7, PLAIN, Activation.RELU).forward(tape(), x));
        assertMessage(
                "does not fit images [2, 5, 4, 4]",
                () -> new Conv2d(init, 3, 2, 3, PLAIN, Activation.RELU).forward(tape(), x));
        assertMessage(
                "from 4 to 3 channels",
                () -> new Conv2d(init, 4, 3, 3, PLAIN.withGroups(2), Activation.RELU));
        assertMessage(
                "got [8, 20]",
                () ->
                        new Conv2d(init, 4, 3, 3, PLAIN, Activation.RELU)
                                .forward(tape(), input(8, 20)));
        assertMessage(
                "less than the strides",
                () -> new ConvTranspose2d(init, 4, 4, 3, 3, PLAIN, 1, 0, Activation.RELU));
        assertMessage(
                "leaves nothing",
                () ->
                        new ConvTranspose2d(init, 4, 4, 1, PLAIN.withPadding(3, 3), Activation.RELU)
                                .forward(tape(), x));
        assertMessage("window of 6x6", () -> new Pool2d(PoolOps.Options.max(6)).forward(tape(), x));
        assertThrows(IllegalArgumentException.class, () -> PLAIN.withStride(0, 1));
        assertThrows(IllegalArgumentException.class, () -> PLAIN.withPadding(-1, 0));
        assertThrows(IllegalArgumentException.class, () -> PLAIN.withDilation(1, 0));
        assertThrows(IllegalArgumentException.class, () -> PoolOps.Options.max(0));
    }

    private Tape tape() {
        return Tape.inference(scope);
    }

    private static void assertMessage(String part, Runnable run) {
        ShapeException e = assertThrows(ShapeException.class, run::run);
        assertTrue(e.getMessage().contains(part), e.getMessage());
    }
}
