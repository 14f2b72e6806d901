package org.jlatent.models;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jlatent.LikelihoodLevelsOps;
import org.jlatent.Ops;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.models.AutoregressiveModel.Draws;
import org.jlatent.nn.Embedding;
import org.jlatent.nn.Functions;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;
import org.jlatent.nn.Sequential;

/**
 * A distribution of an image's codes, learned after the model that makes them [van den Oord et al.
 * 2017, sec. 3.3]: each map of codes has a {@link GatedPixelCnn}, and one that follows others is
 * conditioned on these [Razavi et al. 2019, sec. 3.2]: {@code p(top, bottom) = p(top) p(bottom |
 * top)}. It is trained on a {@link CodeSet}.
 *
 * <p>What a map sees of an earlier one: a vector for each code, a few residual blocks, so that a
 * place knows its neighbours on all sides, and a transposed convolution up to the map's size.
 *
 * <p>Loss: -log p(codes) in nats a code, a mean over the batch; {@code bits_per_code} the same in
 * bits, and where there are several maps, each one's. Parameters: {@code NAME.*} for each map, as a
 * Gated PixelCNN's; {@code NAME.EARLIER.codes.*} and {@code NAME.EARLIER.network.*}. Buffers:
 * {@code NAME.histogram [books, codes]}, how often each code occurs in the training images.
 */
public final class CodePrior extends Model {
    private static final int MOST_CODES = 65536;
    private static final int SITES = 1 << 16; // of random draws, more than a map's network has
    private static final int BLOCKS = 2; // residual ones, of what a map sees of another
    private static final long NEXT_NOISE = 0x9E3779B97F4A7C15L; // from one map's seed to the next

    private final List<CodeMap> maps;
    private final Random random;
    private final List<GatedPixelCnn> priors = new ArrayList<>();
    private final List<List<Above>> above = new ArrayList<>(); // of each map, the earlier ones
    private final List<Tensor> histograms = new ArrayList<>();

    /** What a map sees of an earlier one. */
    private record Above(Embedding codes, Sequential network) {}

    /**
     * A prior with fresh parameters.
     *
     * @param init owns the parameters
     * @param maps of codes, as {@link CodedModel#codeMaps} names them
     * @param config of every map's network; its likelihood, whether its levels are codes, and its
     *     condition channels follow from the maps; attention is the first one's alone, which is the
     *     smallest, as in the paper
     * @param seed of {@link #random}
     * @throws IllegalArgumentException unless each map has 2 to 65536 codes, books that divide
     *     features and head, and sides that are multiples of those of the maps before it
     */
    public CodePrior(Init init, List<CodeMap> maps, GatedPixelCnnConfig config, long seed) {
        Networks.require(!maps.isEmpty(), "a prior needs at least one map of codes", maps);
        this.maps = List.copyOf(maps);
        this.random = new Random(init.scope(), seed);
        for (int m = 0; m < maps.size(); m++) {
            CodeMap map = maps.get(m);
            Networks.require(
                    map.codes() >= 2 && map.codes() <= MOST_CODES,
                    "a prior gives each code a probability, of 2 to " + MOST_CODES + " codes",
                    map);
            GatedPixelCnnConfig own =
                    config.withLikelihood(Likelihoods.categorical(map.codes()))
                            .withCodes(true)
                            .withConditionChannels(m * config.features())
                            .withAttention(m == 0 ? config.attention() : 0);
            priors.add(
                    child(
                            map.name(),
                            new GatedPixelCnn(init, map.shape(), own, random, m * SITES)));
            List<Above> earlier = new ArrayList<>();
            for (CodeMap other : maps.subList(0, m)) {
                earlier.add(above(init, map, other, config.features()));
            }
            above.add(earlier);
            histograms.add(
                    buffer(
                            map.name() + ".histogram",
                            init.scope()
                                    .ofInts(
                                            Shape.of(map.shape().channels(), map.codes()),
                                            new int[map.shape().channels() * map.codes()])));
        }
    }

