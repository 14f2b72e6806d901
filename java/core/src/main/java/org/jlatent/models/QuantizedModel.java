package org.jlatent.models;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.jlatent.Ops;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.CodebookHealth;
import org.jlatent.nn.Functions;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Quantizer;
import org.jlatent.nn.Quantizer.Quantized;

/**
 * A model that makes of an image one or more maps of codes, integers that stand for vectors, and
 * the image again from these vectors. Maps have an order, the top one with the fewest codes first;
 * a map may depend on the codes of those above. What a {@link LatentModel} calls a code are the
 * vectors, all of an image in a row, map by map.
 *
 * <p>Loss: the likelihood's, a mean over the values of a batch and in its {@linkplain
 * Likelihood#unit unit}, so that squared errors are divided by the training images' variance and
 * likelihoods are nats a value; and the quantizers' losses [van den Oord et al. 2017, eq. 3].
 * {@link #prepare} measures the variance, which is 1 before, and starts the codebooks.
 *
 * <p>Buffers, beside the quantizers': {@code errorScale [1]}, 1 / unit, and {@code prepared [1]}.
 */
public abstract class QuantizedModel extends LatentModel implements CodedModel {
    private static final int SITE = 1; // of the first quantizer's draws; the others' follow

    private final List<CodeGrid> grids;
    private final List<Quantizer> quantizers;
    private final boolean initialize;
    private final Tensor errorScale;
    private final Tensor prepared;

    /**
     * @param init owns the parameters
     * @param image what it is to be trained on
     * @param maps of codes, each with sides half of those of the next one
     * @param seed of what the quantizers draw
     */
    QuantizedModel(Init init, ImageShape image, VqVaeConfig config, int maps, long seed) {
        this(init, grids(image, config, maps), config, new Random(init.scope(), seed));
    }

    private QuantizedModel(Init init, List<CodeGrid> grids, VqVaeConfig config, Random random) {
        this(init, grids, config, random, quantizers(init, config, grids.size(), random));
    }

    private QuantizedModel(
            Init init,
            List<CodeGrid> grids,
            VqVaeConfig config,
            Random random,
            List<Quantizer> quantizers) {
        super(grids.get(0).model(), latent(grids, quantizers), config.likelihood(), random);
        this.grids = grids;
        this.quantizers = quantizers;
        initialize = config.initialize();
        errorScale = buffer("errorScale", init.scope().scalar(1));
        prepared = buffer("prepared", init.scope().ofInts(Shape.of(1), 0));
    }

    /** The top one first: it has the least to say, and asks the most of an image's size. */
    private static List<CodeGrid> grids(ImageShape image, VqVaeConfig config, int maps) {
        return IntStream.range(0, maps)
                .mapToObj(map -> new CodeGrid(image, config.levels() + maps - 1 - map))
                .toList();
    }

    private static List<Quantizer> quantizers(
            Init init, VqVaeConfig config, int maps, Random random) {
        return IntStream.range(0, maps)
                .mapToObj(map -> config.quantizer().make(init, random, SITE + map))
                .toList();
    }

    private static int latent(List<CodeGrid> grids, List<Quantizer> quantizers) {
        long latent = 0;
        for (int map = 0; map < grids.size(); map++) {
            latent += grids.get(map).vectors() * quantizers.get(map).dims();
        }
        return Math.toIntExact(latent);
    }

    // ---- the networks ----

    /**
     * What the encoder sees of images, for each map.
     *
     * @param images {@code [batch, height, width, channels]}
     */
    abstract List<Tensor> encoded(Tape tape, Tensor images);

    /**
     * The vectors that a map's quantizer gets, {@code [batch, height, width, dims]}.
     *
     * @param features of this map
     * @param above what stands for the vectors of the maps above
     */
    abstract Tensor vectors(Tape tape, Tensor features, List<Tensor> above);

    /**
     * The decoder's output, {@code [batch, height, width, parametersPerPixel]}.
     *
     * @param q what stands for the vectors of all maps
     */
    abstract Tensor output(Tape tape, List<Tensor> q);

    // ---- codes ----

    /** What becomes of the vectors of each map. */
    public final List<Quantizer> quantizers() {
        return quantizers;
    }

    /** What maps are called; the only one {@code codes}. */
    public final List<String> maps() {
        return switch (grids.size()) {
            case 1 -> List.of("codes");
            case 2 -> List.of("top", "bottom");
            default -> List.of("top", "middle", "bottom");
        };
    }

    /**
     * The shape of an image's codes in a map: {@code [height, width]}, of sequences {@code [1,
     * length]}, and the quantizer's {@link Quantizer#books}.
     *
     * @throws IllegalArgumentException unless the model takes such images
     */
    public final Shape codesShape(int map, ImageShape of) {
        grids.get(0).codes(of, Shape.of()); // the top one asks the most of an image's size
        return grids.get(map).codes(of, quantizers.get(map).books());
    }

    /**
     * The images that the codes of a map are of.
     *
     * @param codes {@code [height, width, books]}
     * @throws ShapeException if no image has codes of that shape
     */
    public final ImageShape imageShape(int map, Shape codes) {
        return grids.get(map).image(codes, quantizers.get(map).books());
    }

