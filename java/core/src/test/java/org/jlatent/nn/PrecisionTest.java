package org.jlatent.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jlatent.Activation;
import org.jlatent.ConvOps;
import org.jlatent.DType;
import org.jlatent.Device;
import org.jlatent.MaskedConvOps;
import org.jlatent.Ops;
import org.jlatent.Precision;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;
import org.jlatent.data.Sprites;
import org.jlatent.models.Model;
import org.jlatent.models.Vae;
import org.jlatent.models.VaeConfig;
import org.jlatent.models.VqVae;
import org.jlatent.models.VqVaeConfig;
import org.jlatent.train.Progress;
import org.jlatent.train.Trainer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * bf16 against f32 on factors that were rounded beforehand: the same products, so only the order of
 * sums differs. Central differences cannot look into bf16, whose steps are larger than theirs.
 */
final class PrecisionTest {
    private final Device device = Device.cpu();
    private final Scope scope = new Scope(device);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    private interface Maker {
        Layer make(Init init);
    }

    private record Case(String name, Shape x, Maker maker) {
        @Override
        public String toString() {
            return name;
        }
    }

    static Stream<Case> layers() {
        ConvOps.Options by2 = ConvOps.Options.plain().withStride(2, 2).withPadding(1, 1);
        Activation relu = Activation.RELU;
        MaskedConvOps.Options masked = MaskedConvOps.Options.of(MaskedConvOps.Taps.RASTER_B, 3);
        return Stream.of(
                new Case("linear", Shape.of(9, 37), init -> new Linear(init, 37, 5)),
                new Case("one column", Shape.of(3, 1), init -> new Linear(init, 1, 1)),
                new Case("relu", Shape.of(33, 64), init -> new Linear(init, 64, 48, relu)),
                new Case(
                        "convolution",
                        Shape.of(2, 9, 7, 3),
                        init -> new Conv2d(init, 3, 5, 4, by2, relu)),
                new Case(
                        "groups",
                        Shape.of(2, 6, 5, 4),
                        init -> new Conv2d(init, 4, 6, 3, by2.withGroups(2), relu)),
                new Case(
                        "transposed",
                        Shape.of(2, 4, 3, 6),
                        init -> new ConvTranspose2d(init, 6, 3, 4, by2, relu)),
                new Case(
                        "one dimension",
                        Shape.of(3, 11, 7),
                        init -> new Conv1d(init, 7, 4, 3, 1, 1, 1, 1, Activation.IDENTITY)),
                new Case(
                        "masked convolution",
                        Shape.of(2, 5, 7, 11),
                        init -> new MaskedConv2d(init, 11, 5, masked)),
                new Case(
                        "masked, groups",
                        Shape.of(2, 5, 4, 3),
                        init ->
                                new MaskedConv2d(
                                        init,
                                        3,
                                        6,
                                        masked.withGroups(3)
                                                .withEpilogue(MaskedConvOps.Epilogue.RELU))));
    }

