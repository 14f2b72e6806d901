package org.jlatent.models;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.jlatent.DType;
import org.jlatent.Ops;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.Batches;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.CodebookHealth;
import org.jlatent.nn.Functions;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.LookupFreeQuantizer;
import org.jlatent.nn.Quantizer;
import org.jlatent.nn.Quantizer.Quantized;
import org.jlatent.nn.Sequential;
import org.jlatent.nn.VectorQuantizer;

/**
 * Vector-quantized autoencoder [van den Oord et al. 2017]: an image becomes a smaller image of
 * codes, integers that stand for vectors, and is made again from these vectors. What a {@link
 * LatentModel} calls a code are the vectors, all of an image in a row.
 *
 * <p>Loss: the likelihood's, a mean over the values of a batch and in its {@linkplain
 * Likelihood#unit unit}, so that squared errors are divided by the training images' variance and
 * likelihoods are nats a value; and the quantizer's loss [ibid., eq. 3]. {@link #prepare} measures
 * the variance, which is 1 before, and starts the codebook.
 *
 * <p>The network is convolutional: it {@linkplain #encode encodes} and {@linkplain #decode decodes}
 * images of any size that 2^levels divides. A model made for sequences, images of height 1, takes
 * sequences of any such length.
 *
 * <p>Parameters: {@code encoder.*}, {@code quantizer.*}, {@code decoder.*}. Buffers, beside the
 * quantizer's: {@code errorScale [1]}, 1 / unit, and {@code prepared [1]}.
 */
public final class VqVae extends LatentModel implements CodedModel {
    private static final int SITE = 1; // of the quantizer's draws
    private static final int VECTORS_A_CODE = 16; // that a codebook starts from
    private static final int MOST_VECTORS = 1 << 18;
    private static final int BATCH = 32; // of the images that they come from
    private static final double LOW_USAGE = 0.2;

    private final VqVaeConfig config;
    private final CodeGrid grid;
    private final Sequential encoder;
    private final Quantizer quantizer;
    private final Sequential decoder;
    private final Tensor errorScale;
    private final Tensor prepared;

    /**
     * A model with fresh parameters.
     *
     * @param init owns the parameters
     * @param image what it is to be trained on
     * @param seed of what the quantizer draws
     * @throws IllegalArgumentException unless 2^levels divides the sides of the image
     */
    public VqVae(Init init, ImageShape image, VqVaeConfig config, long seed) {
        this(init, image, config, new Random(init.scope(), seed));
    }

    private VqVae(Init init, ImageShape image, VqVaeConfig config, Random random) {
        this(
                init,
                new CodeGrid(image, config.levels()),
                config,
                random,
                config.quantizer().make(init, random, SITE));
    }

    private VqVae(
            Init init, CodeGrid grid, VqVaeConfig config, Random random, Quantizer quantizer) {
        super(
                grid.model(),
                Math.toIntExact(grid.vectors() * quantizer.dims()),
                config.likelihood(),
                random);
        this.grid = grid;
        this.config = config;
        int dims = Math.toIntExact(quantizer.dims());
        int outputs = config.likelihood().parametersPerPixel(image().channels());
        ResidualNetworks networks = new ResidualNetworks(init, image(), config);
        encoder = child("encoder", networks.encoder(image().channels(), dims));
        this.quantizer = child("quantizer", quantizer);
        decoder = child("decoder", networks.decoder(dims, outputs));
        errorScale = buffer("errorScale", init.scope().scalar(1));
        prepared = buffer("prepared", init.scope().ofInts(Shape.of(1), 0));
    }

    /** What the model was made from. */
    public VqVaeConfig config() {
        return config;
    }

    /** What becomes of the encoder's vectors. */
    public Quantizer quantizer() {
        return quantizer;
    }

    // ---- codes ----

