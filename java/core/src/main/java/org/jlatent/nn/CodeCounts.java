package org.jlatent.nn;

import org.jlatent.Ops;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeOps;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.VectorQuantizeOps;

/** How often every code of every book has occurred. */
final class CodeCounts {
    private final Tensor seen;

    /** Of the given books; none for one book. */
    CodeCounts(Scope scope, Shape books, long codes) {
        this.seen = zeros(scope, books.withLast(codes));
    }

    private static Tensor zeros(Scope scope, Shape shape) {
        return scope.ofInts(shape, new int[Math.toIntExact(shape.elements())]);
    }

    /** i32, {@code [books, codes]}: what a quantizer registers as its buffer {@code seen}. */
    Tensor seen() {
        return seen;
    }

    /**
     * Takes in a batch.
     *
     * @param histogram i32, {@code [books, codes]}
     * @return {@code [1]}: the batch's perplexity, the mean over books
     */
    Tensor add(Scope scope, Tensor histogram) {
        return ShapeOps.slice(scope, usage(scope, histogram), 0, 0, 1);
    }

    /**
     * Counts the codes of one book while a tape records.
     *
     * @return {@code [1]}: their perplexity; null in inference
     */
    Tensor of(Tape tape, Tensor codes) {
        Scope scope = tape.scope();
        return tape.recording()
                ? add(
                        scope,
                        VectorQuantizeOps.histogram(scope, codes, Shape.of(), seen.shape().get(0)))
                : null;
    }

    /** As {@link VectorQuantizeOps#usage}, the mean over books: {@code [3]}. */
    private Tensor usage(Scope scope, Tensor histogram) {
        Tensor all = VectorQuantizeOps.usage(scope, histogram, seen);
        return Ops.mean(scope, all.reshape(Shape.of(all.shape().elements() / 3, 3)), 0);
    }

    /** Since {@link #clear}. Waits for the device. */
    CodebookHealth health(long revived) {
        try (Scope scope = new Scope(seen.device())) {
            float[] usage = usage(scope, zeros(scope, seen.shape())).toFloatArray();
            return new CodebookHealth(seen.shape().get(-1), usage[1], usage[2], revived);
        }
    }

    void clear() {
        seen.copyFrom(new int[Math.toIntExact(seen.shape().elements())]);
    }
}
