package org.jlatent.bench;

import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.jlatent.Device;
import org.jlatent.LikelihoodLevelsOps;
import org.jlatent.LikelihoodLevelsOps.Options;
import org.jlatent.LikelihoodOps;
import org.jlatent.Ops;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tensor;
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
 * Loss and gradient of 16 images of 32x32 pixels, three channels of 256 levels: logits of them all,
 * and a mixture of 10 logistics. Two inputs take turns, of 50 MB and of 6.5 MB: the second pair
 * stays in a large cache, as it does behind the layer that made it.
 */
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(2)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class LikelihoodBenchmark {
    static final int IMAGES = 16;
    static final int PIXELS = 32 * 32;
    static final int CHANNELS = 3;
    static final int LEVELS = 256;
    static final int COMPONENTS = 10;
    private static final int INPUTS = 2;
    private static final Options CATEGORICAL = Options.categorical(LEVELS);
    private static final Options MIXTURE = Options.logisticMixture(CHANNELS, LEVELS, COMPONENTS);

    private Device device;
    private Scope inputs;
    private Scope step;
    private int next;

    final Tensor[] logits = new Tensor[INPUTS];
    final Tensor[] mixtures = new Tensor[INPUTS];
    Tensor x;

    @Setup
    public void setUp() {
        device = Device.cpu();
        inputs = new Scope(device);
        step = new Scope(device);
        Random random = new Random(inputs, 1);
        for (int i = 0; i < INPUTS; i++) {
            logits[i] = parameters(random, i, CHANNELS * CATEGORICAL.parametersPerPixel());
            mixtures[i] = parameters(random, INPUTS + i, MIXTURE.parametersPerPixel());
        }
        SplittableRandom levels = new SplittableRandom(1);
        x =
                inputs.ofInts(
                        Shape.of(IMAGES, PIXELS, CHANNELS),
                        levels.ints((long) IMAGES * PIXELS * CHANNELS, 0, LEVELS).toArray());
    }

    private Tensor parameters(Random random, int site, int each) {
        return Ops.randomNormal(inputs, Shape.of(IMAGES, PIXELS, each), random, site);
    }

    @TearDown
    public void tearDown() {
        step.close();
        inputs.close();
        device.close();
    }

    private LikelihoodOps.Result nll(Options options, Tensor[] parameters, boolean gradient) {
        step.clear();
        Tensor p = parameters[next++ % INPUTS];
        return LikelihoodLevelsOps.nll(step, options, p, x, null, null, gradient);
    }

    @Benchmark
    public LikelihoodOps.Result categoricalForward() {
        return nll(CATEGORICAL, logits, false);
    }

    @Benchmark
    public LikelihoodOps.Result categoricalForwardAndBackward() {
        return nll(CATEGORICAL, logits, true);
    }

    @Benchmark
    public LikelihoodOps.Result mixtureForward() {
        return nll(MIXTURE, mixtures, false);
    }

    @Benchmark
    public LikelihoodOps.Result mixtureForwardAndBackward() {
        return nll(MIXTURE, mixtures, true);
    }
}
