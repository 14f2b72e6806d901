package org.jlatent;

/** Elementwise functions; formulas in {@code kernels/elementwise/elementwise.h}. */
public enum Activation {
    IDENTITY,
    RELU,
    TANH,
    SIGMOID,
    SOFTPLUS,
    ELU,
    SILU,
    GELU;

    /** The C ABI's number, {@code jl_activation}. */
    int code() {
        return ordinal();
    }

    /** Whether backward starts from the output; otherwise it needs the input. */
    public boolean differentiatesFromOutput() {
        return this != SILU && this != GELU;
    }
}
