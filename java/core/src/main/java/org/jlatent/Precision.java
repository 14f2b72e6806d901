package org.jlatent;

/**
 * What the layers of a {@link Tape} round the factors of their products and convolutions to. Sums
 * are f32 with either, and so is everything that is no such factor: what layers give, biases,
 * losses, log variances, codebooks, norms, gradients, weights and their optimizer.
 */
public enum Precision {
    /** Not at all. */
    F32,
    /**
     * To {@link DType#BF16}: inputs, weights, and in backward the gradients of outputs. What layers
     * keep for backward are these. Fast on tensor cores, and on CPUs with AMX; a CPU needs AVX-512
     * for it.
     */
    BF16
}
