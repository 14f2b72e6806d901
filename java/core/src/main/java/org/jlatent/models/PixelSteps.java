package org.jlatent.models;

import java.util.List;
import org.jlatent.Activation;
import org.jlatent.SamplerProgram;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.nn.Dropout;
import org.jlatent.nn.Elementwise;
import org.jlatent.nn.Embedding;
import org.jlatent.nn.Functions;
import org.jlatent.nn.MaskedConv2d;
import org.jlatent.nn.RowLstm;

/** The steps of a {@link PixelNetwork}; x and y are numbers of feature maps. */
final class PixelSteps {
    private static final Elementwise RELU = new Elementwise(Activation.RELU);

    private PixelSteps() {}

    /**
     * {@code layer(x, vector of the class, map)}. So a sum of two feature maps is a convolution of
     * one, on top of the other.
     *
     * @param label a vector for each class; or null
     * @param x number of a feature map
     * @param map number of another; or {@link PixelNetwork#NONE}
     */
    record Convolution(MaskedConv2d layer, Embedding label, int x, int map)
            implements PixelNetwork.Step {
        @Override
        public Tensor forward(Tape tape, List<Tensor> maps, Tensor labels) {
            return layer.forward(
                    tape,
                    maps.get(x),
                    vector(tape, labels),
                    map == PixelNetwork.NONE ? null : maps.get(map));
        }

        @Override
        public int addTo(SamplerProgram program, List<Integer> nodes, Tape tape, Tensor labels) {
            int other = map == PixelNetwork.NONE ? SamplerProgram.NONE : nodes.get(map);
            return layer.addTo(program, nodes.get(x), vector(tape, labels), other);
        }

        private Tensor vector(Tape tape, Tensor labels) {
            return label == null ? null : label.forward(tape, labels);
        }
    }

    /** A row LSTM: a map of its own rows above, too. */
    record Recurrence(RowLstm layer, int x) implements PixelNetwork.Step {
        @Override
        public Tensor forward(Tape tape, List<Tensor> maps, Tensor labels) {
            return layer.forward(tape, maps.get(x));
        }

        @Override
        public int addTo(SamplerProgram program, List<Integer> nodes, Tape tape, Tensor labels) {
            return layer.addTo(program, nodes.get(x));
        }
    }

    /** {@code max(x, 0)}. */
    record Rectifier(int x) implements PixelNetwork.Step {
        @Override
        public Tensor forward(Tape tape, List<Tensor> maps, Tensor labels) {
            return RELU.forward(tape, maps.get(x));
        }

        @Override
        public int addTo(SamplerProgram program, List<Integer> nodes, Tape tape, Tensor labels) {
            return program.activation(nodes.get(x), Activation.RELU);
        }
    }

    /** Every pixel attends to itself and to those before it, in heads. */
    record Attention(int x, int heads) implements PixelNetwork.Step {
        @Override
        public Tensor forward(Tape tape, List<Tensor> maps, Tensor labels) {
            return Functions.causalAttention(tape, maps.get(x), heads);
        }

        @Override
        public int addTo(SamplerProgram program, List<Integer> nodes, Tape tape, Tensor labels) {
            return program.attention(nodes.get(x), heads);
        }
    }

    /** {@code x + y}. */
    record Sum(int x, int y) implements PixelNetwork.Step {
        @Override
        public Tensor forward(Tape tape, List<Tensor> maps, Tensor labels) {
            return Functions.add(tape, maps.get(x), maps.get(y));
        }

        @Override
        public int addTo(SamplerProgram program, List<Integer> nodes, Tape tape, Tensor labels) {
            return program.add(nodes.get(x), nodes.get(y));
        }
    }

    /** {@code elu(x), elu(-x)}: twice the channels. */
    record ConcatElu(int x) implements PixelNetwork.Step {
        @Override
        public Tensor forward(Tape tape, List<Tensor> maps, Tensor labels) {
            return Functions.concatElu(tape, maps.get(x));
        }

        @Override
        public int addTo(SamplerProgram program, List<Integer> nodes, Tape tape, Tensor labels) {
            return program.concatElu(nodes.get(x));
        }
    }

    /** Every second pixel of both sides: (i, j) is (2 i, 2 j), and knows what is before that. */
    record Subsample(int x) implements PixelNetwork.Step {
        @Override
        public Tensor forward(Tape tape, List<Tensor> maps, Tensor labels) {
            return Functions.subsample(tape, maps.get(x));
        }

        @Override
        public int addTo(SamplerProgram program, List<Integer> nodes, Tape tape, Tensor labels) {
            return program.subsample(nodes.get(x));
        }
    }

    /** Every pixel four times; the first of the four is where the pixel was. */
    record Upsample(int x) implements PixelNetwork.Step {
        @Override
        public Tensor forward(Tape tape, List<Tensor> maps, Tensor labels) {
            return Functions.upsample(tape, maps.get(x), 2, 2);
        }

        @Override
        public int addTo(SamplerProgram program, List<Integer> nodes, Tape tape, Tensor labels) {
            return program.upsample(nodes.get(x));
        }
    }

    /** Dropout while training; else x itself. */
    record Drop(int x, Dropout dropout) implements PixelNetwork.Step {
        @Override
        public Tensor forward(Tape tape, List<Tensor> maps, Tensor labels) {
            return dropout.forward(tape, maps.get(x));
        }

        @Override
        public int addTo(SamplerProgram program, List<Integer> nodes, Tape tape, Tensor labels) {
            return nodes.get(x);
        }
    }
}
