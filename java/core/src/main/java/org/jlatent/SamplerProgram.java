package org.jlatent;

import static org.jlatent.Checks.address;
import static org.jlatent.Checks.require;
import static org.jlatent.Checks.requireOptional;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.IntUnaryOperator;
import java.util.stream.Stream;
import org.jlatent.internal.PixelSamplerKernels.Nodes;

/**
 * A network of masked convolutions as {@link PixelSamplerOps} takes it: nodes in the order of their
 * evaluation, each a feature map [batch, height, width, channels] of the image's height and width,
 * or of those halved. The last one's are the parameters of a pixel's distribution. Formulas in
 * kernels/pixel_sampler/pixel_sampler.h.
 *
 * <p>Every method adds a node and returns its number. Tensors are not copied: they are read when
 * images are drawn, with the weights of then.
 */
public final class SamplerProgram {
    /** In place of a node's number: no map. */
    public static final int NONE = -1;

    private static final int PIXELS = 0; // jl_node_kind
    private static final int EMBEDDING = 1;
    private static final int GIVEN = 2;
    private static final int MASKED_CONV = 3;
    private static final int ADD = 4;
    private static final int ACTIVATION = 5;
    private static final int SUBSAMPLE = 6;
    private static final int UPSAMPLE = 7;
    private static final int CONCAT_ELU = 8;
    private static final int ATTENTION = 9;
    private static final int LSTM_CELL = 10;
    private static final int LSTM_HIDDEN = 11;
    private static final MaskedConvOps.Options NO_TAPS =
            MaskedConvOps.Options.of(MaskedConvOps.Taps.RASTER_B, 1);

    private record Node(
            int kind,
            int input,
            int other,
            int activation,
            MaskedConvOps.Options options,
            long channels,
            Tensor data,
            Tensor bias,
            Tensor vector,
            float scale,
            float offset) {
        Node reading(int number) {
            return new Node(
                    kind,
                    number,
                    other,
                    activation,
                    options,
                    channels,
                    data,
                    bias,
                    vector,
                    scale,
                    offset);
        }
    }

    private final List<Node> nodes = new ArrayList<>();

    /** The image's values: {@code scale level + offset}. */
    public int pixels(long channels, float scale, float offset) {
        return add(PIXELS, NONE, NONE, 0, NO_TAPS, channels, null, null, null, scale, offset);
    }

    /**
     * A row of a table for every value of the image, side by side.
     *
     * @param table {@code [levels, dims]}
     * @param channels of the image
     */
    public int embedding(Tensor table, long channels) {
        if (table.shape().rank() != 2) {
            throw new ShapeException(
                    "sampler program: a table must be [levels, dims], got " + table.shape());
        }
        long dims = Shape.of(channels, table.shape().get(1)).elements();
        return add(EMBEDDING, NONE, NONE, 0, NO_TAPS, dims, table, null, null, 0, 0);
    }

    /**
     * A map that is known from the start, such as a condition.
     *
     * @param map {@code [batch, height, width, channels]}
     */
    public int given(Tensor map) {
        if (map.shape().rank() != 4) {
            throw new ShapeException(
                    "sampler program: a given map must be [batch, height, width, channels], got "
                            + map.shape());
        }
        return add(GIVEN, NONE, NONE, 0, NO_TAPS, map.shape().get(3), map, null, null, 0, 0);
    }

    /**
     * {@link MaskedConvOps#forward} of a node's map.
     *
     * @param input number of an earlier node
     * @param weight {@link MaskedConvOps.Options#weightShape}
     * @param bias {@code [filters]}, or null
     * @param vector {@code [batch, filters]}, or null
     * @param other number of an earlier node, with {@code filters} channels, whose map is added to
     *     the sums: MaskedConvOps' map; or {@link #NONE}
     */
    public int maskedConv(
            int input,
            Tensor weight,
            Tensor bias,
            Tensor vector,
            int other,
            MaskedConvOps.Options options) {
        long channels = node(input).channels;
        if (weight.shape().rank() != 4) {
            throw new ShapeException(
                    "sampler program: a weight must be [filters, rows, columns, channels], got "
                            + weight.shape());
        }
        long filters = weight.shape().get(0);
        require("sampler program", "weight", weight, options.weightShape(channels, filters));
        requireOptional("sampler program", "bias", bias, Shape.of(filters));
        if (vector != null && (vector.shape().rank() != 2 || vector.shape().get(1) != filters)) {
            throw new ShapeException(
                    "sampler program: vector must be [batch, "
                            + filters
                            + "], got "
                            + vector.shape());
        }
        long outputs = options.epilogue().isGated() ? filters / 2 : filters;
        if (other != NONE) {
            node(other);
        }
        int function = options.epilogue().code;
        return add(
                MASKED_CONV, input, other, function, options, outputs, weight, bias, vector, 0, 0);
    }

    /** The sum of two nodes' maps, such as a residual block's. */
    public int add(int input, int other) {
        node(other);
        long channels = node(input).channels;
        return add(ADD, input, other, 0, NO_TAPS, channels, null, null, null, 0, 0);
    }

