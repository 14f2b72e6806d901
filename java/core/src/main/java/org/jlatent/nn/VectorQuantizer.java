package org.jlatent.nn;

import java.util.List;
import org.jlatent.EmbeddingOps;
import org.jlatent.JlatentException;
import org.jlatent.Ops;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.VectorQuantizeOps;
import org.jlatent.VectorQuantizeOps.Averages;
import org.jlatent.VectorQuantizeOps.Estimator;
import org.jlatent.VectorQuantizeOps.Gradients;
import org.jlatent.VectorQuantizeOps.InputGradients;
import org.jlatent.VectorQuantizeOps.Result;
import org.jlatent.nn.VectorQuantizerConfig.Learning;

/**
 * Each vector becomes the nearest entry of a codebook, and that entry's number its code [van den
 * Oord et al. 2017, eq. 1 to 3].
 *
 * <p>The codebook learns by moving averages of the vectors that its entries stand for [ibid., app.
 * A.1], or by the gradient of the codebook loss. Both happen when backward passes here, from the
 * codebook that forward used, so a step may quantize only once; where no gradient for x is wanted,
 * averages learn in forward.
 *
 * <p>Parameter, if it learns by gradient, else buffer: {@code codebook [codes, dims]}, uniform at
 * the start with entries of a length of about 1, so that they are apart but as near to the vectors
 * of a young encoder as to each other; {@link #initialize} does better. Buffers: {@code
 * averages.state}, {@code averages.counts} and {@code averages.sums}, and {@code seen}, which
 * counts codes for {@link #health}.
 */
public final class VectorQuantizer extends Quantizer {
    private final VectorQuantizerConfig config;
    private final Tensor codebook;
    private final Tensor beta;
    private final Averages averages; // null: the codebook learns by gradient
    private final CodeCounts counts;

    /**
     * @param random must stay at the same step from a forward to its backward pass
     * @param site which random draw of the model this is
     */
    public VectorQuantizer(Init init, VectorQuantizerConfig config, Random random, int site) {
        if (config.heads() > 1
                || config.stages() > 1
                || config.cosine()
                || config.estimator() != Estimator.STRAIGHT_THROUGH) {
            throw new IllegalArgumentException("one plain codebook only, got " + config);
        }
        this.config = config;
        Shape book = Shape.of(config.codes(), config.dims());
        Tensor start = init.uniform(book, Math.sqrt(3.0 / config.dims()));
        boolean byGradient = config.learning() == Learning.GRADIENT;
        this.codebook = byGradient ? parameter("codebook", start) : buffer("codebook", start);
        this.beta = init.scope().scalar(config.beta());
        this.averages = byGradient ? null : freshAverages(init.scope());
        if (averages != null) {
            buffer("averages.state", averages.state());
            buffer("averages.counts", averages.counts());
            buffer("averages.sums", averages.sums());
        }
        this.counts = new CodeCounts(init.scope(), books(), config.codes());
        buffer("seen", counts.seen());
    }

    private Averages freshAverages(Scope scope) {
        return Averages.of(scope, config.codes(), config.dims(), config.decay(), config.epsilon());
    }

    @Override
    public long dims() {
        return config.dims();
    }

    @Override
    public long codes() {
        return config.codes();
    }

    /** What the quantizer was made from. */
    public VectorQuantizerConfig config() {
        return config;
    }

    @Override
    public Shape books() {
        return Shape.of();
    }

    @Override
    public Quantized forward(Tape tape, Tensor x) {
        Scope scope = tape.scope();
        Result r = VectorQuantizeOps.forward(scope, x, codebook, null, beta, null);
        Tensor loss =
                averages == null
                        ? Ops.add(scope, r.codebookLoss(), r.commitment())
                        : r.commitment();
        if (!tape.recording()) {
            return new Quantized(r.q(), r.codes(), loss, null);
        }
        tape.record(
                "vector quantize",
                List.of(x, codebook),
                List.of(r.q(), loss),
                () -> backward(tape, x, r, loss));
        if (averages != null && !tape.tracks(x)) {
            learn(scope, x, r);
        }
        return new Quantized(r.q(), r.codes(), loss, counts.add(scope, r.histogram()));
    }

    private void backward(Tape tape, Tensor x, Result r, Tensor loss) {
        Tensor d = tape.gradient(loss);
        InputGradients g =
                VectorQuantizeOps.backward(
                        tape.scope(),
                        x,
                        codebook,
                        beta,
                        r,
                        new Gradients(tape.gradient(r.q()), averages == null ? d : null, d));
        tape.accumulate(x, g.dx());
        if (g.dCodebook() != null) {
            tape.accumulate(codebook, g.dCodebook());
        }
        if (averages != null) {
            learn(tape.scope(), x, r);
        }
    }

    private void learn(Scope scope, Tensor x, Result r) {
        VectorQuantizeOps.average(scope, x, r.codes(), averages, codebook);
    }

    /**
     * Centers by k-means++ and Lloyd's algorithm; the vectors then count as the first batch that
     * the averages take in, so that no entry is without a count. With fewer distinct vectors than
     * codes some entries are alike.
     *
     * @throws ShapeException if there is no vector
     */
    @Override
    public void initialize(Scope scope, Tensor vectors, long seed) {
        Tensor rows = vectors.reshape(Shape.of(vectors.shape().rows(), config.dims()));
        codebook.copyFrom(KMeans.centers(scope, rows, config.codes(), seed).toFloatArray());
        if (averages != null) {
            Averages fresh = freshAverages(scope);
            averages.state().copyFrom(fresh.state().toIntArray());
            averages.counts().copyFrom(fresh.counts().toFloatArray());
            averages.sums().copyFrom(fresh.sums().toFloatArray());
            learn(scope, rows, VectorQuantizeOps.forward(scope, rows, codebook, null, beta, null));
        }
        clearHealth();
    }

    /**
     * {@inheritDoc}
     *
     * @throws JlatentException also if the codebook is not finite
     */
    @Override
    public Tensor decode(Scope scope, Tensor codes) {
        float[] values = codebook.toFloatArray();
        for (int i = 0; i < values.length; i++) {
            if (!Float.isFinite(values[i])) {
                throw new JlatentException(
                        "decode: entry " + i / config.dims() + " of the codebook is not finite");
            }
        }
        return EmbeddingOps.forward(scope, codebook, codes, null);
    }

    @Override
    public CodebookHealth health() {
        return counts.health(0);
    }

    @Override
    public void clearHealth() {
        counts.clear();
    }
}
