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
 * One training step of the VAE 784-400-20, batch 128: forward, backward, Adam; settings as in
 * {@link GaussianBenchmark}.
 */
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(2)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class VaeStepBenchmark {
    private static final int BATCH = 128;
    private static final int PIXELS = 784;

    private Device device;
    private Scope owned;
    private Scope scratch;
    private Vae vae;
    private Adam adam;
    private Tensor x;

    @Setup
    public void setUp() {
        device = Device.cpu();
        owned = new Scope(device);
        scratch = new Scope(device);
        vae = new Vae(new Init(owned, 1), new ImageShape(28, 28, 1), VaeConfig.defaults(), 1);
        adam = new Adam(owned, vae.parameters(), Adam.Options.defaults());
        float[] images = new float[BATCH * PIXELS];
        SplittableRandom random = new SplittableRandom(1);
        for (int i = 0; i < images.length; i++) {
            images[i] = (float) random.nextDouble();
        }
        x = owned.of(Shape.of(BATCH, PIXELS), images);
    }

    @TearDown
    public void tearDown() {
        scratch.close();
        owned.close();
        device.close();
    }

    @Benchmark
    public float step() {
        scratch.clear();
        Tape tape = new Tape(scratch);
        vae.watch(tape);
        Objective objective = vae.objective(tape, x);
        tape.backward(objective.loss());
        adam.step(tape);
        vae.random().advance();
        return objective.loss().item();
    }
}
