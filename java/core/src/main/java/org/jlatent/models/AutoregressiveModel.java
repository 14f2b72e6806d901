package org.jlatent.models;

import java.util.Map;
import java.util.OptionalInt;
import java.util.SplittableRandom;
import org.jlatent.JlatentException;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.Embedding;
import org.jlatent.nn.Functions;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;

/**
 * A model of images value by value, each given those before it: {@code p(x) = product of p(x_i |
 * x_1 .. x_(i-1))}, row by row, pixel by pixel, channel by channel [van den Oord et al. 2016, eq. 1
 * and 2]. So the likelihood of an image is exact.
 *
 * <p>Loss: -log p(x) in nats an image, a mean over the batch.
 */
public abstract class AutoregressiveModel extends ImageModel {
    private final PixelNetwork network;
    private final Embedding codes;

    /**
     * @param init owns the parameters
     * @param image what it is to model
     * @param likelihood of a value given those before it
     * @param codes vectors that stand for values where these are numbers of something; null: the
     *     network sees the values themselves
     * @param seed of {@link #random}
     */
    AutoregressiveModel(
            Init init,
            ImageShape image,
            Likelihood likelihood,
            Embedding codes,
            PixelNetwork network,
            long seed) {
        super(image, likelihood, new Random(init.scope(), seed));
        Networks.require(
                likelihood.parametersPerValue() == 1,
                "a value's likelihood must have one parameter",
                likelihood.name() + " with " + likelihood.parametersPerValue());
        this.codes = codes == null ? null : child("codes", codes);
        this.network = child("network", network);
    }

    /** Classes that images are conditioned on; 0: none. */
    public final int classes() {
        return network.classes();
    }

    /** Channels of the map that images are conditioned on; 0: none. */
    public final int conditionChannels() {
        return network.conditionChannels();
    }

    /** The network step by step, for who evaluates it otherwise than {@link #logits}. */
    final PixelNetwork network() {
        return network;
    }

    /** Of a network's features: each group of channels, red before green, has as many. */
    static void requireGroups(int groups, String name, int features) {
        Networks.require(
                features % groups == 0,
                name + " must be a multiple of the image's " + groups + " channels",
                features);
    }

    // ---- likelihood ----

    /**
     * The parameters of every p(x_i | x_1 .. x_(i-1)): those of value i depend on the values before
     * it alone.
     *
     * @param x {@code [batch, values]}
     * @return {@code [batch, values parametersPerValue]}, those of a value side by side
     * @throws ShapeException unless images and condition have the shapes that the model takes
     * @throws IllegalArgumentException if there is no class for each image, of those there are
     */
    public final Tensor logits(Tape tape, Tensor x, Condition condition) {
        long batch = x.shape().get(0);
        Tensor labels = labels(tape.scope(), batch, condition.labels());
        requireMap(batch, condition.map());
        Tensor images = Functions.reshape(tape, x, pixels(batch, image().channels()));
        Tensor out = network.forward(tape, input(tape, images), condition.map(), labels);
        Shape s = out.shape();
        return Functions.reshape(tape, out, Shape.of(batch, s.get(1) * s.get(2) * s.get(3)));
    }

    /** What the network sees of images: their values, or for each the vector it stands for. */
    private Tensor input(Tape tape, Tensor images) {
        if (codes == null) {
            return images;
        }
        long last = codes.parameters().get("weight").shape().get(0) - 1;
        float[] values = images.toFloatArray();
        int[] numbers = new int[values.length];
        for (int i = 0; i < values.length; i++) {
            numbers[i] = Math.round(values[i] * last);
        }
        Tensor vectors = codes.forward(tape, tape.scope().ofInts(images.shape(), numbers));
        Shape s = vectors.shape(); // [batch, height, width, channels, dims]
        return Functions.reshape(tape, vectors, pixels(s.get(0), s.get(3) * s.get(4)));
    }

    private Shape pixels(long batch, long channels) {
        return Shape.of(batch, image().height(), image().width(), channels);
    }

    private Tensor labels(Scope scope, long batch, int[] labels) {
        if ((labels != null) != (classes() > 0)) {
            throw new IllegalArgumentException(
                    classes() > 0
                            ? "the model is conditioned on " + classes() + " classes, got no labels"
                            : "the model is not conditioned on classes, got labels");
        }
        if (labels == null) {
            return null;
        }
        if (labels.length != batch) {
            throw new IllegalArgumentException(
                    "there are " + batch + " images and " + labels.length + " labels");
        }
        for (int label : labels) {
            Networks.require(
                    label >= 0 && label < classes(),
                    "a label must be from 0 to " + (classes() - 1),
                    label);
        }
        return scope.ofInts(Shape.of(batch), labels);
    }

