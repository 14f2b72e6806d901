package org.jlatent.nn;

import java.util.List;
import org.jlatent.Activation;
import org.jlatent.DType;
import org.jlatent.Ops;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * {@code y = f(x W^T + b)}, bias and activation fused into the product where the library can.
 *
 * <p>Parameters: {@code weight [out, in]} and {@code bias [out]}, uniform in +-1/sqrt(in) at the
 * start.
 */
public final class Linear extends Module implements Layer {
    private final Tensor weight;
    private final Tensor bias;
    private final Activated activation;

    /** Without an activation. */
    public Linear(Init init, long in, long out) {
        this(init, in, out, Activation.IDENTITY);
    }

    /**
     * @param in columns of x, at least 1
     * @param out columns of y, at least 1
     * @throws ShapeException if either is less
     */
    public Linear(Init init, long in, long out, Activation activation) {
        if (in < 1 || out < 1) {
            throw new ShapeException(
                    "a linear layer needs at least one input and output, got " + in + " to " + out);
        }
        double bound = 1.0 / Math.sqrt((double) in);
        this.weight = parameter("weight", init.uniform(Shape.of(out, in), bound));
        this.bias = parameter("bias", init.uniform(Shape.of(out), bound));
        this.activation = new Activated(activation);
    }

    /**
     * @param x {@code [rows, in]}
     * @return {@code [rows, out]}
     */
    @Override
    public Tensor forward(Tape tape, Tensor x) {
        Scope scope = tape.scope();
        Tensor a = tape.factor(x);
        Tensor b = tape.factor(weight);
        Tensor product = product(scope, a, false, b, true, bias, activation.fused());
        Tensor y = activation.output(scope, product);
        tape.record(
                "linear",
                List.of(x, weight, bias),
                List.of(y),
                () -> {
                    Tensor dProduct = activation.gradient(scope, product, tape.gradient(y));
                    Tensor d = tape.factor(dProduct);
                    Activation none = Activation.IDENTITY;
                    tape.accumulate(weight, product(scope, d, true, a, false, null, none));
                    tape.accumulate(bias, Ops.sumRows(scope, dProduct));
                    if (tape.tracks(x)) {
                        tape.accumulate(x, product(scope, d, false, b, false, null, none));
                    }
                });
        return y;
    }

    /** In f32, whatever its factors are. */
    private static Tensor product(
            Scope scope,
            Tensor a,
            boolean transposeA,
            Tensor b,
            boolean transposeB,
            Tensor bias,
            Activation activation) {
        return Ops.matmul(scope, a, transposeA, b, transposeB, bias, activation, DType.F32);
    }
}
