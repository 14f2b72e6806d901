package org.jlatent.nn;

import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.jlatent.EmbeddingOps;
import org.jlatent.JlatentException;
import org.jlatent.NormOps;
import org.jlatent.Ops;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.ShapeOps;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.VectorQuantizeOps;
import org.jlatent.VectorQuantizeOps.Averages;
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
 * averages learn in forward. Then entries that are hardly used begin anew at vectors of the batch
 * [random restarts, Dhariwal et al. 2020].
 *
 * <p>Variants, in any combination but for cosine with stages: {@code heads} cut a vector into parts
 * with codebooks of their own, product quantization [Jegou et al. 2011]; {@code stages} quantize
 * one after the other what those before left over, residual quantization [Zeghidour et al. 2021,
 * alg. 1]; {@code cosine} gives vectors and entries length 1 [Yu et al. 2022, sec. 3.2]; the
 * gradient for x goes straight through, or is rotated [Fifty et al. 2024, sec. 4.2].
 *
 * <p>Parameter, if it learns by gradient, else buffer: {@code codebook [heads, stages, codes, dims
 * of a head]}, without the axes of heads and stages where they are 1. Its entries are uniform at
 * the start with a length of about 1, apart from each other and from 0; {@link #initialize} does
 * better. Buffers: {@code averages.state}, {@code averages.counts} and, for averages, {@code
 * averages.sums}; and {@code seen}, which counts codes for {@link #health}.
 */
public final class VectorQuantizer extends Quantizer {
    private static final int REVIVED = 4; // word of averages.state

    private final VectorQuantizerConfig config;
    private final Random random;
    private final int site;
    private final Tensor codebook;
    private final Tensor beta;
    private final Averages averages;
    private final CodeCounts counts;

    /**
     * @param random of revivals; must stay at the same step from a forward to its backward pass
     * @param site which random draw of the model this is
     */
    public VectorQuantizer(Init init, VectorQuantizerConfig config, Random random, int site) {
        this.config = config;
        this.random = random;
        this.site = site;
        Scope scope = init.scope();
        Tensor start = init.uniform(codebookShape(), Math.sqrt(3.0 / headDims()));
        if (config.cosine()) {
            NormOps.l2NormalizeInPlace(start);
        }
        this.codebook = byGradient() ? parameter("codebook", start) : buffer("codebook", start);
        this.beta = scope.scalar(config.beta());
        this.averages = freshAverages(scope);
        buffer("averages.state", averages.state());
        buffer("averages.counts", averages.counts());
        if (averages.sums() != null) {
            buffer("averages.sums", averages.sums());
        }
        this.counts = new CodeCounts(scope, books(), config.codes());
        buffer("seen", counts.seen());
    }

    private boolean byGradient() {
        return config.learning() == Learning.GRADIENT;
    }

    private long headDims() {
        return config.dims() / config.heads();
    }

    private Shape codebookShape() {
        return books().withLast(config.codes()).withLast(headDims());
    }

    private Averages freshAverages(Scope scope) {
        Shape shape = codebookShape();
        return byGradient()
                ? Averages.countsOnly(scope, shape, config.decay(), config.revive())
                : Averages.of(scope, shape, config.decay(), config.epsilon(), config.revive());
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
        if (config.heads() > 1) {
            return Shape.of(config.heads(), config.stages());
        }
        return config.stages() > 1 ? Shape.of(config.stages()) : Shape.of();
    }

    // ---- training ----

    @Override
    public Quantized forward(Tape tape, Tensor x) {
        Scope scope = tape.scope();
        Tensor vectors = comparable(tape, x);
        Result r = VectorQuantizeOps.forward(scope, vectors, entries(scope), null, beta, null);
        Tensor loss =
                byGradient() ? Ops.add(scope, r.codebookLoss(), r.commitment()) : r.commitment();
        if (!tape.recording()) {
            return new Quantized(r.q(), r.codes(), loss, null);
        }
        tape.record(
                "vector quantize",
                List.of(vectors, codebook),
                List.of(r.q(), loss),
                () -> backward(tape, vectors, r, loss));
        if (!tape.tracks(loss)) {
            learn(scope, vectors, r);
        }
        return new Quantized(r.q(), r.codes(), loss, counts.add(scope, r.histogram()));
    }

    private void backward(Tape tape, Tensor vectors, Result r, Tensor loss) {
        Scope scope = tape.scope();
        Tensor d = tape.gradient(loss);
        InputGradients g =
                VectorQuantizeOps.backward(
                        scope,
                        vectors,
                        entries(scope),
                        beta,
                        r,
                        config.estimator(),
                        new Gradients(tape.gradient(r.q()), byGradient() ? d : null, d));
        tape.accumulate(vectors, g.dx());
        if (g.dCodebook() != null) {
            tape.accumulate(
                    codebook,
                    config.cosine()
                            ? NormOps.l2NormalizeBackward(scope, codebook, g.dCodebook())
                            : g.dCodebook());
        }
        learn(scope, vectors, r);
    }

    /** Vectors as they are compared with entries: of length 1, head by head, for the cosine. */
    private Tensor comparable(Tape tape, Tensor x) {
        if (x.shape().rank() == 0 || x.shape().get(-1) != config.dims()) {
            throw new ShapeException(
                    "the last axis of x must have " + config.dims() + " dims, got " + x.shape());
        }
        if (!config.cosine()) {
            return x;
        }
        Shape heads = Shape.of(x.shape().rows() * config.heads(), headDims());
        Tensor unit = Functions.l2Normalize(tape, Functions.reshape(tape, x, heads));
        return Functions.reshape(tape, unit, x.shape());
    }

    /** The codebook as it is compared; averages are kept so. */
    private Tensor entries(Scope scope) {
        return config.cosine() && byGradient() ? NormOps.l2Normalize(scope, codebook) : codebook;
    }

    private void learn(Scope scope, Tensor vectors, Result r) {
        VectorQuantizeOps.average(scope, vectors, r.codes(), averages, random, site, codebook);
        if (config.cosine() && !byGradient()) {
            NormOps.l2NormalizeInPlace(codebook);
        }
    }

    /**
     * Centers by k-means++ and Lloyd's algorithm; the vectors then count as the first batch that
     * the averages take in, so that no entry is without a count. With fewer distinct vectors than
     * codes some entries are alike until they are revived.
     *
     * @throws ShapeException if there is no vector
     */
    @Override
    public void initialize(Scope scope, Tensor vectors, long seed) {
        Tensor rows = comparable(Tape.inference(scope), vectors);
        rows = rows.reshape(Shape.of(rows.shape().rows(), config.dims()));
        SplittableRandom seeds = new SplittableRandom(seed);
        FloatBuffer centers = FloatBuffer.allocate((int) codebook.shape().elements());
        for (int head = 0; head < config.heads(); head++) {
            Tensor rest =
                    ShapeOps.slice(scope, rows, 1, head * headDims(), (head + 1) * headDims());
            for (int stage = 0; stage < config.stages(); stage++) {
                Tensor book = KMeans.centers(scope, rest, config.codes(), seeds.nextLong());
                centers.put(book.toFloatArray());
                Tensor q = VectorQuantizeOps.forward(scope, rest, book, null, null, null).q();
                rest = Ops.add(scope, rest, Ops.scale(scope, q, scope.scalar(-1)));
            }
        }
        codebook.copyFrom(centers.array());
        if (config.cosine()) {
            NormOps.l2NormalizeInPlace(codebook);
        }
        averages.state().copyFrom(freshAverages(scope).state().toIntArray());
        Ops.fill(averages.counts(), 0);
        if (averages.sums() != null) {
            Ops.fill(averages.sums(), 0);
        }
        learn(scope, rows, VectorQuantizeOps.forward(scope, rows, codebook, null, beta, null));
        clearHealth();
    }

    // ---- use ----

    /**
     * {@inheritDoc}
     *
     * @throws ShapeException if the codes' last axes are not the books
     * @throws JlatentException also if the codebook is not finite
     */
    @Override
    public Tensor decode(Scope scope, Tensor codes) {
        checkFinite();
        int books = (int) books().elements();
        Shape rows = withoutBooks(codes.shape());
        Tensor flat = codes.reshape(Shape.of(rows.elements(), books));
        Tensor table = entries(scope).reshape(Shape.of(books * codes(), headDims()));
        Tensor[] heads = new Tensor[config.heads()];
        for (int book = 0; book < books; book++) {
            Tensor own = ShapeOps.slice(scope, table, 0, book * codes(), (book + 1) * codes());
            Tensor column = ShapeOps.slice(scope, flat, 1, book, book + 1);
            Tensor e = EmbeddingOps.forward(scope, own, column, null);
            int head = book / config.stages();
            heads[head] = heads[head] == null ? e : Ops.add(scope, heads[head], e); // as forward
        }
        return ShapeOps.concat(scope, 2, heads).reshape(rows.withLast(config.dims()));
    }

    private Shape withoutBooks(Shape codes) {
        long[] given = codes.toArray();
        long[] books = books().toArray();
        int rest = given.length - books.length;
        if (rest < 0 || !Arrays.equals(books, Arrays.copyOfRange(given, rest, given.length))) {
            throw new ShapeException("the codes' last axes must be " + books() + ", got " + codes);
        }
        return Shape.of(Arrays.copyOf(given, rest));
    }

    private void checkFinite() {
        float[] values = codebook.toFloatArray();
        for (int i = 0; i < values.length; i++) {
            if (!Float.isFinite(values[i])) {
                throw new JlatentException(
                        "entry " + i / headDims() + " of the codebook is not finite");
            }
        }
    }

    @Override
    public CodebookHealth health() {
        return counts.health(Integer.toUnsignedLong(averages.state().toIntArray()[REVIVED]));
    }

    @Override
    public void clearHealth() {
        counts.clear();
        int[] state = averages.state().toIntArray();
        state[REVIVED] = 0;
        averages.state().copyFrom(state);
    }
}