    /**
     * The shape of an image's codes: {@code [height, width]}, of sequences {@code [1, length]}, and
     * the quantizer's {@link Quantizer#books}.
     *
     * @throws IllegalArgumentException unless the model takes such images
     */
    public Shape codesShape(ImageShape of) {
        return grid.codes(of, quantizer.books());
    }

    /**
     * The images that codes stand for.
     *
     * @param codes {@code [height, width, books]}
     * @throws ShapeException if no image has codes of that shape
     */
    public ImageShape imageShape(Shape codes) {
        return grid.image(codes, quantizer.books());
    }

    /** The encoder's vectors, {@code [batch, height, width, dims]}. */
    private Tensor vectors(Tape tape, Tensor x, ImageShape of) {
        codesShape(of); // complains where they do not fit
        Shape images = Shape.of(x.shape().get(0), of.height(), of.width(), of.channels());
        return encoder.forward(tape, Functions.reshape(tape, x, images));
    }

    /** What becomes of images, with codes of {@link #codesShape} each. */
    Quantized quantize(Tape tape, Tensor x, ImageShape of) {
        return quantizer.forward(tape, vectors(tape, x, of));
    }

    /** The parameters of p(x|codes), {@code [batch, parametersPerPixel pixels]}. */
    Tensor decodeVectors(Tape tape, Tensor vectors) {
        return Networks.planes(tape, decoder.forward(tape, vectors), likelihood());
    }

    /**
     * The codes of images. Not recorded.
     *
     * @param x {@code [batch, values]}
     * @param of height, width and channels of the images
     * @return i32, {@code [batch]} and {@link #codesShape}
     * @throws IllegalArgumentException unless the model takes such images
     */
    public Tensor encode(Scope scope, Tensor x, ImageShape of) {
        return quantize(Tape.inference(scope), x, of).codes();
    }

    /**
     * The codes of a whole set, in its order.
     *
     * @return {@code [size]} and {@link #codesShape}, row-major
     * @throws IllegalArgumentException unless the model takes such images
     */
    public int[] encode(ImageSet images, int batchSize) {
        Networks.require(batchSize >= 1, "batchSize must be at least 1", batchSize);
        int length = Math.toIntExact(codesShape(images.shape()).elements());
        int[] codes = new int[Math.multiplyExact(images.size(), length)];
        try (Scope scope = new Scope(device())) {
            for (int first = 0; first < images.size(); first += batchSize) {
                scope.clear();
                int count = Math.min(batchSize, images.size() - first);
                Tensor x = batch(scope, images, first, count);
                int[] some = encode(scope, x, images.shape()).toIntArray();
                System.arraycopy(some, 0, codes, first * length, some.length);
            }
        }
        return codes;
    }

    /**
     * Means of p(x|codes).
     *
     * @param codes i32, {@code [batch]} and a shape as {@link #codesShape} has it
     * @return {@code batch} images of {@link #imageShape}, row-major
     * @throws ShapeException if the codes are of another shape
     * @throws org.jlatent.JlatentException if a code is not in [0, codes of the quantizer)
     */
    public float[] decode(Scope scope, Tensor codes) {
        long[] extents = codes.shape().toArray();
        if (extents.length == 0 || codes.dtype() != DType.I32) {
            throw new ShapeException(
                    "codes must be I32, [batch, height, width] and books, got "
                            + codes.shape()
                            + " of "
                            + codes.dtype());
        }
        ImageShape shape = imageShape(Shape.of(Arrays.copyOfRange(extents, 1, extents.length)));
        Tensor vectors = quantizer.decode(scope, codes);
        Tensor parameters = decodeVectors(Tape.inference(scope), vectors);
        return likelihood().mean(parameters.toFloatArray(), shape.values());
    }

