package org.jlatent;

import java.util.List;

/**
 * A diagonal Gaussian a row: mean and log variance, {@code [rows, dims]} each, as two tensors or as
 * the two halves of one. Where one matrix holds both, gradients come as one matrix too. Immutable
 * but for the values of its tensors.
 */
public final class Posterior {
    private final Tensor mu;
    private final Tensor logVar; // null: the second half of mu's columns

    private Posterior(Tensor mu, Tensor logVar) {
        this.mu = mu;
        this.logVar = logVar;
    }

    /**
     * Mean and log variance as tensors of their own.
     *
     * @throws ShapeException unless both are matrices of one shape
     */
    public static Posterior of(Tensor mu, Tensor logVar) {
        if (mu.shape().rank() != 2 || !mu.shape().equals(logVar.shape())) {
            throw new ShapeException(
                    "a posterior needs mu and logVar as [rows, dims] alike, got "
                            + mu.shape()
                            + " and "
                            + logVar.shape());
        }
        return new Posterior(mu, logVar);
    }

    /**
     * Mean and log variance as one matrix.
     *
     * @param both {@code [rows, 2 dims]}: each row is mu, then logVar
     * @throws ShapeException for another rank, or an odd number of columns
     */
    public static Posterior packed(Tensor both) {
        if (both.shape().rank() != 2 || both.shape().get(1) % 2 != 0) {
            throw new ShapeException("a packed posterior is [rows, 2 dims], got " + both.shape());
        }
        return new Posterior(both, null);
    }

    /** How many distributions. */
    public long rows() {
        return mu.shape().get(0);
    }

    /** Dimensions of each. */
    public long dims() {
        return logVar == null ? mu.shape().get(1) / 2 : mu.shape().get(1);
    }

    /** The mean, {@code [rows, dims]}, as a copy on the heap. Waits for the device. */
    public float[] meanToArray() {
        float[] all = mu.toFloatArray();
        if (logVar != null || all.length == 0) {
            return all;
        }
        int dims = (int) dims();
        float[] mean = new float[all.length / 2];
        for (int row = 0; row < rows(); row++) {
            System.arraycopy(all, 2 * row * dims, mean, row * dims, dims);
        }
        return mean;
    }

    /** The tensors that hold the posterior: one or two. */
    public List<Tensor> tensors() {
        return logVar == null ? List.of(mu) : List.of(mu, logVar);
    }

    long rowStride() {
        return mu.shape().get(1);
    }

    long muAddress() {
        return mu.address();
    }

    long logVarAddress() {
        return logVar == null ? mu.address() + dims() * Float.BYTES : logVar.address();
    }

    /** A posterior of new tensors in {@code scope}, laid out like this one: for gradients. */
    Posterior emptyLike(Scope scope) {
        return new Posterior(
                scope.empty(mu.shape()), logVar == null ? null : scope.empty(logVar.shape()));
    }
}
