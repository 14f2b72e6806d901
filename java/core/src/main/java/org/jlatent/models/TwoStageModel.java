package org.jlatent.models;

import java.util.List;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeOps;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;
import org.jlatent.models.AutoregressiveModel.Draws;

/**
 * A model with codes, trained before, and a prior over its codes: together they make up images [van
 * den Oord et al. 2017, sec. 3.3].
 *
 * <p>Its parameters are the prior's, {@code prior.*}; those of the first stage stay as they are. It
 * can be trained on images, whose codes it makes anew in every step; quicker, and the same, is to
 * train the {@link #prior} on a {@link CodeSet}.
 */
public final class TwoStageModel extends ImageModel implements GenerativeModel {
    private static final int BATCH = 64; // images decoded at once

    private final CodedModel codec;
    private final CodePrior prior;

    /**
     * @param codec belongs to the caller, and has to stay as long as this
     * @throws IllegalArgumentException if the prior is one of other codes
     */
    public TwoStageModel(CodedModel codec, CodePrior prior) {
        super(codec.image(), codec.likelihood(), prior.random());
        if (!prior.maps().equals(codec.codeMaps())) {
            throw new IllegalArgumentException(
                    "the prior is one of " + prior.maps() + ", the model has " + codec.codeMaps());
        }
        this.codec = codec;
        this.prior = child("prior", prior);
    }

    /** The first stage. */
    public CodedModel codec() {
        return codec;
    }

    /** The second stage. */
    public CodePrior prior() {
        return prior;
    }

    // ---- training ----

    @Override
    public Objective objective(Tape tape, Tensor x) {
        return objective(tape, x, null);
    }

    @Override
    public Objective objective(Tape tape, Tensor x, int[] labels) {
        Scope scope = tape.scope();
        float[] values = CodeSet.values(codec.codeMaps(), codec.encodeMaps(scope, x));
        long batch = x.shape().get(0);
        return prior.objective(
                tape, scope.of(Shape.of(batch, values.length / batch), values), labels);
    }

    @Override
    public void check(ImageSet images) {
        super.check(images);
        prior.checkLabels(images);
    }

    @Override
    public void prepare(ImageSet images, long seed) {
        prior.prepare(CodeSet.of(codec, images, BATCH), seed);
    }

    // ---- sampling ----

    @Override
    public int classes() {
        return prior.classes();
    }

    /** {@inheritDoc} Draws codes; what comes are the means of p(x|codes). */
    @Override
    public float[] sample(int count, Condition condition, Draws how) {
        float[] images = new float[Math.multiplyExact(count, image().values())];
        try (Scope owned = new Scope(device());
                Scope scope = new Scope(device())) {
            List<Tensor> codes = prior.sample(owned, count, condition, how);
            for (int first = 0; first < count; first += BATCH) {
                scope.clear();
                int from = first;
                int to = Math.min(first + BATCH, count);
                List<Tensor> some =
                        codes.stream().map(c -> ShapeOps.slice(scope, c, 0, from, to)).toList();
                float[] decoded = codec.decodeMaps(scope, some);
                System.arraycopy(decoded, 0, images, from * image().values(), decoded.length);
            }
        }
        return images;
    }
}