    final CodeGrid grid(int map) {
        return grids.get(map);
    }

    /** Vectors of a map, of an image of the model. */
    final long vectors(int map) {
        return grids.get(map).vectors();
    }

    /** The shape of a map's vectors, {@code [batch, height, width, dims]}. */
    private Shape vectorsShape(long batch, int map, ImageShape of) {
        Shape codes = grids.get(map).codes(of, Shape.of());
        return Shape.of(batch, codes.get(0), codes.get(1), quantizers.get(map).dims());
    }

    /** What the codes of an image take, log2 of their number each. */
    final double bits(ImageShape of) {
        double bits = 0;
        for (int map = 0; map < grids.size(); map++) {
            double each = Math.log((double) quantizers.get(map).codes()) / Math.log(2);
            bits += codesShape(map, of).elements() * each;
        }
        return bits;
    }

    private List<Tensor> encoded(Tape tape, Tensor x, ImageShape of) {
        codesShape(0, of); // complains where they do not fit
        Shape images = Shape.of(x.shape().get(0), of.height(), of.width(), of.channels());
        return encoded(tape, Functions.reshape(tape, x, images));
    }

    /**
     * What becomes of images, map by map.
     *
     * @param x {@code [batch, values]}
     * @throws IllegalArgumentException unless the model takes such images
     */
    final List<Quantized> quantize(Tape tape, Tensor x, ImageShape of) {
        return quantize(tape, encoded(tape, x, of), grids.size());
    }

    /** Of the first maps. */
    private List<Quantized> quantize(Tape tape, List<Tensor> features, int count) {
        List<Quantized> maps = new ArrayList<>();
        for (int map = 0; map < count; map++) {
            Tensor vectors = vectors(tape, features.get(map), q(maps));
            maps.add(quantizers.get(map).forward(tape, vectors));
        }
        return maps;
    }

    /** The vectors that a map's quantizer gets, {@code [batch, height, width, dims]}. */
    final Tensor vectors(Tape tape, Tensor x, int map) {
        List<Tensor> features = encoded(tape, x, image());
        return vectors(tape, features.get(map), q(quantize(tape, features, map)));
    }

    static List<Tensor> q(List<Quantized> maps) {
        return maps.stream().map(Quantized::q).toList();
    }

    /** The parameters of p(x|codes), {@code [batch, parametersPerPixel pixels]}. */
    final Tensor decodeVectors(Tape tape, List<Tensor> q) {
        return Networks.planes(tape, output(tape, q), likelihood());
    }

    /**
     * The codes of images. Not recorded.
     *
     * @param x {@code [batch, values]}
     * @param of height, width and channels of the images
     * @return of each map i32, {@code [batch, height, width, books]}: heads and stages on one axis
     * @throws IllegalArgumentException unless the model takes such images
     */
    public final List<Tensor> encodeMaps(Scope scope, Tensor x, ImageShape of) {
        List<Tensor> codes = new ArrayList<>();
        for (Quantized map : quantize(Tape.inference(scope), x, of)) {
            Shape places = map.q().shape().withoutLast();
            long books = map.codes().shape().elements() / places.elements();
            codes.add(map.codes().reshape(places.withLast(books)));
        }
        return codes;
    }

    @Override
    public final List<CodeMap> codeMaps() {
        List<CodeMap> all = new ArrayList<>();
        for (int map = 0; map < grids.size(); map++) {
            Shape s = codesShape(map, image());
            long books = s.elements() / s.get(0) / s.get(1);
            ImageShape shape =
                    new ImageShape(
                            Math.toIntExact(s.get(0)),
                            Math.toIntExact(s.get(1)),
                            Math.toIntExact(books));
            int codes = Math.toIntExact(quantizers.get(map).codes());
            all.add(new CodeMap(maps().get(map), shape, codes));
        }
        return all;
    }

    @Override
    public final List<Tensor> encodeMaps(Scope scope, Tensor x) {
        return encodeMaps(scope, x, image());
    }

    /**
     * The codes of a whole set, in its order.
     *
     * @return of each map {@code [size]} and {@link #codesShape}, row-major
     * @throws IllegalArgumentException unless the model takes such images
     */
    public final int[][] encodeMaps(ImageSet images, int batchSize) {
        return CodeBatches.encode(this, images, batchSize);
    }

    /**
     * {@inheritDoc}
     *
     * @param codes as {@link #encodeMaps(Scope, Tensor, ImageShape)} gives them
     * @return {@code batch} images, row-major
     * @throws ShapeException if the codes are of another shape, or maps of different images
     * @throws org.jlatent.JlatentException on the CPU, if a code is not in [0, codes of the
     *     quantizer)
     */
    @Override
    public final float[] decodeMaps(Scope scope, List<Tensor> codes) {
        ImageShape of = CodeBatches.image(this, codes);
        List<Tensor> q = new ArrayList<>();
        for (int map = 0; map < codes.size(); map++) {
            Tensor flat = codes.get(map);
            Shape places = flat.shape().withoutLast();
            Quantizer quantizer = quantizers.get(map);
            Shape all = CodeBatches.withBooks(places, quantizer.books());
            q.add(quantizer.decode(scope, flat.reshape(all)));
        }
        Tensor parameters = decodeVectors(Tape.inference(scope), q);
        return likelihood().mean(parameters.toFloatArray(), of.values());
    }

