package org.jlatent.bench;

import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.jlatent.Device;
import org.jlatent.Scope;
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
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * One training step of the VAE 784-400-20, batch 128: forward, backward, Adam, on one batch after
 * the other; settings as in {@link GaussianBenchmark}.
 */
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(2)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class VaeStepBenchmark {
    static final int BATCH = 128;
    private static final int PIXELS = 784;
    private static final int BATCHES = 4;

    private Device device;
    private Scope owned;
    private Scope scratch;
    private Adam adam;
    private int next;

    Vae vae;
    final Tensor[] x = new Tensor[BATCHES];

    /** The model's. */
    VaeConfig config() {
        return VaeConfig.defaults();
    }

    @Setup
    public void setUp() {
        device = Device.cpu();
        owned = new Scope(device);
        scratch = new Scope(device);
        vae = new Vae(new Init(owned, 1), new ImageShape(28, 28, 1), config(), 1);
        adam = new Adam(owned, vae.parameters(), Adam.Options.defaults());
        float[] images = new float[BATCH * PIXELS];
        SplittableRandom random = new SplittableRandom(1);
        for (int batch = 0; batch < BATCHES; batch++) {
            for (int i = 0; i < images.length; i++) {
                images[i] = (float) random.nextDouble();
            }
            x[batch] = owned.of(Shape.of(BATCH, PIXELS), images);
        }
    }

    @TearDown
    public void tearDown() {
        scratch.close();
        owned.close();
        device.close();
    }

    /** Forward and backward, without an update. */
    Objective gradients(Tape tape, Tensor batch) {
        vae.watch(tape);
        Objective objective = vae.objective(tape, batch);
        tape.backward(objective.loss());
        return objective;
    }

    /** Owns what a step makes; empty. */
    Scope scratch() {
        scratch.clear();
        return scratch;
    }

    @Benchmark
    public float step() {
        Tape tape = new Tape(scratch());
        Objective objective = gradients(tape, x[next++ % BATCHES]);
        adam.step(tape);
        vae.random().advance();
        return objective.loss().item();
    }
}
