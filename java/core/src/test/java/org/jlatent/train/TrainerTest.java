package org.jlatent.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jlatent.Device;
import org.jlatent.OnEveryDevice;
import org.jlatent.Scope;
import org.jlatent.Tensor;
import org.jlatent.TestDevice;
import org.jlatent.data.Binarize;
import org.jlatent.data.DataOptions;
import org.jlatent.data.ImageSet;
import org.jlatent.data.Splits;
import org.jlatent.data.Sprites;
import org.jlatent.data.WrappedImageSet;
import org.jlatent.models.Vae;
import org.jlatent.models.VaeConfig;
import org.jlatent.models.VaeEvaluation;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihoods;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@OnEveryDevice
final class TrainerTest {
    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);
    private final ImageSet images = new Sprites(16).range(0, 600);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    private Vae vae(long seed) {
        return new Vae(
                new Init(scope, seed),
                images.shape(),
                VaeConfig.defaults().withHidden(32).withLatent(4),
                seed);
    }

    private static Map<String, float[]> weights(Vae vae) {
        Map<String, float[]> all = new HashMap<>();
        vae.parameters().forEach((name, tensor) -> all.put(name, tensor.toFloatArray()));
        return all;
    }

    private Map<String, float[]> trained(long seed) {
        Vae vae = vae(seed);
        Trainer.of(vae).data(images).batchSize(64).steps(20).seed(seed).train();
        return weights(vae);
    }

    /** A set that was opened with random changes is not trained on without them. */
    @Test
    @Tag("slow-on-stubs")
    void aDataSetsRandomChangesAreTakenOver() {
        DataOptions options = DataOptions.defaults().withFlip(true).withBinarize(Binarize.DYNAMIC);
        Splits splits =
                new Splits(images, Optional.empty(), images.range(0, 1), options.augmentation());
        Vae vae = vae(1);
        Trainer.of(vae).data(splits).batchSize(64).steps(20).seed(1).train();
        Vae same = vae(1);
        Trainer.of(same)
                .data(images)
                .augmentation(options.augmentation())
                .batchSize(64)
                .steps(20)
                .seed(1)
                .train();
        float[] weights = weights(vae).get("encoder.0.weight");
        assertArrayEquals(weights(same).get("encoder.0.weight"), weights);
        assertFalse(Arrays.equals(trained(1).get("encoder.0.weight"), weights));
    }

    @Test
    void theSameSeedGivesTheSameWeightsBitForBit() {
        Map<String, float[]> first = trained(1);
        Map<String, float[]> again = trained(1);
        first.forEach((name, values) -> assertArrayEquals(values, again.get(name), name));
        assertFalse(
                Arrays.equals(first.get("encoder.0.weight"), trained(2).get("encoder.0.weight")));
    }

    @Test
    void trainingAllocatesNothingInTheSteadyState() {
        List<Long> allocations = new ArrayList<>();
        Trainer.of(vae(1))
                .data(images)
                .batchSize(50)
                .epochs(3)
                .callback(
                        new Callback() {
                            @Override
                            public void onStep(Progress progress) {
                                allocations.add(device.allocations());
                            }
                        })
                .train();
        assertEquals(36, allocations.size());
        assertEquals(
                allocations.get(2), allocations.get(35), "allocations by step: " + allocations);
        scope.close();
        assertEquals(0, device.allocatedBytes());
    }

    @Test
    @Tag("slow-on-stubs")
    void theLossFallsAndProgressTellsHow() {
        List<Progress> epochs = new ArrayList<>();
        Progress last =
                Trainer.of(vae(1))
                        .data(images.range(0, 500))
                        .validation(images.range(500, 600))
                        .batchSize(64)
                        .epochs(12)
                        .optimizer(
                                Adam.Options.defaults()
                                        .withLearningRate(3e-3f)
                                        .withMaxNorm(50)
                                        .withAverageDecay(0.9f))
                        .schedule(Schedule.cosine().withWarmup(5))
                        .callback(
                                new Callback() {
                                    @Override
                                    public void onEpoch(Progress progress) {
                                        epochs.add(progress);
                                    }
                                })
                        .train();
        assertEquals(12, epochs.size());
        assertEquals(96, last.step());
        assertEquals(96, last.steps());
        Map<String, Double> first = epochs.get(0).metrics();
        assertTrue(
                last.metrics().get("loss") < 0.5 * first.get("loss"),
                first + " to " + last.metrics());
        assertTrue(last.validation().get("loss") < 0.6 * epochs.get(0).validation().get("loss"));
        assertEquals(first.get("loss"), first.get("reconstruction") + first.get("kl"), 1e-3);
        assertTrue(last.imagesPerSecond() > 0);
    }

    @Test
    @Tag("slow-on-stubs")
    void betaAndFreeBitsChangeTheKl() {
        Map<Float, Double> kl = new HashMap<>();
        for (float beta : new float[] {0, 1, 20}) {
            VaeConfig config = VaeConfig.defaults().withHidden(32).withLatent(4).withBeta(beta);
            Vae vae = new Vae(new Init(scope, 1), images.shape(), config, 1);
            kl.put(
                    beta,
                    Trainer.of(vae)
                            .data(images)
                            .batchSize(64)
                            .epochs(15)
                            .train()
                            .metrics()
                            .get("kl"));
        }
        assertTrue(kl.get(0f) > kl.get(1f) && kl.get(1f) > kl.get(20f), kl.toString());
        VaeConfig floor =
                VaeConfig.defaults().withHidden(32).withLatent(4).withBeta(20).withFreeBits(0.5f);
        Vae vae = new Vae(new Init(scope, 1), images.shape(), floor, 1);
        double held =
                Trainer.of(vae).data(images).batchSize(64).epochs(15).train().metrics().get("kl");
        assertTrue(
                held > 1.5 && held > kl.get(20f),
                "4 dimensions with a floor of 0.5 nats have " + held);
    }

    @Test
    void notANumberStopsTrainingAndNamesStepAndTensor() {
        Vae vae = vae(1);
        Tensor bias = vae.parameters().get("decoder.0.bias");
        float[] values = bias.toFloatArray();
        values[3] = Float.NaN;
        bias.copyFrom(values);
        String message =
                assertThrows(
                                TrainingException.class,
                                () -> Trainer.of(vae).data(images).steps(5).train())
                        .getMessage();
        assertTrue(message.contains("after step 0") && message.contains("decoder.0.bias"), message);

        ImageSet bad =
                new WrappedImageSet(images) {
                    @Override
                    public void read(int index, float[] destination, int offset) {
                        super.read(index, destination, offset);
                        if (index == size() - 1) {
                            destination[offset] = Float.NaN;
                        }
                    }
                };
        message =
                assertThrows(
                                TrainingException.class,
                                () -> Trainer.of(vae(2)).data(bad).batchSize(600).steps(5).train())
                        .getMessage();
        assertTrue(message.contains("images"), message);

        Vae exploding = vae(3);
        message =
                assertThrows(
                                TrainingException.class,
                                () ->
                                        Trainer.of(exploding)
                                                .data(images)
                                                .optimizer(
                                                        Adam.Options.defaults()
                                                                .withLearningRate(1e30f))
                                                .steps(20)
                                                .train())
                        .getMessage();
        assertTrue(message.contains("step "), message);
    }

    @Test
    @Tag("slow-on-stubs")
    void evaluationIsABoundAndTheSameForTheSameSeed() {
        Vae vae = vae(1);
        Trainer.of(vae)
                .data(images)
                .batchSize(64)
                .epochs(60)
                .optimizer(Adam.Options.defaults().withLearningRate(3e-3f))
                .train();
        VaeEvaluation one = VaeEvaluation.of(vae, images, 20, 100, 7);
        assertEquals(one, VaeEvaluation.of(vae, images, 20, 100, 7));
        assertEquals(-one.elbo(), one.reconstruction() + one.kl(), 1e-9);
        assertTrue(one.nll() < -one.elbo(), one.toString()); // more samples, a tighter bound
        assertTrue(one.activeUnits() >= 1 && one.activeUnits() <= 4);
        assertTrue(one.normalizedError() > 0 && one.normalizedError() < 1, one.toString());
        assertTrue(Double.isNaN(one.bitsPerDim())); // grey images
        float[] samples = vae.sample(scope, 3, 1);
        assertEquals(3 * images.dimensions(), samples.length);
        assertArrayEquals(samples, vae.sample(scope, 3, 1));
    }

    @Test
    void adamKeepsAnAverageAndCountsSteps() {
        Vae vae =
                new Vae(
                        new Init(scope, 1),
                        images.shape(),
                        VaeConfig.defaults()
                                .withHidden(8)
                                .withLatent(2)
                                .withLikelihood(Likelihoods.gaussian(0.1)),
                        1);
        Adam adam =
                new Adam(scope, vae.parameters(), Adam.Options.defaults().withAverageDecay(0.5f));
        Map<String, float[]> start = weights(vae);
        try (Scope step = new Scope(device)) {
            float[] pixels = new float[images.dimensions()];
            images.read(0, pixels, 0);
            org.jlatent.Tape tape = new org.jlatent.Tape(step);
            vae.watch(tape);
            tape.backward(
                    vae.objective(tape, step.of(org.jlatent.Shape.of(1, pixels.length), pixels))
                            .loss());
            adam.step(tape);
        }
        assertEquals(1, adam.steps());
        assertEquals(0, adam.skippedSteps());
        assertTrue(adam.gradientNorm() > 0);
        float[] now = vae.parameters().get("decoder.1.bias").toFloatArray();
        float[] average = adam.averages().get("decoder.1.bias").toFloatArray();
        for (int i = 0; i < now.length; i++) {
            assertEquals(
                    1e-3,
                    Math.abs(now[i] - start.get("decoder.1.bias")[i]),
                    2e-5); // Adam's first step
            assertEquals((now[i] + start.get("decoder.1.bias")[i]) / 2, average[i], 1e-6);
        }
    }

    @Test
    void settingsOutOfRangeAreNamed() {
        assertMessage("batchSize must be at least 1, got 0", () -> Trainer.of(vae(1)).batchSize(0));
        assertMessage("epochs must be at least 1, got -2", () -> Trainer.of(vae(1)).epochs(-2));
        assertMessage("learningRate", () -> Adam.Options.defaults().withLearningRate(-1));
        assertMessage(
                "beta2 must be in [0, 1), got 1.0",
                () -> Adam.Options.defaults().withBetas(0.9f, 1));
        assertMessage("latent must be at least 1, got 0", () -> VaeConfig.defaults().withLatent(0));
        assertMessage("hidden layers", () -> VaeConfig.defaults().withHidden(3, 0));
        assertThrows(IllegalStateException.class, () -> Trainer.of(vae(1)).train());
    }

    private static void assertMessage(String part, Runnable action) {
        String message = assertThrows(IllegalArgumentException.class, action::run).getMessage();
        assertTrue(message.contains(part), message);
    }
}
