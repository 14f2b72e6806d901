package org.jlatent.models;

import java.util.List;
import org.jlatent.SamplerProgram;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.nn.Dropout;
import org.jlatent.nn.Functions;

/** What a {@link PixelNetwork} does beside convolutions; x and y are numbers of feature maps. */
final class PixelSteps {
    private PixelSteps() {}

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
