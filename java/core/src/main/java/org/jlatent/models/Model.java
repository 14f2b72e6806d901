package org.jlatent.models;

import java.util.Map;
import org.jlatent.Random;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.nn.Module;

/** A module that can be trained on images. */
public abstract class Model extends Module {

    /**
     * The loss of a batch.
     *
     * @param x {@code [batch, dims]}, images in [0, 1]
     */
    public abstract Objective objective(Tape tape, Tensor x);

    /** The noise the model draws; the trainer advances it once a step. */
    public abstract Random random();

    /**
     * What {@link #objective} gives.
     *
     * @param loss {@code [1]}: what is minimised, a mean over the batch
     * @param metrics by name, each {@code [batch]} with one value an image, unweighted; their means
     *     are reported
     */
    public record Objective(Tensor loss, Map<String, Tensor> metrics) {}
}