    private Above above(Init init, CodeMap map, CodeMap other, int features) {
        ImageShape to = map.shape();
        ImageShape from = other.shape();
        Networks.require(
                to.height() % from.height() == 0 && to.width() % from.width() == 0,
                "the sides of map " + map + " must be multiples of those of a map before it",
                other);
        VqVaeConfig blocks =
                VqVaeConfig.defaults().withHidden(features).withResidual(BLOCKS, features);
        int factorY = to.height() / from.height();
        int factorX = to.width() / from.width();
        String name = map.name() + "." + other.name();
        return new Above(
                child(name + ".codes", new Embedding(init, other.codes(), features)),
                child(
                        name + ".network",
                        new ResidualNetworks(init, from, blocks)
                                .enlarged(from.channels() * features, factorY, factorX)));
    }

    /** What it is a distribution of. */
    public List<CodeMap> maps() {
        return maps;
    }

    /** The network of one of them. */
    GatedPixelCnn network(int map) {
        return priors.get(map);
    }

    /** Classes that codes are conditioned on; 0: none. */
    public int classes() {
        return priors.get(0).classes();
    }

    /** The noise of dropout: draws have seeds of their own. */
    @Override
    public Random random() {
        return random;
    }

    // ---- training ----

    @Override
    public boolean isRecordable() {
        return priors.get(0).isRecordable();
    }

    @Override
    public Objective objective(Tape tape, Tensor x) {
        return objective(tape, x, null);
    }

    /**
     * {@inheritDoc}
     *
     * @param x {@code [batch, codes]}, as a {@link CodeSet} has them
     */
    @Override
    public Objective objective(Tape tape, Tensor x, int[] labels) {
        Scope scope = tape.scope();
        int length = CodeMap.length(maps);
        Tensor weight = scope.scalar(1.0f / length / x.shape().get(0));
        Tensor loss = null;
        Tensor nats = null; // of an image
        Map<String, Tensor> ofMaps = new LinkedHashMap<>();
        for (Likelihood.Loss nll : losses(tape, x, labels, weight)) {
            CodeMap map = maps.get(ofMaps.size());
            loss = loss == null ? nll.total() : Functions.add(tape, loss, nll.total());
            nats = nats == null ? nll.rows() : Ops.add(scope, nats, nll.rows());
            ofMaps.put(
                    map.name() + "_bits_per_code", inBits(scope, nll.rows(), map.shape().values()));
        }
        Map<String, Tensor> metrics = new LinkedHashMap<>();
        metrics.put("bits_per_code", inBits(scope, nats, length));
        if (maps.size() > 1) {
            metrics.putAll(ofMaps);
        }
        return new Objective(loss, metrics);
    }

    /**
     * What the codes of each map take.
     *
     * @return f32, {@code [batch]} each
     */
    List<Tensor> bits(Scope scope, Tensor x, int[] labels) {
        return losses(Tape.inference(scope), x, labels, scope.scalar(1)).stream()
                .map(nll -> inBits(scope, nll.rows(), 1))
                .toList();
    }

    private List<Likelihood.Loss> losses(Tape tape, Tensor x, int[] labels, Tensor weight) {
        List<Likelihood.Loss> losses = new ArrayList<>();
        List<Tensor> earlier = new ArrayList<>();
        int from = 0;
        for (int m = 0; m < maps.size(); m++) {
            int values = maps.get(m).shape().values();
            Tensor part = maps.size() == 1 ? x : Functions.slice(tape, x, 1, from, from + values);
            from += values;
            losses.add(loss(tape, m, part, earlier, labels, weight));
            earlier.add(codes(tape.scope(), m, part));
        }
        return losses;
    }

    private static Tensor inBits(Scope scope, Tensor nats, int codes) {
        return Ops.scale(scope, nats, scope.scalar((float) (1 / (codes * Math.log(2)))));
    }

    private Likelihood.Loss loss(
            Tape tape, int map, Tensor x, List<Tensor> earlier, int[] labels, Tensor weight) {
        GatedPixelCnn prior = priors.get(map);
        Condition condition = condition(tape, map, earlier, classes() == 0 ? null : labels);
        Tensor logits = prior.logits(tape, x, condition);
        return prior.likelihood().loss(tape, logits, x, weight);
    }

    /** {@code [batch, height, width, books]}. */
    private Tensor codes(Scope scope, int map, Tensor x) {
        ImageShape shape = maps.get(map).shape();
        return LikelihoodLevelsOps.ofValues(scope, x, maps.get(map).codes())
                .reshape(
                        Shape.of(
                                x.shape().get(0), shape.height(), shape.width(), shape.channels()));
    }

