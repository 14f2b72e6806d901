package org.jlatent;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/** What one call of {@link OpsFuzzTest} is made of: drawn numbers, shapes and tensors. */
final class Fuzz {
    /** Extents that no memory holds: only shapes with a 0 beside them exist. */
    private static final long[] HUGE = {
        1L << 31, (1L << 32) + 1, 1L << 40, 1L << 59, (1L << 61) - 1, 1L << 62, Long.MAX_VALUE
    };

    private static final int[] EXTREME = {
        0,
        -1,
        Integer.MIN_VALUE,
        Integer.MAX_VALUE,
        Integer.MAX_VALUE - 1,
        1 << 30,
        1 << 16,
        32767,
        1 << 12,
        255
    };

    private static final float[] SPECIAL = {
        0,
        -0.0f,
        Float.NaN,
        Float.POSITIVE_INFINITY,
        Float.NEGATIVE_INFINITY,
        Float.MAX_VALUE,
        -Float.MAX_VALUE,
        Float.MIN_VALUE,
        1e4f,
        -1e4f
    };

    /** One that an operation must leave as it is, and what it held before. */
    private record Operand(Tensor tensor, int[] before) {}

    final SplittableRandom random;
    private final Scope here;
    private final OpsFuzzTest.Places places;
    private final List<Tensor> made = new ArrayList<>();
    private final List<Operand> operands = new ArrayList<>();

    /**
     * @param here where ordinary tensors go
     * @param places where the others do
     */
    Fuzz(long seed, Scope here, OpsFuzzTest.Places places) {
        this.random = new SplittableRandom(seed);
        this.here = here;
        this.places = places;
    }

    boolean chance(double probability) {
        return random.nextDouble() < probability;
    }

    int below(int bound) {
        return random.nextInt(bound);
    }

    /** Mostly from {@code from} to {@code to}; now and then far from it. */
    int number(int from, int to) {
        return chance(0.06) ? EXTREME[below(EXTREME.length)] : random.nextInt(from, to + 1);
    }

    /** Mostly an extent that a small tensor has. */
    long extent() {
        return chance(0.05) ? 0 : 1 + below(chance(0.1) ? 40 : 6);
    }

    float value() {
        return chance(0.05) ? SPECIAL[below(SPECIAL.length)] : (float) random.nextDouble(-3, 3);
    }

    /** Mostly in [from, to]. */
    float setting(double from, double to) {
        return chance(0.1)
                ? SPECIAL[below(SPECIAL.length)]
                : (float) (from + (to - from) * random.nextDouble());
    }

    <T> T one(T[] values) {
        return values[below(values.length)];
    }

    /** Up to four small extents. */
    Shape shape() {
        return shape(below(5));
    }

    Shape shape(int rank) {
        long[] extents = new long[rank];
        for (int i = 0; i < rank; i++) {
            extents[i] = extent();
        }
        return bent(extents);
    }

    /** These extents; now and then others. */
    Shape bent(long... extents) {
        long[] bent = extents.clone();
        if (bent.length > 0 && chance(0.08)) {
            switch (below(6)) {
                case 0 -> bent[below(bent.length)] = HUGE[below(HUGE.length)];
                case 1 -> {
                    bent[below(bent.length)] = HUGE[below(HUGE.length)];
                    bent[below(bent.length)] = 0;
                }
                case 2 -> bent[below(bent.length)]++;
                case 3 -> bent[below(bent.length)] = 0;
                case 4 -> bent = Arrays.copyOf(bent, bent.length + 1);
                default -> bent = Arrays.copyOf(bent, bent.length - 1);
            }
        }
        return Shape.of(bent);
    }

    /** Mostly f32 of this shape; it must not change. */
    Tensor tensor(Shape shape) {
        Tensor tensor = anyTensor(shape);
        if (tensor.shape().elements() < 1 << 16 && current(tensor)) {
            operands.add(new Operand(tensor, OpsFuzzTest.words(tensor)));
        }
        return tensor;
    }

