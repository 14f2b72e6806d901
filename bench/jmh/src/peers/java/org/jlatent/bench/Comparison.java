package org.jlatent.bench;

import static org.bytedeco.pytorch.global.torch.grad;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AbstractTensor;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.jlatent.Device;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.nn.Functions;
import org.jlatent.nn.Module;

import java.nio.DoubleBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.Function;

/**
 * Runs the same function in jlatent and in libtorch and compares values and gradients. libtorch
 * computes in double, so that what differs is jlatent's error and not the sum of both.
 *
 * <p>Both get tensors in jlatent's layout; what libtorch wants otherwise it permutes itself, inside
 * its graph, and so its gradients are in jlatent's layout too.
 */
@SuppressWarnings("try") // a PointerScope frees what is made while it is open
final class Comparison implements AutoCloseable {
    private static final double EPSILON = 0x1p-24; // of f32, rounded
    private static final double ERRORS = 8; // allowed, in epsilon and roots of a sum's length
    private static final double SMALLEST = 0.05; // a tensor's scale where all of it is less
    private static final int SHOWN = 20;

    /** What came of an operation's cases. */
    private static final class Result {
        int cases;
        double largestError; // relative to the largest value of its tensor
        double ofAllowed;
    }

    private final Device device = Device.cpu();
    private final Scope scope = new Scope(device);
    private final SplittableRandom random = new SplittableRandom(1);
    private final Map<String, Result> results = new LinkedHashMap<>();
    private final List<String> failures = new ArrayList<>();

    /** Owns the tensors of a case; cleared after it. */
    Scope scope() {
        return scope;
    }