    private void requireMap(long batch, Tensor map) {
        Shape given = map == null ? null : map.shape();
        Shape taken = conditionChannels() == 0 ? null : pixels(batch, conditionChannels());
        if (given == null ? taken != null : !given.equals(taken)) {
            throw new ShapeException(
                    "the model is conditioned on "
                            + (taken == null ? "no map" : "a map " + taken)
                            + ", got "
                            + (given == null ? "none" : given));
        }
    }

    /**
     * The loss of a batch given something.
     *
     * @param x {@code [batch, values]}
     * @throws ShapeException as {@link #logits}
     * @throws IllegalArgumentException as {@link #logits}
     */
    public final Objective objective(Tape tape, Tensor x, Condition condition) {
        Tensor mean = tape.scope().scalar(1.0f / x.shape().get(0));
        Likelihood.Loss nll = likelihood().loss(tape, logits(tape, x, condition), x, mean);
        return new Objective(nll.total(), Map.of());
    }

    @Override
    public final Objective objective(Tape tape, Tensor x) {
        return objective(tape, x, Condition.none());
    }

    @Override
    public final Objective objective(Tape tape, Tensor x, int[] labels) {
        return objective(tape, x, condition(labels));
    }

    /** Labels, if the model asks for any. */
    final Condition condition(int[] labels) {
        return classes() == 0 ? Condition.none() : Condition.ofLabels(labels);
    }

    /**
     * {@inheritDoc}
     *
     * @throws IllegalArgumentException also if the model is conditioned on classes, and an image's
     *     is not among them
     */
    @Override
    public final void check(ImageSet images) {
        super.check(images);
        for (int i = 0; classes() > 0 && i < images.size(); i++) {
            OptionalInt label = images.label(i);
            if (label.isEmpty() || label.getAsInt() < 0 || label.getAsInt() >= classes()) {
                throw new IllegalArgumentException(
                        "the model is conditioned on "
                                + classes()
                                + " classes; of "
                                + images.name()
                                + " image "
                                + i
                                + (label.isEmpty()
                                        ? " has none"
                                        : " is of class " + label.getAsInt()));
            }
        }
    }

    /** {@inheritDoc} Of a Bernoulli likelihood: other values than 0 and 1. */
    @Override
    public final void check(float[] images) {
        super.check(images);
        for (float value : images) {
            if (likelihood().name().equals("bernoulli") && value != 0 && value != 1) {
                throw new JlatentException(
                        "a model of pixels given others takes zeros and ones with a bernoulli"
                                + " likelihood, the images hold "
                                + value
                                + "; binarize them");
            }
        }
    }

    // ---- sampling ----

    /**
     * Draws images, a whole forward pass for every value: what a faster way is held against.
     *
     * @return {@code count values} numbers; the same for the same seed, and the first images the
     *     same for any count
     * @throws ShapeException as {@link #logits}
     * @throws IllegalArgumentException as {@link #logits}
     */
    public final float[] sample(int count, Condition condition, long seed) {
        int values = Math.multiplyExact(count, image().values());
        return complete(new float[values], new boolean[values], condition, seed);
    }

    /**
     * {@link #sample}, but for values that are given.
     *
     * @param images values of whole images; what is not given does not matter
     * @param given which values stay as they are
     * @return images with the values that were not given drawn
     * @throws ShapeException as {@link #logits}
     * @throws IllegalArgumentException as {@link #logits}; or unless the arrays are of the same
     *     length, a whole number of images
     */
    public final float[] complete(float[] images, boolean[] given, Condition condition, long seed) {
        int values = image().values();
        if (images.length % values != 0 || given.length != images.length) {
            throw new IllegalArgumentException(
                    "images of "
                            + values
                            + " values cannot be completed from "
                            + images.length
                            + " values, of which it is known of "
                            + given.length
                            + " whether they are given");
        }
        float[] x = images.clone();
        for (int i = 0; i < x.length; i++) {
            x[i] = given[i] ? x[i] : 0; // a mask within a pixel takes anything but NaN
        }
        int count = x.length / values;
        try (Scope scope = new Scope(device())) {
            for (int value = 0; value < values; value++) {
                boolean known = true;
                for (int image = 0; image < count; image++) {
                    known &= given[image * values + value];
                }
                if (known) {
                    continue;
                }
                scope.clear();
                Tensor seen = scope.of(Shape.of(count, values), x);
                float[] logits = logits(Tape.inference(scope), seen, condition).toFloatArray();
                for (int i = value; i < x.length; i += values) {
                    if (!given[i]) {
                        x[i] = draw(logits[i], seed, i);
                    }
                }
            }
        }
        return x;
    }

    /** A value by the inverse of its distribution function, at a number in [0, 1) of its own. */
    private static float draw(float logit, long seed, int element) {
        double uniform = new SplittableRandom(seed + element * 0x9E3779B97F4A7C15L).nextDouble();
        return uniform < 1 / (1 + Math.exp(logit)) ? 0 : 1;
    }
}
