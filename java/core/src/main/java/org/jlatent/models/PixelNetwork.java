package org.jlatent.models;

import java.util.ArrayList;
import java.util.List;
import org.jlatent.MaskedConvOps.Options;
import org.jlatent.SamplerProgram;
import org.jlatent.Scope;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.nn.Dropout;
import org.jlatent.nn.Embedding;
import org.jlatent.nn.Init;
import org.jlatent.nn.MaskedConv2d;
import org.jlatent.nn.Module;
import org.jlatent.nn.RowLstm;

/**
 * A network of masked convolutions, attention and row LSTMs as a list of steps. Each makes a
 * feature map of such that are there already, of the image's height and width or of those halved;
 * the last one is the output, and as large as the image. Nothing else is kept: who takes these
 * steps pixel by pixel instead of image by image gets the same.
 *
 * <p>Feature maps have numbers: {@link #INPUT}, {@link #CONDITION}, and then one a step.
 */
final class PixelNetwork extends Module {
    static final int NONE = -1;
    static final int INPUT = 0;
    static final int CONDITION = 1;

    /** Makes one feature map, of those before it: of whole images, or of a pixel at a time. */
    interface Step {
        /**
         * The map {@code [batch, height, width, channels]}.
         *
         * @param maps by their numbers
         * @param labels i32, {@code [batch]}; or null
         */
        Tensor forward(Tape tape, List<Tensor> maps, Tensor labels);

        /**
         * Its number in a program.
         *
         * @param nodes the program's numbers of the maps
         * @param tape records nothing; its scope owns what the program reads and is not a parameter
         * @param labels as {@link #forward}
         */
        int addTo(SamplerProgram program, List<Integer> nodes, Tape tape, Tensor labels);
    }

    private final Init init;
    private final int classes;
    private final List<Step> steps = new ArrayList<>();
    private final List<Integer> channels = new ArrayList<>(); // of every feature map

    /**
     * @param input channels of the input
     * @param condition channels of the map that images are conditioned on; 0: none
     * @param classes that gates are conditioned on; 0: none
     */
    PixelNetwork(Init init, int input, int condition, int classes) {
        this.init = init;
        this.classes = classes;
        channels.addAll(List.of(input, condition));
    }

    /**
     * One more convolution; a gate is conditioned on the image's class, if there are classes.
     *
     * @param out channels of its feature map
     * @param x number of a feature map
     * @param map number of another that is added before the epilogue; or {@link #NONE}
     * @return number of its feature map
     */
    int convolve(String name, Options options, int out, int x, int map) {
        MaskedConv2d layer = child(name, new MaskedConv2d(init, channels.get(x), out, options));
        boolean labelled = classes > 0 && options.epilogue().isGated();
        Embedding label =
                labelled
                        ? child(name + ".label", new Embedding(init, classes, options.filters(out)))
                        : null;
        return add(new PixelSteps.Convolution(layer, label, x, map), out);
    }

    /**
     * A row LSTM.
     *
     * @param groups of the channels of x, and of {@code out}
     * @param out channels of its feature map
     * @param x number of a feature map
     * @return number of its feature map
     */
    int recur(String name, int groups, int out, int x) {
        RowLstm layer = child(name, new RowLstm(init, channels.get(x), out, groups));
        return add(new PixelSteps.Recurrence(layer, x), out);
    }

    /** {@code max(x, 0)}; where a convolution's only use is that, its epilogue is cheaper. */
    int rectify(int x) {
        return add(new PixelSteps.Rectifier(x), channels.get(x));
    }

    /**
     * Attention of every pixel to itself and to those before it.
     *
     * @param x number of a feature map with queries, keys and values, which must not depend on the
     *     pixel itself
     * @return number of its feature map, of a third of the channels
     */
    int attend(int x, int heads) {
        return add(new PixelSteps.Attention(x, heads), channels.get(x) / 3);
    }

    /**
     * Dropout while training.
     *
     * @param x number of a feature map
     * @return number of its feature map
     */
    int drop(int x, Dropout dropout) {
        return dropout.isNone() ? x : add(new PixelSteps.Drop(x, dropout), channels.get(x));
    }

    /**
     * One more step.
     *
     * @param out channels of its feature map
     * @return number of its feature map
     */
    int add(Step step, int out) {
        steps.add(step);
        channels.add(out);
        return channels.size() - 1;
    }

    /** Channels of a feature map. */
    int channels(int map) {
        return channels.get(map);
    }

    /** Feature maps so far. */
    int size() {
        return channels.size();
    }

    /** Classes that gates are conditioned on; 0: none. */
    int classes() {
        return classes;
    }

    /** Channels of the map that images are conditioned on; 0: none. */
    int conditionChannels() {
        return channels.get(CONDITION);
    }

    /**
     * Takes all steps.
     *
     * @param input {@code [batch, height, width, channels]}
     * @param condition the same; or null
     * @param labels i32, {@code [batch]}; or null
     */
    Tensor forward(Tape tape, Tensor input, Tensor condition, Tensor labels) {
        List<Tensor> maps = new ArrayList<>(channels.size());
        maps.add(input);
        maps.add(condition);
        for (Step step : steps) {
            maps.add(step.forward(tape, maps, labels));
        }
        return maps.get(maps.size() - 1);
    }

    /**
     * The same network as a program that images are drawn from.
     *
     * @param scope owns what the program reads and is not a parameter
     * @param program has one node: the input
     * @param condition as {@link #forward}
     * @param labels as {@link #forward}
     */
    void addTo(SamplerProgram program, Scope scope, Tensor condition, Tensor labels) {
        Tape tape = Tape.inference(scope);
        List<Integer> nodes = new ArrayList<>(channels.size());
        nodes.add(program.size() - 1);
        nodes.add(condition == null ? SamplerProgram.NONE : program.given(condition));
        for (Step step : steps) {
            nodes.add(step.addTo(program, nodes, tape, labels));
        }
    }
}
