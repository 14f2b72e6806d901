package org.jlatent.nn;

import java.util.List;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/** Layers one after the other; their parameters are named by position, {@code 0.weight}. */
public final class Sequential extends Module implements Layer {
    private final List<Layer> layers;

    /** Layers in the order they are applied; none passes x on as it is. */
    public Sequential(Layer... layers) {
        this.layers = List.of(layers);
        for (int i = 0; i < layers.length; i++) {
            if (layers[i] instanceof Module module) {
                child(Integer.toString(i), module);
            }
        }
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        Tensor y = x;
        for (Layer layer : layers) {
            y = layer.forward(tape, y);
        }
        return y;
    }
}