    private Tensor waves(Shape shape, double step) {
        float[] values = new float[(int) shape.elements()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) Math.sin(step * i + 0.4);
        }
        return scope.of(shape, values);
    }

    private Tensor rounded(Tensor x) {
        return Ops.cast(scope, Ops.cast(scope, x, DType.BF16), DType.F32);
    }

    /** What a layer gives, and the gradients of sum(c y): c is the gradient of y. */
    private Map<String, Tensor> run(Tape tape, Layer layer, Tensor x, double c) {
        Map<String, Tensor> leaves = new LinkedHashMap<>();
        leaves.put("x", x);
        leaves.putAll(((Module) layer).parameters());
        leaves.values().forEach(tape::watch);
        Tensor y = layer.forward(tape, x);
        Tensor weights = waves(y.shape(), Math.abs(c));
        Tensor by = c < 0 ? rounded(weights) : weights;
        tape.backward(Functions.sum(tape, Functions.multiply(tape, y, by)));
        Map<String, Tensor> found = new LinkedHashMap<>();
        found.put("y", y);
        leaves.forEach((name, leaf) -> found.put(name, tape.gradient(leaf)));
        return found;
    }

    private static double furthest(float[] a, float[] b) {
        double furthest = 0;
        for (int i = 0; i < a.length; i++) {
            furthest = Math.max(furthest, Math.abs(a[i] - b[i]));
        }
        return furthest;
    }

    @ParameterizedTest
    @MethodSource("layers")
    void factorsAreRoundedAndSumsAreNot(Case c) {
        Layer layer = c.maker.make(new Init(scope, 3));
        Tensor x = waves(c.x, 1.3);
        Map<String, Tensor> exact = run(new Tape(scope), layer, x, 0.7);
        Map<String, Tensor> found = run(new Tape(scope, Precision.BF16), layer, x, 0.7);
        Tensor weight = ((Module) layer).parameters().get("weight");
        weight.copyFrom(rounded(weight).toFloatArray());
        Map<String, Tensor> expected = run(new Tape(scope), layer, rounded(x), -0.7);
        // No factor: the bias's gradient sums what came, unrounded.
        expected.put("bias", run(new Tape(scope), layer, rounded(x), 0.7).get("bias"));
        assertEquals(List.of("y", "x", "weight", "bias"), List.copyOf(found.keySet()));
        found.forEach(
                (name, tensor) -> {
                    assertEquals(DType.F32, tensor.dtype(), name);
                    float[] want = expected.get(name).toFloatArray();
                    assertArrayEquals(want, tensor.toFloatArray(), 2e-5f, name);
                    if (!name.equals("bias")) { // sums rounded like their factors would be off so
                        double off = furthest(exact.get(name).toFloatArray(), want);
                        assertTrue(off > 1e-4, () -> name + " is rounded by " + off);
                    }
                });
    }

    @ParameterizedTest
    @MethodSource("layers")
    void inferenceGivesWhatTrainingSees(Case c) {
        Layer layer = c.maker.make(new Init(scope, 3));
        Tensor x = waves(c.x, 1.3);
        float[] found = layer.forward(Tape.inference(scope, Precision.BF16), x).toFloatArray();
        assertArrayEquals(layer.forward(new Tape(scope, Precision.BF16), x).toFloatArray(), found);
        assertFalse(Arrays.equals(layer.forward(Tape.inference(scope), x).toFloatArray(), found));
    }

    /** Everything that a model says of itself, and all of its state. */
    private void assertInF32(Model model, Tensor x) {
        Tape tape = new Tape(scope, Precision.BF16);
        model.watch(tape);
        Model.Objective objective = model.objective(tape, x);
        tape.backward(objective.loss());
        List<Tensor> all = new ArrayList<>(objective.metrics().values());
        all.add(objective.loss());
        all.addAll(model.state().values());
        for (Tensor parameter : model.parameters().values()) {
            if (tape.gradient(parameter) != null) { // a codebook of moving averages has none
                all.add(tape.gradient(parameter));
            }
        }
        assertTrue(all.size() > 2 * model.parameters().size());
        all.removeIf(tensor -> tensor.dtype() == DType.I32); // counts of codes
        all.forEach(tensor -> assertEquals(DType.F32, tensor.dtype()));
    }

    @Test
    void whatIsNoFactorStaysF32() {
        ImageSet images = new Sprites(16).range(0, 4);
        Tensor x = scope.zeros(Shape.of(4, images.dimensions()));
        Init init = new Init(scope, 1);
        VaeConfig config = VaeConfig.convolutional().withChannels(3).withHidden(8).withLatent(2);
        Vae vae = new Vae(init, images.shape(), config, 1);
        Tape tape = new Tape(scope, Precision.BF16);
        for (Tensor half : vae.encode(tape, x).tensors()) {
            assertEquals(DType.F32, half.dtype());
        }
        assertInF32(vae, x);
        VqVae vqVae =
                new VqVae(
                        init,
                        images.shape(),
                        VqVaeConfig.defaults().withHidden(8).withResidual(1, 4),
                        1);
        vqVae.prepare(images, 1);
        assertTrue(vqVae.state().keySet().stream().anyMatch(name -> name.contains("codebook")));
        assertInF32(vqVae, x);
    }

    private record Trained(double loss, float[] weight) {}

    private Trained train(VaeConfig config, Precision precision) {
        ImageSet images = new Sprites(16).range(0, 300);
        Vae vae = new Vae(new Init(scope, 1), images.shape(), config, 1);
        Progress last =
                Trainer.of(vae)
                        .data(images)
                        .validation(images)
                        .batchSize(30)
                        .steps(30)
                        .seed(1)
                        .precision(precision)
                        .train();
        Tensor weight = vae.parameters().values().iterator().next();
        assertNotNull(last.validation().get("loss"));
        return new Trained(last.validation().get("loss"), weight.toFloatArray());
    }

    @Test
    void trainingComesToTheLossOfF32() {
        for (VaeConfig config :
                List.of(
                        VaeConfig.defaults().withHidden(32).withLatent(4),
                        VaeConfig.convolutional()
                                .withChannels(4, 8)
                                .withHidden(16)
                                .withLatent(4))) {
            Trained exact = train(config, Precision.F32);
            Trained bf16 = train(config, Precision.BF16);
            assertEquals(exact.loss, bf16.loss, 1e-3 * exact.loss);
            assertFalse(Arrays.equals(exact.weight, bf16.weight));
            assertArrayEquals(bf16.weight, train(config, Precision.BF16).weight);
        }
    }
}
