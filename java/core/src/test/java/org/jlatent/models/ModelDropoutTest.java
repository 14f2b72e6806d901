package org.jlatent.models;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.Stream;
import org.jlatent.Device;
import org.jlatent.OnEveryDevice;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.TestDevice;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.Init;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Dropout inside models: in training only, other values every step, wherever the network is. */
@OnEveryDevice
final class ModelDropoutTest {
    private static final ImageShape SHAPE = new ImageShape(4, 4, 1);
    private static final int BATCH = 3;

    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    /** Makes a model of 4x4 zeros and ones. */
    private interface Maker {
        Model make(Init init, float dropout);
    }

    private static GatedPixelCnnConfig gated(float dropout) {
        return TinyPixelModels.small().withKernels(3, 3).withDropout(dropout);
    }

    private static Model plusPlus(Init init, float dropout) {
        PixelCnnPlusPlusConfig config = TinyPixelModels.plusPlus(1).withDropout(dropout);
        return new PixelCnnPlusPlus(init, SHAPE, config, 1);
    }

    private static Model pixelVae(Init init, float dropout) {
        VaeConfig vae = VaeConfig.defaults().withHidden(8).withLatent(2);
        GatedPixelCnnConfig pixels = gated(dropout).withConditionChannels(2);
        return new PixelVae(
                init, SHAPE, PixelVaeConfig.defaults().withVae(vae).withPixels(pixels), 1);
    }

    /** Of two maps, 2x2 and 2x6: as many codes as there are values. */
    private static Model prior(Init init, float dropout) {
        List<CodeMap> maps =
                List.of(
                        new CodeMap("top", new ImageShape(2, 2, 1), 2),
                        new CodeMap("bottom", new ImageShape(2, 6, 1), 2));
        return new CodePrior(init, maps, gated(dropout), 1);
    }

    static Stream<Named<Maker>> models() {
        return Stream.of(
                Named.of(
                        "GatedPixelCnn",
                        (init, dropout) -> new GatedPixelCnn(init, SHAPE, gated(dropout), 1)),
                Named.of("PixelCnnPlusPlus", ModelDropoutTest::plusPlus),
                Named.of("PixelVae", ModelDropoutTest::pixelVae),
                Named.of("CodePrior", ModelDropoutTest::prior));
    }

    @ParameterizedTest
    @MethodSource("models")
    void itIsForTrainingOnly(Maker maker) {
        Model none = maker.make(new Init(scope, 1), 0);
        Model half = maker.make(new Init(scope, 1), 0.5f);
        Tensor x = images();
        float expected = loss(none, new Tape(scope), x);
        assertEquals(expected, loss(half, Tape.inference(scope), x));
        float dropped = loss(half, new Tape(scope), x);
        assertNotEquals(expected, dropped);
        assertEquals(dropped, loss(half, new Tape(scope), x));
        none.random().advance();
        half.random().advance();
        assertNotEquals(dropped, loss(half, new Tape(scope), x));
        assertEquals(loss(none, new Tape(scope), x), loss(half, Tape.inference(scope), x));
    }

    private Tensor images() {
        float[] values = new float[BATCH * SHAPE.values()];
        for (int i = 0; i < values.length; i++) {
            values[i] = i * 7 % 5 % 2;
        }
        return scope.of(Shape.of(BATCH, SHAPE.values()), values);
    }

    private static float loss(Model model, Tape tape, Tensor x) {
        return model.objective(tape, x).loss().item();
    }

    @Test
    void itIsAProbabilityBelowOne() {
        GatedPixelCnnConfig config = GatedPixelCnnConfig.defaults();
        for (float wrong : new float[] {-0.1f, 1, Float.NaN}) {
            String message =
                    assertThrows(IllegalArgumentException.class, () -> config.withDropout(wrong))
                            .getMessage();
            assertTrue(message.contains("dropout must be in [0, 1), got " + wrong), message);
        }
    }
}
