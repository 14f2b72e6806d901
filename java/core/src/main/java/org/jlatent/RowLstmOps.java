package org.jlatent;

import static org.jlatent.Checks.address;
import static org.jlatent.Checks.floats;
import static org.jlatent.Checks.require;

import org.jlatent.internal.LstmCellKernels;
import org.jlatent.internal.LstmCellKernels.LstmCellShape;

/**
 * The recurrence of a row LSTM [van den Oord et al. 2016, Pixel Recurrent Neural Networks, eq. 3],
 * as operations on tensors: down an image, row by row, each row's gates from what leads from input
 * to state and from a convolution of the row above's h. Formulas in kernels/lstm_cell/lstm_cell.h.
 *
 * <p>Every channel has four gates, side by side: output, forget, input and content. The convolution
 * sees {@value #TAPS} pixels of the row above; to a pixel they are what {@link
 * MaskedConvOps.Taps#VERTICAL_A} of a kernel as wide shows it.
 *
 * <p>Both methods throw {@link ShapeException} when a shape does not fit or tensors live on
 * different devices, and {@link DeviceException} when the device fails.
 */
public final class RowLstmOps {
    private RowLstmOps() {}

    /** Pixels of the row above that a pixel's state comes from. */
    public static final int TAPS = 3;

    /** The convolution of the row above, in a map. */
    static final MaskedConvOps.Options ABOVE =
            MaskedConvOps.Options.of(MaskedConvOps.Taps.VERTICAL_A, TAPS);

    private static final ConvOps.Options IN_A_ROW =
            ConvOps.Options.plain().withPadding(0, TAPS / 2);

    /**
     * @param h {@code [batch, height, width, channels]}
     * @param gates {@code [batch, height, width, 4 channels]}, for {@link #backward}
     * @param c shape of h, for backward
     */
    public record Result(Tensor h, Tensor gates, Tensor c) {}

    /**
     * @param dSums shape of the sums
     * @param dState shape of the state's weight
     */
    public record Gradients(Tensor dSums, Tensor dState) {}

    /** The weight's shape: {@code [4 channels, 1, 3, channels]}. */
    public static Shape stateShape(long channels) {
        return ABOVE.weightShape(channels, 4 * channels);
    }

    /**
     * All rows, one after the other.
     *
     * @param sums what leads from the input to the gates, {@code [batch, height, width, 4
     *     channels]}; no extent but batch may be 0
     * @param state weight from h to the gates of the row below, {@link #stateShape}
     */
    public static Result forward(Scope scope, Tensor sums, Tensor state) {
        Shape maps = maps("row lstm", sums);
        require("row lstm", "state", state, stateShape(maps.get(3)));
        floats("row lstm", scope, sums, state);
        Result r = new Result(scope.empty(maps), scope.empty(sums.shape()), scope.empty(maps));
        Shape aRow = Shape.of(maps.get(0), 1, maps.get(2), maps.get(3));
        Tensor row = null;
        for (long y = 0; y < maps.get(1); y++) {
            Tensor above = row == null ? null : fromRow(scope, row, state);
            row = scope.empty(aRow);
            LstmCellKernels.forward(
                    scope.device().backend(),
                    shape(maps, y),
                    sums.address(),
                    address(above),
                    r.gates.address(),
                    r.c.address(),
                    r.h.address(),
                    row.address());
        }
        return r;
    }

    /**
     * Back through all rows, from the last one.
     *
     * @param result as {@link #forward} returned it
     * @param state as given to forward
     * @param dh gradient of h
     */
    public static Gradients backward(Scope scope, Result result, Tensor state, Tensor dh) {
        Shape maps = maps("row lstm gradient", result.gates);
        require("row lstm gradient", "h", result.h, maps);
        require("row lstm gradient", "c", result.c, maps);
        require("row lstm gradient", "state", state, stateShape(maps.get(3)));
        require("row lstm gradient", "dh", dh, maps);
        floats("row lstm gradient", scope, result.h, result.gates, result.c, state, dh);
        Shape aRow = Shape.of(maps.get(0), 1, maps.get(2), maps.get(3));
        Tensor dSums = scope.empty(result.gates.shape());
        Tensor dc = scope.zeros(aRow);
        Tensor below = null;
        for (long y = maps.get(1) - 1; y >= 0; y--) {
            Tensor dRow = scope.empty(aRow.withoutLast().withLast(4 * maps.get(3)));
            LstmCellKernels.backward(
                    scope.device().backend(),
                    shape(maps, y),
                    result.gates.address(),
                    result.c.address(),
                    dh.address(),
                    address(below),
                    dc.address(),
                    dSums.address(),
                    dRow.address());
            below = y == 0 ? null : toRow(scope, dRow, state, aRow);
        }
        // Of all rows at once.
        Tensor dState = MaskedConvOps.backwardWeight(scope, result.h, dSums, ABOVE).dWeight();
        return new Gradients(dSums, dState);
    }

    private static Tensor fromRow(Scope scope, Tensor row, Tensor state) {
        return ConvOps.forward(scope, row, state, null, IN_A_ROW, Activation.IDENTITY);
    }

    private static Tensor toRow(Scope scope, Tensor dAbove, Tensor state, Shape row) {
        return ConvOps.transposed(scope, dAbove, state, null, row, IN_A_ROW, Activation.IDENTITY);
    }

    private static LstmCellShape shape(Shape maps, long row) {
        return new LstmCellShape(maps.get(0), maps.get(1), maps.get(2), maps.get(3), row);
    }

    /** The shape of h. */
    private static Shape maps(String operation, Tensor gates) {
        Shape s = gates.shape();
        if (s.rank() != 4 || s.get(1) < 1 || s.get(2) < 1 || s.get(3) < 4 || s.get(3) % 4 != 0) {
            throw new ShapeException(
                    operation
                            + ": gates must be [batch, height, width, 4 channels] of at least one"
                            + " pixel, got "
                            + s);
        }
        return s.withoutLast().withLast(s.get(3) / 4);
    }
}
