package org.jlatent.nn;

import java.util.List;
import org.jlatent.MaskedConvOps.Options;
import org.jlatent.MaskedConvOps.Taps;
import org.jlatent.RowLstmOps;
import org.jlatent.SamplerProgram;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * A row LSTM over NHWC images [van den Oord et al. 2016, Pixel Recurrent Neural Networks, sec.
 * 3.1]: the gates of a pixel come from itself and the one to its left, through a masked convolution
 * 1x3, and from the states of the three pixels above. So it sees a triangle that ends in the pixel.
 *
 * <p>Parameters: {@code input.weight [4 out, 1, 2, in]} and {@code input.bias [4 out]}, {@code
 * state [4 out, 1, 3, out]}: output, forget, input and content of a channel side by side. Weights
 * start as {@link MaskedConv2d}'s, which leaves sums the variance of what they are of. In f32, as
 * that.
 */
public final class RowLstm extends Module implements Layer {
    private final MaskedConv2d input;
    private final Tensor state;

    /**
     * @param in channels of x
     * @param out channels of y
     * @param groups of both, that see each other in their order within a pixel; 1: none
     */
    public RowLstm(Init init, int in, int out, int groups) {
        Options left = Options.of(Taps.HORIZONTAL_B, 3).withGroups(groups);
        this.input = child("input", new MaskedConv2d(init, in, 4 * out, left));
        Shape shape = RowLstmOps.stateShape(out);
        double bound = Math.sqrt(3.0 / RowLstmOps.TAPS / out);
        this.state = parameter("state", init.uniform(shape, bound));
    }

    /**
     * @param x {@code [batch, height, width, in]}
     * @return {@code [batch, height, width, out]}
     */
    @Override
    public Tensor forward(Tape tape, Tensor x) {
        Scope scope = tape.scope();
        Tensor sums = input.forward(tape, x);
        RowLstmOps.Result r = RowLstmOps.forward(scope, sums, state);
        tape.record(
                "row lstm",
                List.of(sums, state),
                List.of(r.h()),
                () -> {
                    RowLstmOps.Gradients d =
                            RowLstmOps.backward(scope, r, state, tape.gradient(r.h()));
                    tape.accumulate(sums, d.dSums());
                    tape.accumulate(state, d.dState());
                });
        return r.h();
    }

    /**
     * {@link #forward} in a program that images are drawn from.
     *
     * @param x number of an earlier node
     * @return number of the one that is h
     */
    public int addTo(SamplerProgram program, int x) {
        return program.rowLstm(state, above -> input.addTo(program, x, null, above));
    }
}
