package org.jlatent;

/** Elementwise functions; formulas in {@code kernels/elementwise/elementwise.h}. */
public enum Activation {
    IDENTITY(0),
    RELU(1),
    TANH(2),
    SIGMOID(3),
    SOFTPLUS(4),
    ELU(5),
    SILU(6),
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