    /** Normal values. */
    Tensor normal(long... extents) {
        Shape shape = Shape.of(extents);
        float[] values = new float[(int) shape.elements()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return scope.of(shape, values);
    }

    /** Integers in [0, bound), as i32. */
    Tensor codes(int bound, long... extents) {
        Shape shape = Shape.of(extents);
        int[] values = random.ints(shape.elements(), 0, bound).toArray();
        return scope.ofInts(shape, values);
    }

    /** The parameters of a module, after an input; norms are given weights other than 1 and 0. */
    Map<String, Tensor> leaves(Tensor x, Module module) {
        Map<String, Tensor> all = new LinkedHashMap<>();
        all.put("x", x);
        module.parameters()
                .forEach(
                        (name, value) -> {
                            if (value.shape().rank() == 1) {
                                value.copyFrom(normal(value.shape().toArray()).toFloatArray());
                            }
                            all.put(name, value);
                        });
        return all;
    }

    /** In double and in jlatent's layout. */
    static org.bytedeco.pytorch.Tensor torch(Tensor tensor) {
        float[] values = tensor.toFloatArray();
        double[] wide = new double[values.length];
        for (int i = 0; i < wide.length; i++) {
            wide[i] = values[i];
        }
        return AbstractTensor.create(wide, tensor.shape().toArray());
    }

    /**
     * One case: y, then the gradients of {@code sum(y dy)}, dy random.
     *
     * @param operation one line of the report
     * @param what names the case where it fails: shapes and options
     * @param terms that each value of y is a sum of
     * @param leaves to differentiate for; with none, y alone is compared
     * @param ours from a tape to y
     * @param theirs from the leaves, in their order, to y
     */
    void check(
            String operation,
            String what,
            long terms,
            Map<String, Tensor> leaves,
            Function<Tape, Tensor> ours,
            Function<org.bytedeco.pytorch.Tensor[], org.bytedeco.pytorch.Tensor> theirs) {
        check(operation, what, terms, 0, leaves, ours, theirs);
    }

    /**
     * The same for a gradient that is a difference of larger values.
     *
     * @param cancelling how large these are, in the gradient for the first leaf
     */
    void check(
            String operation,
            String what,
            long terms,
            double cancelling,
            Map<String, Tensor> leaves,
            Function<Tape, Tensor> ours,
            Function<org.bytedeco.pytorch.Tensor[], org.bytedeco.pytorch.Tensor> theirs) {
        count(operation);
        try (PointerScope pointers = new PointerScope()) {
            Tape tape = leaves.isEmpty() ? Tape.inference(scope) : new Tape(scope);
            leaves.values().forEach(tape::watch);
            org.bytedeco.pytorch.Tensor[] inputs =
                    leaves.values().stream()
                            .map(leaf -> torch(leaf).requires_grad_(true))
                            .toArray(org.bytedeco.pytorch.Tensor[]::new);
            Tensor y = ours.apply(tape);
            org.bytedeco.pytorch.Tensor reference = theirs.apply(inputs);
            if (!compare(operation, what, "y", terms, 0, y, reference) || leaves.isEmpty()) {
                return;
            }
            Tensor dy = normal(y.shape().toArray());
            tape.backward(Functions.sum(tape, Functions.multiply(tape, y, dy)));
            TensorVector gradients =
                    grad(
                            new TensorVector(reference),
                            new TensorVector(inputs),
                            new TensorVector(torch(dy).reshape(reference.shape())),
                            new BoolOptional(),
                            false,
                            false);
            int i = 0;
            for (Map.Entry<String, Tensor> leaf : leaves.entrySet()) {
                compare(
                        operation,
                        what,
                        "the gradient for " + leaf.getKey(),
                        gradientTerms(leaf.getValue().shape(), y.shape(), terms),
                        i == 0 ? cancelling : 0,
                        tape.gradient(leaf.getValue()),
                        gradients.get(i++));
            }
        } finally {
            scope.clear();
        }
    }

    /** A vector's gradient is a sum over rows; any other shares the products of y evenly. */
    private static long gradientTerms(Shape leaf, Shape y, long terms) {
        return leaf.rank() == 1
                ? y.elements() / leaf.elements()
                : y.elements() * terms / leaf.elements();
    }

    /** Another case of an operation. */
    void count(String operation) {
        results.computeIfAbsent(operation, name -> new Result()).cases++;
    }

    /**
     * One tensor of a case; whether it had the right shape.
     *
     * @param cancelling as for {@link #check}; 0: nothing cancels
     */
    boolean compare(
            String operation,
            String what,
            String name,
            long terms,
            double cancelling,
            Tensor ours,
            org.bytedeco.pytorch.Tensor theirs) {
        String place = operation + " " + what + ": " + name;
        if (ours == null) {
            failures.add(place + " is missing");
            return false;
        }
        Shape shape = ours.shape();
        long[] wanted = theirs.ndimension() == 0 ? new long[] {1} : theirs.shape();
        if (!Arrays.equals(shape.toArray(), wanted)) {
            failures.add(place + " is " + shape + ", libtorch's " + Arrays.toString(wanted));
            return false;
        }
        Difference d = Difference.of(ours, theirs, terms, cancelling);
        Result result = results.get(operation);
        result.largestError = Math.max(result.largestError, d.largest / d.scale);
        result.ofAllowed = Math.max(result.ofAllowed, d.largest / d.allowed);
        if (!d.fits()) {
            failures.add(place + d);
        }
        return true;
    }

    /**
     * That a benchmark's peer computes the same, in f32.
     *
     * @throws IllegalStateException if not
     */
    static void require(String what, long terms, Tensor ours, org.bytedeco.pytorch.Tensor theirs) {
        Difference d =
                Difference.of(
                        ours, theirs.detach().to(torch.ScalarType.Double).contiguous(), terms, 0);
        if (!d.fits()) {
            throw new IllegalStateException(what + d);
        }
    }

    /** Where two tensors of the same shape are furthest apart. */
    private record Difference(
            Shape shape,
            int worst,
            float ours,
            double theirs,
            double largest,
            double scale,
            double allowed) {

        static Difference of(
                Tensor ours, org.bytedeco.pytorch.Tensor theirs, long terms, double cancelling) {
            DoubleBuffer reference = theirs.contiguous().createBuffer();
            float[] values = ours.toFloatArray();
            double scale = Math.max(SMALLEST, cancelling);
            double largest = 0;
            int worst = 0;
            for (int i = 0; i < values.length; i++) {
                double wide = reference.get(i);
                scale = Double.isFinite(wide) ? Math.max(scale, Math.abs(wide)) : scale;
                // Infinities that agree have no difference; a NaN agrees with nothing.
                double error = values[i] == wide ? 0 : Math.abs(values[i] - wide);
                if (!(error <= largest)) {
                    largest = error;
                    worst = i;
                }
            }
            double allowed = ERRORS * EPSILON * Math.sqrt(Math.max(1.0, (double) terms)) * scale;
            return new Difference(
                    ours.shape(),
                    worst,
                    values[worst],
                    reference.get(worst),
                    largest,
                    scale,
                    allowed);
        }

        boolean fits() {
            return largest <= allowed;
        }

        @Override
        public String toString() {
            return String.format(
                    " at %s of %s: jlatent %.9g, libtorch %.9g; %.1e is allowed between them",
                    index(shape, worst), shape, ours, theirs, allowed);
        }
    }

    private static String index(Shape shape, int flat) {
        long[] index = new long[shape.rank()];
        long rest = flat;
        for (int axis = shape.rank() - 1; axis >= 0; axis--) {
            index[axis] = rest % shape.get(axis);
            rest /= shape.get(axis);
        }
        return Arrays.toString(index);
    }

    /** Prints a line an operation, then what failed; whether nothing did. */
    boolean report() {
        results.forEach(
                (operation, r) ->
                        System.out.printf(
                                "%-24s %3d cases, largest error %.1e of the largest value, %.2f of"
                                        + " what is allowed%n",
                                operation, r.cases, r.largestError, r.ofAllowed));
        failures.stream().limit(SHOWN).forEach(f -> System.out.println("FAILED " + f));
        if (failures.size() > SHOWN) {
            System.out.println("FAILED and " + (failures.size() - SHOWN) + " more");
        }
        return failures.isEmpty();
    }

    @Override
    public void close() {
        scope.close();
        device.close();
    }
}
