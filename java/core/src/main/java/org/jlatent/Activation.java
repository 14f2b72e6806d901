package org.jlatent;

/** Elementwise functions; formulas in {@code kernels/elementwise/elementwise.h}. */
public enum Activation {
    /** x. */
    IDENTITY(0),
    /** max(x, 0). */
    RELU(1),
    /** tanh x. */
    TANH(2),
    /** 1 / (1 + exp(-x)). */
    SIGMOID(3),
    /** log(1 + exp x). */
    SOFTPLUS(4),
    /** x where positive, else exp(x) - 1. */
    ELU(5),
    /** x sigmoid(x). */
    SILU(6),
    /** x times the normal distribution function, by its tanh approximation. */
    GELU(7);

    private final int code;

    Activation(int code) {
        this.code = code;
    }

    /** The C ABI's number, {@code jl_activation}. */
    int code() {
        return code;
    }

    /** Whether backward starts from the output; otherwise it needs the input. */
    public boolean differentiatesFromOutput() {
        return this != SILU && this != GELU;
    }
}