    Tensor tensor(long... extents) {
        return tensor(bent(extents));
    }

    /** Null half of the time. */
    Tensor optional(long... extents) {
        return chance(0.5) ? null : tensor(extents);
    }

    /** Mostly f32 of this shape; an operation may write to it, and it is no other operand. */
    Tensor target(long... extents) {
        Tensor target = fresh(bent(extents));
        made.remove(target);
        return target;
    }

    /** Mostly i32, and mostly codes of a table of so many rows. */
    Tensor codes(Shape shape, int rows) {
        if (chance(0.05)) {
            return tensor(shape);
        }
        Tensor tensor = here.empty(shape, DType.I32);
        int[] values = new int[(int) shape.elements()];
        boolean wrong = chance(0.1);
        for (int i = 0; i < values.length; i++) {
            values[i] = wrong ? number(0, rows) : below(Math.max(rows, 1));
        }
        tensor.copyFrom(values);
        operands.add(new Operand(tensor, OpsFuzzTest.words(tensor)));
        return tensor;
    }

    /** One i32 that an operation may write to. */
    Tensor counter() {
        return here.ofInts(Shape.of(1), 0);
    }

    /** Any shape in a type that products take. */
    Tensor stored(DType dtype, long... extents) {
        Tensor plain = tensor(extents);
        return dtype == DType.F32
                ? plain
                : Ops.cast(plain.device() == here.device() ? here : places.there, plain, dtype);
    }

    private Tensor anyTensor(Shape shape) {
        if (chance(0.08)) {
            for (Tensor t : made) {
                if (t.shape().equals(shape)) {
                    return t;
                }
            }
        }
        return fresh(shape);
    }

    private Tensor fresh(Shape shape) {
        int kind = below(60);
        Tensor tensor =
                switch (kind) {
                    case 0 -> places.there.empty(shape);
                    case 1 -> here.empty(shape, DType.BF16);
                    case 2 -> here.empty(shape, DType.I32);
                    case 3 -> places.stale(shape);
                    case 4 -> wrapped(shape);
                    default -> here.empty(shape);
                };
        fill(tensor, shape);
        made.add(tensor);
        return tensor;
    }

    private Tensor wrapped(Shape shape) {
        Tensor owner = here.empty(Shape.of(1 << 14));
        return Tensor.wrap(here.device(), owner.address(), 1 << 16, shape, DType.F32, owner);
    }

    private void fill(Tensor tensor, Shape shape) {
        if (!current(tensor)) {
            return;
        }
        int count = (int) shape.elements();
        if (tensor.dtype() == DType.I32) {
            int[] values = new int[count];
            for (int i = 0; i < count; i++) {
                values[i] = number(0, 9);
            }
            tensor.copyFrom(values);
            return;
        }
        float[] values = new float[count];
        boolean wild = chance(0.2);
        for (int i = 0; i < count; i++) {
            values[i] = wild ? value() : (float) random.nextDouble(0, 1);
        }
        tensor.copyFrom(values);
    }

    private static boolean current(Tensor tensor) {
        try {
            tensor.address();
            return true;
        } catch (IllegalStateException e) {
            return false;
        }
    }

    /** Mostly an ordinary one. */
    Scope scope() {
        return switch (below(80)) {
            case 0 -> places.there;
            case 1 -> places.closed();
            case 2 -> places.onClosedDevice();
            default -> here;
        };
    }

    Random noise() {
        return chance(0.03) ? places.staleRandom() : new Random(here, random.nextLong());
    }

    /** Fails if an operand that should have stayed as it was did not. */
    void checkOperands() {
        for (Operand o : operands) {
            if (current(o.tensor) && !Arrays.equals(o.before, OpsFuzzTest.words(o.tensor))) {
                throw new AssertionError("an operand " + o.tensor.shape() + " was written to");
            }
        }
    }
}
