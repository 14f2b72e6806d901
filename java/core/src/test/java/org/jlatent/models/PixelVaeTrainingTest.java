package org.jlatent.models;

import static org.jlatent.models.TinyPixelModels.small;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.jlatent.Activation;
import org.jlatent.OnEveryDevice;
import org.jlatent.ShapeOps;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;
import org.jlatent.data.Sprites;
import org.jlatent.data.WrappedImageSet;
import org.jlatent.nn.Init;
import org.jlatent.train.Adam;
import org.jlatent.train.Trainer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What z is for in a VAE with pixels that see each other. */
@OnEveryDevice
final class PixelVaeTrainingTest {
    private static final int MAP = 4;

    private final TinyPixelModels tiny = new TinyPixelModels();

    @AfterEach
    void close() {
        tiny.close();
    }

    /** Of zeros and ones. */
    private static final ImageSet SPRITES =
            new WrappedImageSet(new Sprites(8)) {
                @Override
                public void read(int index, float[] destination, int offset) {
                    super.read(index, destination, offset);
                    for (int i = offset; i < offset + dimensions(); i++) {
                        destination[i] = destination[i] > 0.5f ? 1 : 0;
                    }
                }
            };

    private static void train(Model model) {
        Trainer.of(model)
                .data(SPRITES.range(0, 8000))
                .batchSize(32)
                .steps(500)
                .optimizer(Adam.Options.defaults().withLearningRate(0.005f))
                .train();
    }

    /**
     * A pixel sees its neighbours; where a sprite is and what it looks like goes through z, or not
     * at all.
     */
    @Test
    @Tag("slow-on-stubs")
    void whatIsFarApartGoesThroughZ() {
        ImageSet test = SPRITES.range(40_000, 40_400);
        GatedPixelCnnConfig near = small().withLayers(1).withKernels(3, 3);
        VaeConfig dense =
                VaeConfig.defaults().withHidden(32).withLatent(4).withActivation(Activation.SILU);
        PixelVaeConfig config = new PixelVaeConfig(dense, near.withConditionChannels(MAP));
        PixelVae vae = new PixelVae(new Init(tiny.scope, 1), test.shape(), config, 1);
        GatedPixelCnn alone = tiny.gated(test.shape(), near);
        train(vae);
        train(alone);
        VaeEvaluation e = VaeEvaluation.of(vae, test, 10, 100, 1);
        double without = AutoregressiveEvaluation.of(alone, test, 100).nll();
        System.out.println(e + ", without z " + without);
        assertEquals(-e.elbo(), e.reconstruction() + e.kl(), 1e-9);
        assertTrue(e.nll() < -e.elbo(), e.toString()); // more samples, a tighter bound
        assertTrue(e.kl() > 0.5 && e.activeUnits() >= 2, e.toString());
        assertTrue(-e.elbo() < without - 1, e + ", without z " + without);
        assertEquals(e.nll() / 64 / Math.log(2), e.bitsPerDim(), 1e-9);

        Tensor x = ImageModel.batch(tiny.scope, test, 0, 100);
        Tensor codes = vae.code(tiny.scope, x);
        Tensor others =
                ShapeOps.concat(
                        tiny.scope,
                        0,
                        ShapeOps.slice(tiny.scope, codes, 0, 1, 100),
                        ShapeOps.slice(tiny.scope, codes, 0, 0, 1));
        double own = mean(vae.nll(tiny.scope, codes, x));
        double other = mean(vae.nll(tiny.scope, others, x));
        assertTrue(own + e.kl() < other, own + " given its z, " + other + " given another's");
    }

    private static double mean(float[] values) {
        double sum = 0;
        for (float value : values) {
            sum += value;
        }
        return sum / values.length;
    }

    private PixelVae convolutional() {
        VaeConfig config =
                VaeConfig.convolutional()
                        .withChannels(3)
                        .withHidden(5)
                        .withLatent(2)
                        .withSamples(2)
                        .withFreeBits(0.1f);
        GatedPixelCnnConfig pixels = small().withConditionChannels(MAP);
        return new PixelVae(
                new Init(tiny.scope, 1), SPRITES.shape(), new PixelVaeConfig(config, pixels), 1);
    }

    /** Trained again the weights are the same bits, and figures, too. */
    @Test
    void theSameSeedTrainsTheSameWeights() {
        PixelVae one = convolutional();
        PixelVae two = convolutional();
        for (PixelVae model : List.of(one, two)) {
            Trainer.of(model).data(SPRITES.range(0, 20)).batchSize(8).steps(4).seed(3).train();
        }
        one.parameters()
                .forEach(
                        (name, parameter) ->
                                assertArrayEquals(
                                        parameter.toFloatArray(),
                                        two.parameters().get(name).toFloatArray(),
                                        name));
        ImageSet test = SPRITES.range(20, 25);
        assertEquals(VaeEvaluation.of(one, test, 3, 2, 1), VaeEvaluation.of(two, test, 3, 2, 1));
    }
}
