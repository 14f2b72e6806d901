package org.jlatent.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jlatent.Device;
import org.jlatent.OnEveryDevice;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.TestDevice;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.models.AutoregressiveModel.Draws;
import org.jlatent.nn.Init;
import org.jlatent.train.Adam;
import org.jlatent.train.Trainer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** A prior over several maps of codes, each conditioned on those above. */
@OnEveryDevice
final class HierarchicalPriorTest {
    private static final List<CodeMap> MAPS =
            List.of(
                    new CodeMap("top", new ImageShape(2, 2, 1), 3),
                    new CodeMap("middle", new ImageShape(2, 4, 1), 5),
                    new CodeMap("bottom", new ImageShape(4, 8, 2), 4));

    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    private static GatedPixelCnnConfig small() {
        return TinyPixelModels.small().withLayers(2).withFeatures(8).withHead(8);
    }

    private CodePrior prior(List<CodeMap> maps) {
        return new CodePrior(new Init(scope, 1), maps, small(), 1);
    }

    /** Rows of codes as a {@link CodeSet} has them. */
    private Tensor values(List<CodeMap> maps, int count) {
        int length = CodeMap.length(maps);
        float[] values = new float[count * length];
        for (int i = 0; i < values.length; i++) {
            int codes = codesOf(maps, i % length);
            values[i] = (float) (i * i / 3 % codes) / (codes - 1);
        }
        return scope.of(Shape.of(count, length), values);
    }

    private static int codesOf(List<CodeMap> maps, int place) {
        int end = 0;
        for (CodeMap map : maps) {
            end += map.shape().values();
            if (place < end) {
                return map.codes();
            }
        }
        throw new IllegalArgumentException("place " + place);
    }

    /** Of every top code and all 16 bottom maps that may follow it. */
    @Test
    void allThereCanBeHasProbabilityOne() {
        List<CodeMap> maps =
                List.of(
                        new CodeMap("top", new ImageShape(1, 1, 1), 2),
                        new CodeMap("bottom", new ImageShape(2, 2, 1), 2));
        float[] all = new float[32 * 5];
        for (int i = 0; i < all.length; i++) {
            all[i] = ((i / 5) >> (i % 5)) & 1;
        }
        CodePrior prior = prior(maps);
        Map<String, Tensor> metrics =
                prior.objective(Tape.inference(scope), scope.of(Shape.of(32, 5), all)).metrics();
        double sum = 0;
        double[] ofTop = new double[2];
        float[] bits = metrics.get("bits_per_code").toFloatArray();
        for (int i = 0; i < 32; i++) {
            sum += Math.pow(2, -5 * bits[i]);
            ofTop[i & 1] += Math.pow(2, -4 * metrics.get("bottom_bits_per_code").toFloatArray()[i]);
        }
        assertEquals(1, sum, 1e-5);
        assertEquals(1, ofTop[0], 1e-5);
        assertEquals(1, ofTop[1], 1e-5);
    }

    /** What a map takes is counted map by map; the whole is the mean over codes. */
    @Test
    void bitsOfMapsAddUp() {
        CodePrior prior = prior(MAPS);
        Model.Objective objective = prior.objective(Tape.inference(scope), values(MAPS, 3));
        Map<String, Tensor> metrics = objective.metrics();
        double mean = 0;
        for (int i = 0; i < 3; i++) {
            double sum = 0;
            for (CodeMap map : MAPS) {
                float each = metrics.get(map.name() + "_bits_per_code").toFloatArray()[i];
                assertTrue(each > 0, map::toString);
                sum += map.shape().values() * each;
            }
            float bits = metrics.get("bits_per_code").toFloatArray()[i];
            assertEquals(sum / (4 + 8 + 64), bits, 1e-4);
            mean += bits / 3;
        }
        assertEquals(mean * Math.log(2), objective.loss().item(), 1e-4);
    }

    /** A code anywhere above moves the probabilities of a lower map; one below moves none above. */
    @Test
    void lowerMapsDependOnThoseAboveAndNotTheOtherWay() {
        CodePrior prior = prior(MAPS);
        Tensor x = values(MAPS, 1);
        float[] before = x.toFloatArray();
        int from = 0;
        for (int map = 0; map < 3; map++) {
            float[] after = before.clone();
            after[from] = after[from] == 0 ? 1 : 0;
            Tensor changed = scope.of(x.shape(), after);
            for (int other = 0; other < 3; other++) {
                boolean same =
                        Arrays.equals(logits(prior, x, other), logits(prior, changed, other));
                if (other < map) {
                    assertTrue(same, "map " + other + " saw map " + map);
                }
                if (other > map) {
                    assertFalse(same, "map " + other + " did not see map " + map);
                }
            }
            from += MAPS.get(map).shape().values();
        }
    }

    private float[] logits(CodePrior prior, Tensor x, int map) {
        float[] values = x.toFloatArray();
        List<Tensor> above = new ArrayList<>();
        int from = 0;
        for (CodeMap m : MAPS.subList(0, map)) {
            int[] codes = new int[m.shape().values()];
            for (int i = 0; i < codes.length; i++) {
                codes[i] = Math.round(values[from++] * (m.codes() - 1));
            }
            ImageShape s = m.shape();
            above.add(scope.ofInts(Shape.of(1, s.height(), s.width(), s.channels()), codes));
        }
        int to = from + MAPS.get(map).shape().values();
        Tape tape = Tape.inference(scope);
        return prior.network(map)
                .logits(
                        tape,
                        scope.of(Shape.of(1, to - from), Arrays.copyOfRange(values, from, to)),
                        prior.condition(tape, map, above, null))
                .toFloatArray();
    }

