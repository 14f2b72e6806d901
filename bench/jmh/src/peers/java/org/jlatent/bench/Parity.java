package org.jlatent.bench;

/**
 * Holds every dense operation against libtorch: values and gradients, over odd sizes. Prints a line
 * an operation, and ends with exit code 1 if one is further off than its sums' lengths allow.
 */
public final class Parity {
    private Parity() {}

    public static void main(String[] args) {
        boolean passed;
        try (Comparison comparison = new Comparison()) {
            new DenseParity(comparison).run();
            new ConvParity(comparison).run();
            new PoolParity(comparison).run();
            new NormParity(comparison).run();
            passed = comparison.report();
        }
        System.exit(passed ? 0 : 1);
    }
}
