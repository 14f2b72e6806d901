package org.jlatent.bench;

import java.util.SplittableRandom;
import org.jlatent.LikelihoodLevelsOps;
import org.jlatent.LikelihoodLevelsOps.Options;
import org.jlatent.LikelihoodOps;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Setup;

/**
 * Loss and gradient of 16 images of 32x32 pixels, three channels of 256 levels: logits of them all,
 * and a mixture of 10 logistics. Two inputs take turns, of 50 MB and of 6.5 MB: the second pair
 * stays in a large cache, as it does behind the layer that made it.
 */
public class LikelihoodBenchmark extends OperationBenchmark {
    static final int IMAGES = 16;
    static final int PIXELS = 32 * 32;
    static final int CHANNELS = 3;
    static final int LEVELS = 256;
    static final int COMPONENTS = 10;
    private static final Options CATEGORICAL = Options.categorical(LEVELS);
    private static final Options MIXTURE = Options.logisticMixture(CHANNELS, LEVELS, COMPONENTS);

    final Tensor[] logits = new Tensor[2];
    final Tensor[] mixtures = new Tensor[2];
    Tensor x;

    @Setup
    public void setUp() {
        for (int i = 0; i < logits.length; i++) {
            logits[i] = parameters(i, CHANNELS * CATEGORICAL.parametersPerPixel());
            mixtures[i] = parameters(logits.length + i, MIXTURE.parametersPerPixel());
        }
        SplittableRandom levels = new SplittableRandom(1);
        x =
                inputs.ofInts(
                        Shape.of(IMAGES, PIXELS, CHANNELS),
                        levels.ints((long) IMAGES * PIXELS * CHANNELS, 0, LEVELS).toArray());
    }

    private Tensor parameters(int site, int each) {
        return normal(Shape.of(IMAGES, PIXELS, each), site);
    }

    private LikelihoodOps.Result nll(Options options, Tensor[] parameters, boolean gradient) {
        Tensor p = parameters[turn() % parameters.length];
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
