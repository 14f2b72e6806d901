package org.jlatent.models;

import java.util.ArrayList;
import java.util.List;
import org.jlatent.Activation;
import org.jlatent.MaskedConvOps.Epilogue;
import org.jlatent.MaskedConvOps.Options;
import org.jlatent.SamplerProgram;
import org.jlatent.Scope;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.nn.Elementwise;
import org.jlatent.nn.Embedding;
import org.jlatent.nn.Init;
import org.jlatent.nn.MaskedConv2d;
import org.jlatent.nn.Module;

/**
 * A network of masked convolutions as a list of steps. Each makes a feature map, of the image's
 * height and width, of such that are there already; the last one is the output. Nothing else is
 * kept: who takes these steps pixel by pixel instead of image by image gets the same.
 *
 * <p>Feature maps have numbers: {@link #INPUT}, {@link #CONDITION}, and then one a step.
 */
final class PixelNetwork extends Module {
    static final int NONE = -1;
    static final int INPUT = 0;
    static final int CONDITION = 1;

    /** Makes one feature map. */
    sealed interface Step permits Convolution, Rectifier {}

    /**
     * {@code layer(x, vector of the class, map)}. So a sum of two feature maps is a convolution of
     * one, on top of the other.
     *
     * @param label a vector for each class; or null
     * @param x number of a feature map
     * @param map number of another; or {@link #NONE}
     */
    record Convolution(MaskedConv2d layer, Embedding label, int x, int map) implements Step {}

    /** {@code max(x, 0)}. */
    record Rectifier(int x) implements Step {}

    private static final Elementwise RELU = new Elementwise(Activation.RELU);

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
        boolean labelled = classes > 0 && options.epilogue() == Epilogue.GATE;
        Embedding label =
                labelled
                        ? child(name + ".label", new Embedding(init, classes, options.filters(out)))
                        : null;
        return add(new Convolution(layer, label, x, map), out);
    }

    /** {@code max(x, 0)}; where a convolution's only use is that, its epilogue is cheaper. */
    int rectify(int x) {
        return add(new Rectifier(x), channels.get(x));
    }

    private int add(Step step, int out) {
        steps.add(step);
        channels.add(out);
        return channels.size() - 1;
    }

    /** Classes that gates are conditioned on; 0: none. */
    int classes() {
        return classes;
    }

    /** Channels of the map that images are conditioned on; 0: none. */
    int conditionChannels() {
        return channels.get(CONDITION);
    }

    /** The steps, in an order in which they can be taken. */
    List<Step> steps() {
        return List.copyOf(steps);
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
            if (step instanceof Convolution c) {
                Tensor vector = c.label == null ? null : c.label.forward(tape, labels);
                Tensor map = c.map == NONE ? null : maps.get(c.map);
                maps.add(c.layer.forward(tape, maps.get(c.x), vector, map));
            } else {
                maps.add(RELU.forward(tape, maps.get(((Rectifier) step).x)));
            }
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
            if (step instanceof Convolution c) {
                Tensor vector = c.label == null ? null : c.label.forward(tape, labels);
                int map = c.map == NONE ? SamplerProgram.NONE : nodes.get(c.map);
                nodes.add(c.layer.addTo(program, nodes.get(c.x), vector, map));
            } else {
                nodes.add(program.activation(nodes.get(((Rectifier) step).x), Activation.RELU));
            }
        }
    }
}
