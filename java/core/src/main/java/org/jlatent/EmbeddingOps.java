package org.jlatent;

import static org.jlatent.Checks.address;
import static org.jlatent.Checks.floats;
import static org.jlatent.Checks.integers;
import static org.jlatent.Checks.require;

import org.jlatent.internal.EmbeddingKernels;

/**
 * Rows of a table by code, as operations on tensors; formulas in kernels/embedding/embedding.h.
 *
 * <p>Every method throws {@link ShapeException} when a shape or type does not fit or tensors live
 * on different devices, and {@link DeviceException} when the device fails.
 */
public final class EmbeddingOps {
    private EmbeddingOps() {}

    /**
     * {@code table[codes]}.
     *
     * <p>A code that no row has: the CPU throws {@link DeviceException} and names it. A GPU cannot
     * know without waiting; there the row that is asked for becomes NaN, and the counter grows.
     *
     * @param table {@code [rows, dims]}
     * @param codes i32, any shape
     * @param outOfRange {@code [1]}, i32, or null: codes that no row had are added to it on a GPU
     * @return the codes' shape and {@code dims}
     */
    public static Tensor forward(Scope scope, Tensor table, Tensor codes, Tensor outOfRange) {
        if (table.shape().rank() != 2 || table.shape().get(0) == 0) {
            throw new ShapeException(
                    "embedding: the table must be [rows, dims] with at least one row, got "
                            + table.shape());
        }
        floats("embedding", scope, table);
        integers("embedding", "codes", scope, codes);
        if (outOfRange != null) {
            require("embedding", "outOfRange", outOfRange, Shape.of(1));
            integers("embedding", "outOfRange", scope, outOfRange);
        }
        long dims = table.shape().get(1);
        Tensor out = scope.empty(codes.shape().withLast(dims));
        EmbeddingKernels.forward(
                scope.device().backend(),
                codes.shape().elements(),
                table.shape().get(0),
                dims,
                table.address(),
                codes.address(),
                out.address(),
                address(outOfRange));
        return out;
    }

    /**
     * Gradient of {@link #forward} for the table: row k is the sum of the dy of code k, in a fixed
     * order; zero for a code that does not occur.
     *
     * @param dy the codes' shape and {@code dims}
     * @param rows of the table
     * @return {@code [rows, dims]}
     */
    public static Tensor backward(Scope scope, Tensor codes, Tensor dy, long rows) {
        integers("embedding backward", "codes", scope, codes);
        floats("embedding backward", scope, dy);
        if (dy.shape().rank() == 0) {
            throw new ShapeException("embedding backward: dy must have a last axis, got []");
        }
        long dims = dy.shape().get(-1);
        require("embedding backward", "dy", dy, codes.shape().withLast(dims));
        Tensor dTable = scope.empty(Shape.of(rows, dims));
        EmbeddingKernels.backward(
                scope.device().backend(),
                codes.shape().elements(),
                rows,
                dims,
                codes.address(),
                dy.address(),
                dTable.address());
        return dTable;
    }
}
