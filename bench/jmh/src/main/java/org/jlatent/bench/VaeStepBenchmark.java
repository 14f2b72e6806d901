package org.jlatent.bench;

import java.util.SplittableRandom;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageShape;
import org.jlatent.models.Model.Objective;
import org.jlatent.models.Vae;
import org.jlatent.models.VaeConfig;
import org.jlatent.nn.Init;
import org.jlatent.train.Adam;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Setup;

/**
 * One training step of the VAE 784-400-20, batch 128: forward, backward, Adam, on one batch after
 * the other.
 */
public class VaeStepBenchmark extends OperationBenchmark {
    static final int BATCH = 128;
    private static final int PIXELS = 784;

    private Adam adam;

    Vae vae;
    final Tensor[] x = new Tensor[INPUTS];

    /** The model's. */
    VaeConfig config() {
        return VaeConfig.defaults();
    }

    @Setup
    public void setUp() {
        vae = new Vae(new Init(inputs, 1), new ImageShape(28, 28, 1), config(), 1);
        adam = new Adam(inputs, vae.parameters(), Adam.Options.defaults());
        float[] images = new float[BATCH * PIXELS];
        SplittableRandom pixels = new SplittableRandom(1);
        for (int batch = 0; batch < INPUTS; batch++) {
            for (int i = 0; i < images.length; i++) {
                images[i] = (float) pixels.nextDouble();
            }
            x[batch] = inputs.of(Shape.of(BATCH, PIXELS), images);
        }
    }

    /** Forward and backward, without an update. */
    Objective gradients(Tape tape, Tensor batch) {
        vae.watch(tape);
        Objective objective = vae.objective(tape, batch);
        tape.backward(objective.loss());
        return objective;
    }

    @Benchmark
    public float step() {
        Tensor batch = x[turn()];
        Tape tape = new Tape(step);
        Objective objective = gradients(tape, batch);
        adam.step(tape);
        vae.random().advance();
        return objective.loss().item();
    }
}
