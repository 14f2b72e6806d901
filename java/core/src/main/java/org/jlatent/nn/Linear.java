package org.jlatent.nn;

import java.util.List;
import org.jlatent.Activation;
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
        Tensor product = Ops.matmul(scope, x, false, weight, true, bias, activation.fused());
        Tensor y = activation.output(scope, product);
        tape.record(
                "linear",
                List.of(x, weight, bias),
                List.of(y),
                () -> {
                    Tensor dProduct = activation.gradient(scope, product, tape.gradient(y));
                    tape.accumulate(
                            weight,
                            Ops.matmul(scope, dProduct, true, x, false, null, Activation.IDENTITY));
                    tape.accumulate(bias, Ops.sumRows(scope, dProduct));
                    if (tape.tracks(x)) {
                        tape.accumulate(
                                x,
                                Ops.matmul(
                                        scope,
                                        dProduct,
                                        false,
                                        weight,
                                        false,
                                        null,
                                        Activation.IDENTITY));
                    }
                });
        return y;
    }
}