    /**
     * {@link #decodeMaps(Scope, List)} of any number of images.
     *
     * @param codes as {@link #encodeMaps(ImageSet, int)} gives them
     * @param of height, width and channels of the images
     * @throws IllegalArgumentException unless the model takes such images, and there are codes for
     *     a whole number of them
     */
    public final float[] decodeMaps(int[][] codes, ImageShape of, int batchSize) {
        return CodeBatches.decode(this, codes, of, batchSize);
    }

    @Override
    public final Tensor code(Scope scope, Tensor x) {
        Tape tape = Tape.inference(scope);
        long batch = x.shape().get(0);
        return Functions.concat(
                tape,
                1,
                q(quantize(tape, x, image())).stream()
                        .map(q -> q.reshape(Shape.of(batch, q.shape().elements() / batch)))
                        .toArray(Tensor[]::new));
    }

    @Override
    public final Tensor decode(Tape tape, Tensor z) {
        List<Tensor> q = new ArrayList<>();
        long from = 0;
        for (int map = 0; map < grids.size(); map++) {
            Shape vectors = vectorsShape(z.shape().get(0), map, image());
            long to = from + vectors.elements() / vectors.get(0);
            q.add(Functions.reshape(tape, Functions.slice(tape, z, 1, from, to), vectors));
            from = to;
        }
        return decodeVectors(tape, q);
    }

    // ---- training ----

    @Override
    public final boolean isRecordable() {
        return true;
    }

    @Override
    public final Objective objective(Tape tape, Tensor x) {
        Scope scope = tape.scope();
        List<Quantized> maps = quantize(tape, x, image());
        Tensor scale = Ops.scale(scope, errorScale, scope.scalar(1.0f / image().values()));
        Tensor weight = Ops.scale(scope, scale, scope.scalar(1.0f / x.shape().get(0)));
        Likelihood.Loss reconstruction =
                likelihood().loss(tape, decodeVectors(tape, q(maps)), x, weight);
        Map<String, Tensor> metrics = new LinkedHashMap<>();
        metrics.put("reconstruction", Ops.scale(scope, reconstruction.rows(), scale));
        Tensor loss = reconstruction.total();
        for (int map = 0; map < maps.size(); map++) {
            Quantized z = maps.get(map);
            if (z.loss() != null) {
                loss = Functions.add(tape, loss, z.loss());
                metrics.put(figure(map, "quantization"), z.loss());
            }
            if (z.perplexity() != null) {
                metrics.put(figure(map, "batch_perplexity"), z.perplexity());
            }
        }
        return new Objective(loss, metrics);
    }

    /** {@code perplexity} of the only map, {@code top_perplexity} of one of several. */
    private String figure(int map, String name) {
        return grids.size() == 1 ? name : maps().get(map) + "_" + name;
    }

    /** Does nothing to a model that was prepared before: its codebooks have learned since. */
    @Override
    public final void prepare(ImageSet images, long seed) {
        check(images);
        if (prepared.toIntArray()[0] != 0) {
            return;
        }
        errorScale.copyFrom((float) (1 / likelihood().unit(CodebookStart.variance(images))));
        for (int map = 0; map < grids.size() && initialize; map++) {
            try (Scope scope = new Scope(device())) { // those below see what this one starts from
                Tensor vectors = CodebookStart.vectors(this, map, scope, images, seed);
                quantizers.get(map).initialize(scope, vectors, seed);
            }
        }
        prepared.copyFrom(new int[] {1});
    }

    // ---- health ----

    @Override
    public final void beginEpoch() {
        quantizers.forEach(Quantizer::clearHealth);
    }

    /** Perplexity of an epoch's codes, the part of them that occurred, dead and revived ones. */
    @Override
    public final Map<String, Double> epochFigures() {
        Map<String, Double> figures = new LinkedHashMap<>();
        for (int map = 0; map < quantizers.size(); map++) {
            CodebookHealth health = quantizers.get(map).health();
            figures.put(figure(map, "perplexity"), health.perplexity());
            figures.put(figure(map, "usage"), health.usage());
            figures.put(figure(map, "dead"), (double) health.dead());
            figures.put(figure(map, "revived"), (double) health.revived());
        }
        return figures;
    }

    @Override
    public final Optional<String> epochWarning() {
        List<String> warnings = new ArrayList<>();
        for (int map = 0; map < quantizers.size(); map++) {
            String of = grids.size() == 1 ? "" : " of the " + maps().get(map) + " map";
            UsageWarning.of(quantizers.get(map), of, initialize).ifPresent(warnings::add);
        }
        return warnings.isEmpty() ? Optional.empty() : Optional.of(String.join("; ", warnings));
    }
}