    /** A function of a node's map. */
    public int activation(int input, Activation function) {
        long channels = node(input).channels;
        int code = function.code();
        return add(ACTIVATION, input, NONE, code, NO_TAPS, channels, null, null, null, 0, 0);
    }

    /** {@code elu(map), elu(-map)}: twice the channels. */
    public int concatElu(int input) {
        return resized(CONCAT_ELU, input, 2 * node(input).channels);
    }

    /** Every second pixel of both sides of a node's map, which must be even: (0, 0), (0, 2), ... */
    public int subsample(int input) {
        return resized(SUBSAMPLE, input, node(input).channels);
    }

    /** Every pixel of a node's map, which {@link #subsample} made, four times. */
    public int upsample(int input) {
        return resized(UPSAMPLE, input, node(input).channels);
    }

    private int resized(int kind, int input, long channels) {
        return add(kind, input, NONE, 0, NO_TAPS, channels, null, null, null, 0, 0);
    }

    /**
     * {@link CausalAttentionOps#forward} of a node's map.
     *
     * @param input number of an earlier node, which sees nothing of a pixel's own level
     * @param heads as there
     */
    public int attention(int input, int heads) {
        long dims = CausalAttentionOps.dims("sampler program", node(input).channels, heads);
        MaskedConvOps.Options inHeads = NO_TAPS.withGroups(heads); // where a node has them
        return add(ATTENTION, input, NONE, 0, inHeads, heads * dims, null, null, null, 0, 0);
    }

    /**
     * {@link RowLstmOps#forward} of a node's map: what comes from the row above is a convolution of
     * the row LSTM's own map, which only the rows above can be.
     *
     * @param state {@link RowLstmOps#stateShape}
     * @param sums adds the node of all gates' sums: given the number of what comes from the row
     *     above, {@code [.., 4 channels]}, the number of a node of as many channels
     * @return number of the node that is h
     */
    public int rowLstm(Tensor state, IntUnaryOperator sums) {
        long channels = state.shape().rank() == 4 ? state.shape().get(3) : 1;
        Shape expected = RowLstmOps.stateShape(channels);
        require("sampler program", "state", state, expected);
        long gates = 4 * channels;
        MaskedConvOps.Options rowAbove = RowLstmOps.ABOVE;
        int above = add(MASKED_CONV, NONE, NONE, 0, rowAbove, gates, state, null, null, 0, 0);
        int sum = sums.applyAsInt(above);
        if (node(sum).channels != gates) {
            throw new ShapeException(
                    "sampler program: gates of state "
                            + state.shape()
                            + " must have "
                            + gates
                            + " channels, node "
                            + sum
                            + " has "
                            + node(sum).channels);
        }
        int cell = add(LSTM_CELL, sum, NONE, 0, NO_TAPS, channels, null, null, null, 0, 0);
        int hidden = add(LSTM_HIDDEN, sum, cell, 0, NO_TAPS, channels, null, null, null, 0, 0);
        nodes.set(above, nodes.get(above).reading(hidden));
        return hidden;
    }

    /** Channels of a node's map. */
    public long channels(int number) {
        return node(number).channels;
    }

    /** Nodes so far. */
    public int size() {
        return nodes.size();
    }

    private Node node(int number) {
        if (number < 0 || number >= nodes.size()) {
            throw new IllegalArgumentException(
                    "sampler program: there are "
                            + nodes.size()
                            + " nodes so far, from 0 on, got number "
                            + number);
        }
        return nodes.get(number);
    }

    private int add(
            int kind,
            int input,
            int other,
            int activation,
            MaskedConvOps.Options options,
            long channels,
            Tensor data,
            Tensor bias,
            Tensor vector,
            float scale,
            float offset) {
        nodes.add(
                new Node(
                        kind,
                        input,
                        other,
                        activation,
                        options,
                        channels,
                        data,
                        bias,
                        vector,
                        scale,
                        offset));
        return nodes.size() - 1;
    }

    /** All tensors that nodes read. */
    Tensor[] tensors() {
        return nodes.stream()
                .flatMap(n -> Stream.of(n.data, n.bias, n.vector))
                .filter(Objects::nonNull)
                .toArray(Tensor[]::new);
    }

    /** What depends on the images that are drawn: their number and size, and their levels. */
    void check(Shape image, int levels) {
        for (Node n : nodes) {
            if (n.kind == GIVEN) {
                Shape expected = image.withoutLast().withLast(n.channels);
                require("pixel sampler", "a given map", n.data, expected);
            }
            if (n.kind == EMBEDDING) {
                long dims = n.data.shape().get(1);
                require("pixel sampler", "the table", n.data, Shape.of(levels, dims));
            }
            if (n.vector != null) {
                Shape expected = Shape.of(image.get(0), n.vector.shape().get(-1));
                require("pixel sampler", "a vector", n.vector, expected);
            }
        }
    }

    Nodes nodes() {
        Nodes all = new Nodes(nodes.size());
        for (Node n : nodes) {
            all.add(
                    n.kind,
                    n.input,
                    n.other,
                    n.activation,
                    n.options.taps().code,
                    n.options.groups(),
                    n.options.kernel(),
                    n.channels,
                    address(n.data),
                    address(n.bias),
                    address(n.vector),
                    n.scale,
                    n.offset);
        }
        return all;
    }
}
