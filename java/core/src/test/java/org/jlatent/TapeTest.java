package org.jlatent;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.jlatent.nn.Elementwise;
import org.jlatent.nn.Functions;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

@OnEveryDevice
final class TapeTest {
    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    @Test
    void gradientsOfATensorUsedTwiceAddUp() {
        Tensor x = scope.of(Shape.of(2), 3, -1);
        Tape tape = new Tape(scope);
        tape.watch(x);
        Tensor loss = Functions.sum(tape, Functions.add(tape, x, x));
        tape.backward(loss);
        assertThrows(IllegalStateException.class, () -> tape.backward(loss), "once a tape");
        assertArrayEquals(new float[] {2, 2}, tape.gradient(x).toFloatArray());
    }

    @Test
    void nothingIsComputedForWhatIsNotWatched() {
        Tensor x = scope.scalar(1);
        Tensor other = scope.scalar(2);
        Tape tape = new Tape(scope);
        tape.watch(x);
        tape.record(
                "never",
                other,
                Ops.add(scope, other, other),
                d -> {
                    throw new AssertionError("backward of an operation that nothing depends on");
                });
        tape.backward(Functions.sum(tape, x));
        assertNull(tape.gradient(other));
        assertEquals(1, tape.gradient(x).item());
    }

    @Test
    void inferenceRecordsNothing() {
        Tape tape = Tape.inference(scope);
        Tensor x = scope.scalar(1);
        tape.watch(x);
        Tensor loss = Functions.sum(tape, x);
        assertThrows(IllegalStateException.class, () -> tape.backward(loss));
    }

    @Test
    void badLossesAreNamed() {
        Tape tape = new Tape(scope);
        Tensor pair = scope.zeros(Shape.of(2));
        assertTrue(
                assertThrows(ShapeException.class, () -> tape.backward(pair))
                        .getMessage()
                        .contains("[2]"));
        assertThrows(IllegalStateException.class, () -> tape.backward(scope.scalar(1)));
    }

    @Test
    void theGradientCheckFindsAWrongGradient() {
        Tensor x = scope.of(Shape.of(3), 0.3f, -0.2f, 0.7f);
        GradientCheck.check(
                scope,
                x,
                (tape, t) ->
                        Functions.sum(tape, new Elementwise(Activation.TANH).forward(tape, t)));
        AssertionError error =
                assertThrows(
                        AssertionError.class,
                        () ->
                                GradientCheck.check(
                                        scope,
                                        x,
                                        (tape, t) -> {
                                            Tensor y =
                                                    Ops.activationForward(
                                                            tape.scope(), Activation.TANH, t);
                                            return Functions.sum(
                                                    tape,
                                                    tape.record(
                                                            "wrong",
                                                            t,
                                                            y,
                                                            d -> Ops.add(tape.scope(), d, d)));
                                        }));
        assertTrue(error.getMessage().contains("element 0"), error.getMessage());
    }

    @Test
    void everyActivationHasTheGradientOfItsDifferences() {
        Tensor x = scope.of(Shape.of(5), -2.3f, -0.4f, 0.3f, 1.7f, 4.1f);
        for (Activation activation : Activation.values()) {
            GradientCheck.check(
                    scope,
                    x,
                    (tape, t) -> Functions.sum(tape, new Elementwise(activation).forward(tape, t)));
        }
    }
}
