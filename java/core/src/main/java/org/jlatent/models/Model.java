package org.jlatent.models;

import java.util.Map;
import java.util.Optional;
import org.jlatent.Device;
import org.jlatent.JlatentException;
import org.jlatent.Random;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;
import org.jlatent.nn.Module;

/** A module that can be trained on images. */
public abstract class Model extends Module {

    /**
     * The loss of a batch.
     *
     * @param x {@code [batch, dims]}, a row an image
     */
    public abstract Objective objective(Tape tape, Tensor x);

    /** The noise the model draws; the trainer advances it once a step. */
    public abstract Random random();

    /**
     * Whether {@link #objective} queues the same work for every batch of a size: whatever changes
     * from step to step (weights, noise, counts) is in device memory, and nothing is read from it.
     * Then a GPU records a step once and replays it. False unless overridden: a number that Java
     * computes for each step would stay what it was when the step was recorded.
     */
    public boolean isRecordable() {
        return false;
    }

    /**
     * Looks at a set before it is trained on.
     *
     * @throws IllegalArgumentException unless its images are of the size that the model takes
     */
    public void check(ImageSet images) {}

    /**
     * Looks at images before they are trained on.
     *
     * @param images values of a batch
     * @throws JlatentException if the objective has no meaning for them
     */
    public void check(float[] images) {}

    /**
     * What a model takes from its training images before the first step, such as their variance;
     * nothing by default. A run that is resumed has it in its checkpoint.
     *
     * @param seed of the images that are looked at, where not all are
     */
    public void prepare(ImageSet images, long seed) {}

    /** An epoch begins: {@link #epochFigures} count anew. */
    public void beginEpoch() {}

    /**
     * Figures of the epoch so far that are no means over its images, such as how many codes are in
     * use; none by default. Waits for the device.
     */
    public Map<String, Double> epochFigures() {
        return Map.of();
    }

    /** What {@link #epochFigures} show to go wrong, in one line with what helps; mostly nothing. */
    public Optional<String> epochWarning() {
        return Optional.empty();
    }

    /** Where the parameters are. */
    public final Device device() {
        return parameters().values().iterator().next().device();
    }

    /**
     * What {@link #objective} gives.
     *
     * @param loss {@code [1]}: what is minimised, a mean over the batch
     * @param metrics by name, each {@code [batch]} with one value an image, unweighted, or {@code
     *     [1]} for all of them; their means are reported
     */
    public record Objective(Tensor loss, Map<String, Tensor> metrics) {}
}
