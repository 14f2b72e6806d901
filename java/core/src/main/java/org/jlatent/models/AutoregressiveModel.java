package org.jlatent.models;

import java.util.Map;
import java.util.OptionalInt;
import org.jlatent.JlatentException;
import org.jlatent.LikelihoodLevelsOps;
import org.jlatent.Random;
import org.jlatent.SamplerProgram;
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
public abstract class AutoregressiveModel extends ImageModel implements GenerativeModel {
    private final PixelNetwork network;
    private final Embedding codes;
    private final LikelihoodLevelsOps.Options draws;

    /**
     * @param init owns the parameters
     * @param image what it is to model
     * @param likelihood of a value given those before it
     * @param codes a vector for each level, which the network sees in its place; or null
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
        this.draws = draws(likelihood);
        this.codes = codes == null ? null : child("codes", codes);
        this.network = child("network", network);
    }

    /** Classes that images are conditioned on; 0: none. */
    @Override
    public final int classes() {
        return network.classes();
    }

    /** Channels of the map that images are conditioned on; 0: none. */
    public final int conditionChannels() {
        return network.conditionChannels();
    }

    private static LikelihoodLevelsOps.Options draws(Likelihood likelihood) {
        return likelihood
                .draws()
                .orElseThrow(
                        () ->
                                new IllegalArgumentException(
                                        "a value given others needs a likelihood of levels:"
                                                + " bernoulli, categorical or logistic-mixture,"
                                                + " got "
                                                + likelihood.name()));
    }

    /** Values that a likelihood has levels for. */
    static int levels(Likelihood likelihood) {
        return draws(likelihood).levels();
    }

    /**
     * Groups of channels that are drawn one after the other: all of them, unless the likelihood
     * draws a whole pixel.
     *
     * @param features of a network: each group has as many
     */
    static int groups(ImageShape image, Likelihood likelihood, int features, int head) {
        likelihood.parametersPerPixel(image.channels()); // complains where it does not fit
        int groups = image.channels() / draws(likelihood).channels();
        String of = " must be a multiple of the image's " + groups + " channels";
        Networks.require(features % groups == 0, "features" + of, features);
        Networks.require(head % groups == 0, "head" + of, head);
        return groups;
    }

    // ---- likelihood ----

    /**
     * The parameters of every p(x_i | x_1 .. x_(i-1)): those of value i depend on the values before
     * it alone.
     *
     * @param x {@code [batch, values]}
     * @return {@code [batch, parametersPerPixel pixels]}, those of a value, or of a pixel that the
     *     likelihood draws as a whole, side by side
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
        Tensor levels = LikelihoodLevelsOps.ofValues(tape.scope(), images, draws.levels());
        Tensor vectors = codes.forward(tape, levels);
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

    /** {@inheritDoc} So is a model without classes: labels are Java's. */
    @Override
    public final boolean isRecordable() {
        return classes() == 0;
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
        checkLabels(images);
    }

    /** Whether the model can be conditioned on the images' classes. */
    final void checkLabels(ImageSet images) {
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

    /** {@inheritDoc} For a Bernoulli likelihood that is other values than 0 and 1. */
    @Override
    public final void check(float[] images) {
        super.check(images);
        boolean bits = likelihood().levels() == 0;
        for (float value : images) {
            if (bits && value != 0 && value != 1) {
                throw new JlatentException(
                        "a value given others is 0 or 1 with a "
                                + likelihood().name()
                                + " likelihood, the images hold "
                                + value
                                + "; binarize them, or choose a likelihood of more levels");
            }
        }
    }

    // ---- sampling ----

    /**
     * How images are drawn.
     *
     * @param temperature divides logits and multiplies scales: below 1 likelier values, above 1
     *     others
     * @param topK only the most likely so many levels of a categorical; 0: all
     * @param seed the same draws the same, image by image: the first are the same for any count
     */
    public record Draws(float temperature, int topK, long seed) {
        /** From the distribution itself. */
        public static Draws of(long seed) {
            return new Draws(1, 0, seed);
        }

        /** At another temperature. */
        public Draws withTemperature(float value) {
            return new Draws(value, topK, seed);
        }

        /** Of the most likely so many levels; 0: of all. */
        public Draws withTopK(int count) {
            return new Draws(temperature, count, seed);
        }
    }

    /**
     * Draws images. Every feature map is computed once, whatever the number of pixels.
     *
     * @return {@code count values} numbers
     * @throws ShapeException as {@link #logits}
     * @throws IllegalArgumentException as {@link #logits}
     * @throws JlatentException if the logits are not finite
     */
    @Override
    public final float[] sample(int count, Condition condition, Draws how) {
        int values = Math.multiplyExact(count, image().values());
        return complete(new float[values], new boolean[values], condition, how);
    }

    /**
     * {@link #sample}, but for values that are given.
     *
     * @param images values of whole images; what is not given does not matter
     * @param given which values stay as they are
     * @return images with the values that were not given drawn
     * @throws ShapeException as {@link #logits}
     * @throws IllegalArgumentException as {@link #logits}; or unless the arrays are of the same
     *     length, a whole number of images, and a likelihood that draws whole pixels is given none
     *     in part
     * @throws JlatentException if the logits are not finite, or a value that is given is none of
     *     the likelihood's levels
     */
    public final float[] complete(float[] images, boolean[] given, Condition condition, Draws how) {
        return new PixelDrawing(this, draws, how).complete(images, given, condition);
    }

    /**
     * Draws the same images by a whole forward pass for every value: what {@link #complete} is held
     * against. Where a random number is within rounding of an edge of the distribution function the
     * two may differ.
     */
    public final float[] completeNaively(
            float[] images, boolean[] given, Condition condition, Draws how) {
        return new PixelDrawing(this, draws, how).completeNaively(images, given, condition);
    }

    /** The model as a program that images are drawn from. */
    final SamplerProgram program(Scope scope, long batch, Condition condition) {
        Tensor labels = labels(scope, batch, condition.labels());
        requireMap(batch, condition.map());
        SamplerProgram program = new SamplerProgram();
        if (codes == null) {
            program.pixels(image().channels(), 1.0f / (draws.levels() - 1), 0);
        } else {
            program.embedding(codes.table(), image().channels());
        }
        network.addTo(program, scope, condition.map(), labels);
        return program;
    }
}
