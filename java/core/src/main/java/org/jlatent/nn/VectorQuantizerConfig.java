package org.jlatent.nn;

import java.util.Objects;
import org.jlatent.VectorQuantizeOps.Estimator;

/**
 * The books of a {@link VectorQuantizer} and how they learn: {@code
 * VectorQuantizerConfig.defaults().withCodes(1024).withStages(4)}.
 *
 * @param codes entries of a book
 * @param dims extent of the last axis of what is quantized
 * @param heads parts of a vector, each with a book and a code of its own; divides dims
 * @param stages codes one after the other, each of what the ones before leave
 * @param beta weight of the commitment loss, which draws vectors to their entries
 * @param learning how the codebook learns
 * @param decay of the moving averages, in [0, 1)
 * @param epsilon of their Laplace smoothing, in rows
 * @param estimator what the gradient for x is made of
 * @param cosine whether vectors and entries have length 1, so that the nearest entry is the one at
 *     the smallest angle; in one stage only, as what it leaves has no such length
 * @param revive an entry that is used less than this part of the mean is dead and takes the place
 *     of a row of the batch; 0: off
 */
public record VectorQuantizerConfig(
        int codes,
        int dims,
        int heads,
        int stages,
        float beta,
        Learning learning,
        float decay,
        float epsilon,
        Estimator estimator,
        boolean cosine,
        float revive) {
    /** How a codebook learns. */
    public enum Learning {
        /** Entries are moving averages of the vectors they stand for. */
        EMA,
        /** Entries are a parameter; the codebook loss draws them to their vectors. */
        GRADIENT
    }

    public VectorQuantizerConfig {
        require(codes >= 1, "codes must be at least 1", codes);
        require(dims >= 1, "dims must be at least 1", dims);
        require(heads >= 1, "heads must be at least 1", heads);
        require(dims % heads == 0, "heads must divide dims, which are " + dims, heads);
        require(stages >= 1, "stages must be at least 1", stages);
        require(beta >= 0 && Float.isFinite(beta), "beta must be finite and at least 0", beta);
        Objects.requireNonNull(learning, "learning");
        require(decay >= 0 && decay < 1, "decay must be in [0, 1)", decay);
        require(
                epsilon >= 0 && Float.isFinite(epsilon),
                "epsilon must be finite and at least 0",
                epsilon);
        Objects.requireNonNull(estimator, "estimator");
        require(
                !cosine || stages == 1,
                "a cosine quantizer has 1 stage, as what it leaves has no length 1: stages",
                stages);
        require(revive >= 0 && revive < 1, "revive must be in [0, 1)", revive);
    }

    private static void require(boolean condition, String rule, Number given) {
        if (!condition) {
            throw new IllegalArgumentException(rule + ", got " + given);
        }
    }

    /**
     * 512 entries of 64 dimensions, one head, one stage; beta 0.25, moving averages with decay 0.99
     * and epsilon 1e-5, as published [van den Oord et al. 2017]; straight through; entries used
     * less than a twentieth of the mean are revived.
     */
    public static VectorQuantizerConfig defaults() {
        return new VectorQuantizerConfig(
                512,
                64,
                1,
                1,
                0.25f,
                Learning.EMA,
                0.99f,
                1e-5f,
                Estimator.STRAIGHT_THROUGH,
                false,
                0.05f);
    }

    /** Entries of a book. */
    public VectorQuantizerConfig withCodes(int entries) {
        return new VectorQuantizerConfig(
                entries, dims, heads, stages, beta, learning, decay, epsilon, estimator, cosine,
                revive);
    }

    /** Extent of the last axis of what is quantized. */
    public VectorQuantizerConfig withDims(int width) {
        return new VectorQuantizerConfig(
                codes, width, heads, stages, beta, learning, decay, epsilon, estimator, cosine,
                revive);
    }

    /** Parts of a vector, each with a code of its own. */
    public VectorQuantizerConfig withHeads(int parts) {
        return new VectorQuantizerConfig(
                codes, dims, parts, stages, beta, learning, decay, epsilon, estimator, cosine,
                revive);
    }

    /** Codes one after the other, each of what the ones before leave. */
    public VectorQuantizerConfig withStages(int count) {
        return new VectorQuantizerConfig(
                codes, dims, heads, count, beta, learning, decay, epsilon, estimator, cosine,
                revive);
    }

    /** Weight of the commitment loss. */
    public VectorQuantizerConfig withBeta(float weight) {
        return new VectorQuantizerConfig(
                codes, dims, heads, stages, weight, learning, decay, epsilon, estimator, cosine,
                revive);
    }

    /** How the codebook learns. */
    public VectorQuantizerConfig withLearning(Learning how) {
        return new VectorQuantizerConfig(
                codes, dims, heads, stages, beta, how, decay, epsilon, estimator, cosine, revive);
    }

    /** Of the moving averages. */
    public VectorQuantizerConfig withDecay(float part) {
        return new VectorQuantizerConfig(
                codes, dims, heads, stages, beta, learning, part, epsilon, estimator, cosine,
                revive);
    }

    /** Of the Laplace smoothing. */
    public VectorQuantizerConfig withEpsilon(float rows) {
        return new VectorQuantizerConfig(
                codes, dims, heads, stages, beta, learning, decay, rows, estimator, cosine, revive);
    }

    /** What the gradient for x is made of. */
    public VectorQuantizerConfig withEstimator(Estimator how) {
        return new VectorQuantizerConfig(
                codes, dims, heads, stages, beta, learning, decay, epsilon, how, cosine, revive);
    }

    /** Whether vectors and entries have length 1. */
    public VectorQuantizerConfig withCosine(boolean on) {
        return new VectorQuantizerConfig(
                codes, dims, heads, stages, beta, learning, decay, epsilon, estimator, on, revive);
    }

    /** Share of the mean use below which an entry is dead; 0: off. */
    public VectorQuantizerConfig withRevive(float share) {
        return new VectorQuantizerConfig(
                codes, dims, heads, stages, beta, learning, decay, epsilon, estimator, cosine,
                share);
    }
}
