package org.jlatent;

import java.util.Arrays;
import java.util.stream.Collectors;

/** What the operations check before they trust: shapes and devices. */
final class Checks {
    private Checks() {}

    private static final int FURTHEST = Short.MAX_VALUE;

    /**
     * Pixels that a window moves, or reaches beyond an image: from {@code least} to 32767, as the
     * libraries below compute addresses from them.
     */
    static void steps(String name, int least, int... pixels) {
        for (int p : pixels) {
            if (p < least || p > FURTHEST) {
                throw new IllegalArgumentException(
                        name
                                + " must be from "
                                + least
                                + " to "
                                + FURTHEST
                                + ", got "
                                + Arrays.stream(pixels)
                                        .mapToObj(Integer::toString)
                                        .collect(Collectors.joining(", ")));
            }
        }
    }

    static long address(Tensor tensor) {
        return tensor == null ? 0 : tensor.address();
    }

    static long address(Random random) {
        return random == null ? 0 : random.state().address();
    }

    static void require(String operation, String name, Tensor tensor, Shape expected) {
        if (!tensor.shape().equals(expected)) {
            throw new ShapeException(
                    operation + ": " + name + " must be " + expected + ", got " + tensor.shape());
        }
    }

    static void requireOptional(String operation, String name, Tensor tensor, Shape expected) {
        if (tensor != null) {
            require(operation, name, tensor, expected);
        }
    }

    /**
     * All on the scope's device, and all f32 or all bf16.
     *
     * @return their code in native/dense.h: 0 f32, 1 bf16
     */
    static int storage(String operation, Scope scope, Tensor... tensors) {
        sameDevice(operation, scope, tensors);
        DType dtype = tensors[0].dtype();
        for (Tensor t : tensors) {
            if (t.dtype() != dtype || dtype == DType.I32) {
                throw new ShapeException(
                        operation
                                + " takes F32 or BF16 tensors of one kind, got "
                                + Arrays.stream(tensors)
                                        .map(given -> given.shape() + " of " + given.dtype())
                                        .collect(Collectors.joining(" and ")));
            }
        }
        return dtype == DType.BF16 ? 1 : 0;
    }

    /** All on the scope's device and f32; null is left out. */
    static void floats(String operation, Scope scope, Tensor... tensors) {
        sameDevice(operation, scope, tensors);
        for (Tensor t : tensors) {
            if (t != null && t.dtype() != DType.F32) {
                throw new ShapeException(
                        operation + " takes F32 tensors, got " + t.shape() + " of " + t.dtype());
            }
        }
    }

    /** On the scope's device and i32. */
    static void integers(String operation, String name, Scope scope, Tensor tensor) {
        sameDevice(operation, scope, tensor);
        if (tensor.dtype() != DType.I32) {
            throw new ShapeException(
                    operation
                            + ": "
                            + name
                            + " must be I32, got "
                            + tensor.shape()
                            + " of "
                            + tensor.dtype());
        }
    }

    /**
     * All on the scope's device; null is left out. The scope keeps the memory of wrapped ones: the
     * caller may drop them before the work is done.
     */
    static void sameDevice(String operation, Scope scope, Tensor... tensors) {
        for (Tensor t : tensors) {
            if (t == null) {
                continue;
            }
            if (t.device() != scope.device()) {
                throw new ShapeException(
                        operation
                                + ": tensor "
                                + t.shape()
                                + " is on another device ("
                                + t.device()
                                + ") than the scope ("
                                + scope.device()
                                + ")");
            }
            if (t.keepAlive() != null) {
                scope.hold(t.keepAlive());
            }
        }
    }
}