    /**
     * {@link #decode(Scope, Tensor)} of any number of images.
     *
     * @param codes as {@link #encode(ImageSet, int)} gives them
     * @param of height, width and channels of the images
     * @throws IllegalArgumentException unless the model takes such images, and there are codes for
     *     a whole number of them
     */
    public float[] decode(int[] codes, ImageShape of, int batchSize) {
        Networks.require(batchSize >= 1, "batchSize must be at least 1", batchSize);
        int length = Math.toIntExact(codesShape(of).elements());
        Networks.require(
                codes.length % length == 0,
                "images of " + of + " have " + length + " codes each",
                codes.length);
        int count = codes.length / length;
        float[] images = new float[Math.multiplyExact(count, of.values())];
        try (Scope scope = new Scope(device())) {
            for (int first = 0; first < count; first += batchSize) {
                scope.clear();
                int last = Math.min(first + batchSize, count);
                int[] some = Arrays.copyOfRange(codes, first * length, last * length);
                float[] decoded = decode(scope, scope.ofInts(batchOf(of, last - first), some));
                System.arraycopy(decoded, 0, images, first * of.values(), decoded.length);
            }
        }
        return images;
    }

    /** One map, {@code codes}: a place's books, heads and stages, are its channels. */
    @Override
    public List<CodeMap> codeMaps() {
        Shape codes = codesShape(image());
        ImageShape shape =
                new ImageShape(
                        Math.toIntExact(codes.get(0)),
                        Math.toIntExact(codes.get(1)),
                        Math.toIntExact(quantizer.books().elements()));
        return List.of(new CodeMap("codes", shape, Math.toIntExact(quantizer.codes())));
    }

    @Override
    public List<Tensor> encodeMaps(Scope scope, Tensor x) {
        Tensor codes = encode(scope, x, image());
        Shape s = codes.shape();
        long books = quantizer.books().elements();
        return List.of(codes.reshape(Shape.of(s.get(0), s.get(1), s.get(2), books)));
    }

    @Override
    public float[] decodeMaps(Scope scope, List<Tensor> codes) {
        Tensor map = codes.get(0);
        return decode(scope, map.reshape(batchOf(image(), (int) map.shape().get(0))));
    }

    private Shape batchOf(ImageShape of, int count) {
        long[] codes = codesShape(of).toArray();
        long[] all = new long[codes.length + 1];
        all[0] = count;
        System.arraycopy(codes, 0, all, 1, codes.length);
        return Shape.of(all);
    }

    @Override
    public Tensor code(Scope scope, Tensor x) {
        Tensor q = quantize(Tape.inference(scope), x, image()).q();
        return q.reshape(Shape.of(x.shape().get(0), latent()));
    }

    @Override
    public Tensor decode(Tape tape, Tensor z) {
        Shape codes = grid.codes(image(), Shape.of());
        Shape vectors = Shape.of(z.shape().get(0), codes.get(0), codes.get(1), quantizer.dims());
        return decodeVectors(tape, Functions.reshape(tape, z, vectors));
    }

    // ---- training ----

    @Override
    public boolean isRecordable() {
        return true;
    }

    @Override
    public Objective objective(Tape tape, Tensor x) {
        Scope scope = tape.scope();
        Quantized z = quantize(tape, x, image());
        Tensor scale = Ops.scale(scope, errorScale, scope.scalar(1.0f / image().values()));
        Tensor weight = Ops.scale(scope, scale, scope.scalar(1.0f / x.shape().get(0)));
        Likelihood.Loss reconstruction =
                likelihood().loss(tape, decodeVectors(tape, z.q()), x, weight);
        Map<String, Tensor> metrics = new LinkedHashMap<>();
        metrics.put("reconstruction", Ops.scale(scope, reconstruction.rows(), scale));
        Tensor loss = reconstruction.total();
        if (z.loss() != null) {
            loss = Functions.add(tape, loss, z.loss());
            metrics.put("quantization", z.loss());
        }
        if (z.perplexity() != null) {
            metrics.put("batch_perplexity", z.perplexity());
        }
        return new Objective(loss, metrics);
    }