    /** What a map's codes are conditioned on: classes, and the codes of the maps before it. */
    Condition condition(Tape tape, int map, List<Tensor> earlier, int[] labels) {
        if (map == 0) {
            return new Condition(labels, null);
        }
        Tensor[] seen = new Tensor[map];
        for (int i = 0; i < map; i++) {
            Above of = above.get(map).get(i);
            Tensor vectors = of.codes.forward(tape, earlier.get(i));
            Shape s = vectors.shape(); // [batch, height, width, books, features]
            Shape image = Shape.of(s.get(0), s.get(1), s.get(2), s.get(3) * s.get(4));
            seen[i] = of.network.forward(tape, Functions.reshape(tape, vectors, image));
        }
        return new Condition(labels, map == 1 ? seen[0] : Functions.concat(tape, -1, seen));
    }

    /**
     * {@inheritDoc}
     *
     * @throws IllegalArgumentException also if they are not the codes of these maps, or the prior
     *     is conditioned on classes and an image's is not among them
     */
    @Override
    public void check(ImageSet images) {
        boolean fits =
                images instanceof CodeSet set
                        ? set.maps().equals(maps)
                        : images.shape().equals(CodeSet.shape(maps));
        if (!fits) {
            throw new IllegalArgumentException(
                    "the prior is one of "
                            + maps
                            + ", "
                            + images.name()
                            + " holds "
                            + (images instanceof CodeSet set ? set.maps() : images.shape()));
        }
        checkLabels(images);
    }

    void checkLabels(ImageSet images) {
        priors.get(0).checkLabels(images);
    }

    @Override
    public void check(float[] images) {
        int length = CodeMap.length(maps);
        for (int image = 0; image < images.length; image += length) {
            int from = image;
            for (int m = 0; m < maps.size(); m++) {
                int to = from + maps.get(m).shape().values();
                priors.get(m).likelihood().check(Arrays.copyOfRange(images, from, to));
                from = to;
            }
        }
    }

    /** Counts the codes of the training images. */
    @Override
    public void prepare(ImageSet images, long seed) {
        check(images);
        List<int[]> counts = new ArrayList<>();
        histograms.forEach(histogram -> counts.add(new int[(int) histogram.shape().elements()]));
        float[] values = new float[images.dimensions()];
        for (int i = 0; i < images.size(); i++) {
            images.read(i, values, 0);
            forEach(values, (m, place) -> counts.get(m)[place]++);
        }
        for (int m = 0; m < maps.size(); m++) {
            histograms.get(m).copyFrom(counts.get(m));
        }
    }

    /** Of each map the training images' codes, {@code [books, codes]}. */
    List<int[]> histograms() {
        return histograms.stream().map(Tensor::toIntArray).toList();
    }

    /** A code, as a place in its map's histogram. */
    interface HistogramPlace {
        void at(int map, int place);
    }

    /** Goes over the codes of an image. */
    void forEach(float[] values, HistogramPlace place) {
        int at = 0;
        for (int m = 0; m < maps.size(); m++) {
            int books = maps.get(m).shape().channels();
            int codes = maps.get(m).codes();
            for (int i = 0; i < maps.get(m).shape().values(); i++) {
                int code = Math.round(values[at++] * (codes - 1));
                place.at(m, i % books * codes + code);
            }
        }
    }

    // ---- sampling ----

    /**
     * Draws codes, map by map.
     *
     * @param condition classes, one an image, if the prior is conditioned on any
     * @return of each map i32, {@code [count, height, width, books]}
     * @throws IllegalArgumentException unless there is a class for each image, of those there are
     * @throws org.jlatent.JlatentException if the logits are not finite
     */
    public List<Tensor> sample(Scope scope, int count, Condition condition, Draws how) {
        List<Tensor> codes = new ArrayList<>();
        Tape tape = Tape.inference(scope);
        for (int m = 0; m < maps.size(); m++) {
            Condition given = condition(tape, m, codes, condition.labels());
            float[] values = priors.get(m).sample(count, given, draws(how, m));
            Shape shape = Shape.of(count, maps.get(m).shape().values());
            codes.add(codes(scope, m, scope.of(shape, values)));
        }
        return codes;
    }

    /** How a map is drawn: with noise of its own. */
    static Draws draws(Draws how, int map) {
        return new Draws(how.temperature(), how.topK(), how.seed() + map * NEXT_NOISE);
    }
}
