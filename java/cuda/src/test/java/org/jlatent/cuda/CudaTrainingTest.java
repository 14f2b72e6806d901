package org.jlatent.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jlatent.Device;
import org.jlatent.Precision;
import org.jlatent.Scope;
import org.jlatent.data.ImageSet;
import org.jlatent.data.Sprites;
import org.jlatent.models.Vae;
import org.jlatent.models.VaeConfig;
import org.jlatent.models.VaeEvaluation;
import org.jlatent.nn.Init;
import org.jlatent.train.Trainer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Whole models trained on the GPU, or on the stubs, as on the CPU. */
@Tag("cuda")
final class CudaTrainingTest {
    private record Trained(Map<String, float[]> parameters, double elbo) {}

    private static Trained train(Device device, VaeConfig config) {
        return train(device, config, Precision.F32);
    }

    private static Trained train(Device device, VaeConfig config, Precision precision) {
        try (device;
                Scope scope = new Scope(device)) {
            ImageSet images = Sprites.splits().train().range(0, 200);
            Vae vae = new Vae(new Init(scope, 1), images.shape(), config, 1);
            Trainer trainer = Trainer.of(vae).data(images).batchSize(16).steps(4).seed(1);
            trainer.precision(precision).train();
            Map<String, float[]> parameters = new LinkedHashMap<>();
            vae.parameters().forEach((name, p) -> parameters.put(name, p.toFloatArray()));
            double elbo = VaeEvaluation.of(vae, images.range(0, 20), 2, 10, 1).elbo();
            return new Trained(parameters, elbo);
        }
    }

    private static void compare(VaeConfig config) {
        assumeTrue(Cuda.isAvailable(), () -> "skipped: " + Cuda.unavailabilityCause().orElse(""));
        Trained cpu = train(Device.cpu(), config);
        Trained cuda = train(Device.cuda(), config);
        assertEquals(cpu.parameters.keySet(), cuda.parameters.keySet());
        assertFalse(cpu.parameters.isEmpty());
        // Adam's first steps are as long as the learning rate, 1e-3, whatever a gradient's size:
        // one
        // that is all but 0 may go the other way when its sum is rounded differently.
        cpu.parameters.forEach(
                (name, want) -> {
                    float[] got = cuda.parameters.get(name);
                    int apart = 0;
                    for (int i = 0; i < want.length; i++) {
                        assertEquals(want[i], got[i], 8e-3, name);
                        apart += Math.abs(want[i] - got[i]) > 2e-5 ? 1 : 0;
                    }
                    assertEquals(0, apart, 1 + 0.01 * want.length, name);
                });
        assertEquals(cpu.elbo, cuda.elbo, 1e-3 * Math.abs(cpu.elbo));
    }

    @Test
    void variationalAutoencoder() {
        compare(VaeConfig.defaults().withHidden(32).withLatent(4));
    }

    @Test
    void convolutionalVariationalAutoencoder() {
        compare(VaeConfig.convolutional().withChannels(4, 8).withHidden(16).withLatent(4));
    }

    /** cuDNN rounds sums to bf16 too, so only what training is for is compared. */
    @Test
    void bf16LearnsAsWell() {
        assumeTrue(Cuda.isAvailable(), () -> "skipped: " + Cuda.unavailabilityCause().orElse(""));
        VaeConfig config =
                VaeConfig.convolutional().withChannels(4, 8).withHidden(16).withLatent(4);
        double cpu = train(Device.cpu(), config, Precision.BF16).elbo;
        assertEquals(cpu, train(Device.cuda(), config, Precision.BF16).elbo, 0.01 * Math.abs(cpu));
    }

    @Test
    void theSameSeedGivesTheSameWeights() {
        assumeTrue(Cuda.isAvailable(), () -> "skipped: " + Cuda.unavailabilityCause().orElse(""));
        VaeConfig config = VaeConfig.convolutional().withChannels(3).withHidden(8).withLatent(2);
        Trained first = train(Device.cuda(), config);
        Trained second = train(Device.cuda(), config);
        first.parameters.forEach(
                (name, values) -> assertArrayEquals(values, second.parameters.get(name), name));
    }
}