    /** Every network learns, those between maps too. */
    @Test
    void gradientsReachWhatLowerMapsSeeOfUpperOnes() {
        CodePrior prior = prior(MAPS);
        Tape tape = new Tape(scope);
        prior.watch(tape);
        Tensor x = values(MAPS, 4);
        tape.backward(prior.objective(tape, x).loss());
        for (String name :
                List.of("middle.top", "bottom.top", "bottom.middle", "top", "middle", "bottom")) {
            Tensor p =
                    prior.parameters().entrySet().stream()
                            .filter(e -> e.getKey().startsWith(name + ".codes."))
                            .findFirst()
                            .orElseThrow()
                            .getValue();
            float[] values = p.toFloatArray();
            double h = 1e-3; // small: there are ReLUs
            int at = 1;
            float[] moved = values.clone();
            moved[at] = (float) (values[at] + h);
            p.copyFrom(moved);
            double above = prior.objective(Tape.inference(scope), x).loss().item();
            moved[at] = (float) (values[at] - h);
            p.copyFrom(moved);
            double below = prior.objective(Tape.inference(scope), x).loss().item();
            p.copyFrom(values);
            double given = tape.gradient(p).toFloatArray()[at];
            assertEquals((above - below) / (2 * h), given, 1e-3, name);
        }
        prior.parameters()
                .forEach(
                        (name, p) -> {
                            boolean any = false;
                            for (float value : tape.gradient(p).toFloatArray()) {
                                any |= value != 0;
                            }
                            assertTrue(any, name);
                        });
    }

    /** All maps in one call each, as by whole forward passes. */
    @Test
    void drawsAreThoseOfNaiveSampling() {
        CodePrior prior = prior(MAPS);
        for (Tensor p : prior.parameters().values()) {
            float[] values = p.toFloatArray();
            for (int i = 0; i < values.length; i++) {
                values[i] *= 2; // or all codes are about as likely
            }
            p.copyFrom(values);
        }
        Draws how = Draws.of(7);
        List<Tensor> drawn = prior.sample(scope, 3, Condition.none(), how);
        for (int map = 0; map < 3; map++) {
            Tape tape = Tape.inference(scope);
            Condition given = prior.condition(tape, map, drawn.subList(0, map), null);
            int values = 3 * MAPS.get(map).shape().values();
            float[] naive =
                    prior.network(map)
                            .completeNaively(
                                    new float[values],
                                    new boolean[values],
                                    given,
                                    CodePrior.draws(how, map));
            int[] codes = drawn.get(map).toIntArray();
            for (int i = 0; i < values; i++) {
                assertEquals(codes[i], Math.round(naive[i] * (MAPS.get(map).codes() - 1)));
            }
            assertTrue(Arrays.stream(codes).distinct().count() > 1, "map " + map);
        }
    }

    /** Two stages: codes of a VqVae2, their prior, and images of both. */
    @Test
    @Tag("slow-on-stubs")
    void aPriorOfTheMapsOfAVqVae2LearnsAndDraws() {
        ImageShape shape = new ImageShape(8, 8, 1);
        ImageSet set = VqVaeTest.set(60, shape);
        VqVaeConfig network = VqVaeTest.small().withLevels(1);
        VqVae2 codec =
                new VqVae2(
                        new Init(scope, 1), shape, VqVae2Config.defaults().withNetwork(network), 1);
        codec.prepare(set, 1);
        CodeSet codes = CodeSet.of(codec, set, 16);
        assertEquals(4 + 16, codes.dimensions());
        int[][] maps = codec.encodeMaps(set, 60);
        assertArrayEquals(Arrays.copyOfRange(maps[0], 8, 12), Arrays.copyOf(codes.codes(2), 4));
        CodePrior prior = prior(codec.codeMaps());
        double before = CodePriorEvaluation.of(prior, codes, 32).bitsPerCode();
        Trainer.of(prior)
                .data(codes)
                .batchSize(20)
                .steps(90)
                .optimizer(Adam.Options.defaults().withLearningRate(0.01f))
                .train();
        CodePriorEvaluation after = CodePriorEvaluation.of(prior, codes, 32);
        assertEquals(Math.log(7) / Math.log(2), before, 0.5);
        assertTrue(after.bitsPerCode() < 0.7 * after.histogramBitsPerCode(), after::toString);
        ofMapsAreMeansOfTheirOwnCodes(prior, codes, after);
        TwoStageModel both = new TwoStageModel(codec, prior);
        List<Tensor> drawn = prior.sample(scope, 5, Condition.none(), Draws.of(3));
        assertArrayEquals(codec.decodeMaps(scope, drawn), both.sample(5, 3));
    }

    private void ofMapsAreMeansOfTheirOwnCodes(
            CodePrior prior, ImageSet codes, CodePriorEvaluation e) {
        Tensor x = ImageModel.batch(scope, codes, 0, codes.size());
        Model.Objective objective = prior.objective(Tape.inference(scope), x);
        for (int m = 0; m < 2; m++) {
            double bits = 0;
            String name = prior.maps().get(m).name() + "_bits_per_code";
            for (float row : objective.metrics().get(name).toFloatArray()) {
                bits += row / codes.size();
            }
            assertEquals(bits, e.maps().get(m).bitsPerCode(), 1e-5, name);
        }
        List<CodePriorEvaluation.OfMap> maps = e.maps();
        assertEquals(
                20 * e.bitsPerCode(),
                4 * maps.get(0).bitsPerCode() + 16 * maps.get(1).bitsPerCode(),
                1e-9);
        assertEquals(
                20 * e.histogramBitsPerCode(),
                4 * maps.get(0).histogramBitsPerCode() + 16 * maps.get(1).histogramBitsPerCode(),
                1e-9);
    }
}
