package org.jlatent.bench;

import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import org.jlatent.data.ImageShape;
import org.jlatent.models.AutoregressiveModel.Draws;
import org.jlatent.models.Condition;
import org.jlatent.models.GatedPixelCnn;
import org.jlatent.models.GatedPixelCnnConfig;
import org.jlatent.nn.Init;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.Warmup;

/**
 * 16 images drawn from a Gated PixelCNN of 5 layers of 32 features: in one call, and by a whole
 * forward pass for every pixel. Naively a larger image takes minutes: {@code -p side=28}.
 */
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 1, time = 1)
public class PixelDrawingBenchmark extends OperationBenchmark {
    private static final int IMAGES = 16;
    private static final Draws HOW = Draws.of(3);

    @Param({"14", "28", "56"})
    int side;

    /** Of the layers but the first. */
    @Param({"3"})
    int kernel;

    private GatedPixelCnn model;
    private float[] none;
    private boolean[] given;

    /** Both ways have to draw the same. */
    @Setup
    public void setUp() {
        model =
                new GatedPixelCnn(
                        new Init(inputs, 1),
                        new ImageShape(side, side, 1),
                        GatedPixelCnnConfig.defaults().withKernels(7, kernel),
                        1);
        none = new float[IMAGES * side * side];
        given = new boolean[none.length];
        Arrays.fill(given, true);
        for (int i = 0; i < none.length; i += side + 1) { // enough to see, and soon done
            given[i] = i % (side * side) >= side;
        }
        if (!Arrays.equals(
                model.complete(none, given, Condition.none(), HOW),
                model.completeNaively(none, given, Condition.none(), HOW))) {
            throw new IllegalStateException("the two ways draw different images");
        }
        Arrays.fill(given, false);
    }

    @Benchmark
    public float[] drawn() {
        return model.complete(none, given, Condition.none(), HOW);
    }

    @Benchmark
    @Warmup(iterations = 0)
    @Measurement(iterations = 1, time = 1)
    public float[] drawnNaively() {
        return model.completeNaively(none, given, Condition.none(), HOW);
    }
}