    /** Does nothing to a model that was prepared before: its codebook has learned since. */
    @Override
    public void prepare(ImageSet images, long seed) {
        check(images);
        if (prepared.toIntArray()[0] != 0) {
            return;
        }
        errorScale.copyFrom((float) (1 / likelihood().unit(variance(images))));
        if (config.initialize()) {
            try (Scope scope = new Scope(device())) {
                quantizer.initialize(scope, vectors(scope, images, seed), seed);
            }
        }
        prepared.copyFrom(new int[] {1});
    }

    /** Of all values of all images. */
    private static double variance(ImageSet images) {
        float[] values = new float[images.dimensions()];
        double sum = 0;
        double squares = 0;
        for (int i = 0; i < images.size(); i++) {
            images.read(i, values, 0);
            for (float value : values) {
                sum += value;
                squares += (double) value * value;
            }
        }
        double n = (double) images.size() * values.length;
        double variance = squares / n - sum / n * (sum / n);
        if (!(variance > 0)) {
            throw new IllegalArgumentException(
                    "the values of " + images.name() + " have variance " + variance);
        }
        return variance;
    }

    /** Vectors of images drawn from a set, {@code [vectors, dims]}: enough to start a codebook. */
    private Tensor vectors(Scope scope, ImageSet images, long seed) {
        long dims = quantizer.dims();
        long perImage = grid.vectors();
        long wanted = Math.min(VECTORS_A_CODE * quantizer.codes(), MOST_VECTORS);
        int count = (int) Math.min(images.size(), (wanted - 1) / perImage + 1);
        int[] drawn = new Batches(images.size(), count, seed).batch(0, 0);
        float[] all = new float[count * latent()];
        try (Scope scratch = new Scope(device())) {
            for (int first = 0; first < count; first += BATCH) {
                scratch.clear();
                int some = Math.min(BATCH, count - first);
                float[] pixels = new float[some * images.dimensions()];
                for (int i = 0; i < some; i++) {
                    images.read(drawn[first + i], pixels, i * images.dimensions());
                }
                Tensor x = scratch.of(Shape.of(some, images.dimensions()), pixels);
                float[] v = vectors(Tape.inference(scratch), x, image()).toFloatArray();
                System.arraycopy(v, 0, all, first * latent(), v.length);
            }
        }
        return scope.of(Shape.of(count * perImage, dims), all);
    }

    // ---- health ----

    @Override
    public void beginEpoch() {
        quantizer.clearHealth();
    }

    /** Perplexity of an epoch's codes, the part of them that occurred, dead and revived ones. */
    @Override
    public Map<String, Double> epochFigures() {
        CodebookHealth health = quantizer.health();
        Map<String, Double> figures = new LinkedHashMap<>();
        figures.put("perplexity", health.perplexity());
        figures.put("usage", health.usage());
        figures.put("dead", (double) health.dead());
        figures.put("revived", (double) health.revived());
        return figures;
    }

    @Override
    public Optional<String> epochWarning() {
        CodebookHealth health = quantizer.health();
        boolean any = health.perplexity() > 0; // none, and there is nothing to tell
        if (!any || health.usage() >= LOW_USAGE) {
            return Optional.empty();
        }
        return Optional.of(
                String.format(
                        Locale.ROOT,
                        "only %.0f %% of the %d codes are in use: %s",
                        100 * health.usage(),
                        health.codes(),
                        remedy()));
    }

    private String remedy() {
        if (quantizer instanceof VectorQuantizer vq && vq.config().revive() == 0) {
            return "revive dead ones (revive above 0, such as 0.05)";
        }
        if (quantizer instanceof VectorQuantizer && !config.initialize()) {
            return "start the codebook from training images (initialize)";
        }
        if (quantizer instanceof LookupFreeQuantizer) {
            return "raise the weight of the entropy penalty, or use fewer bits";
        }
        return "use fewer codes, or a lower learning rate";
    }
}
