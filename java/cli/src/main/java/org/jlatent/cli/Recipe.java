package org.jlatent.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jlatent.JlatentException;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.data.Splits;
import org.jlatent.models.ImageModel;
import org.jlatent.nn.Init;
import org.jlatent.train.Trainer;

/** A kind of model that can be trained: its settings, the model that comes of them, its figures. */
interface Recipe {
    String name();

    /** For the help: {@code "a variational autoencoder"}. */
    String meaning();

    /** What losses are counted in, for the curves: {@code "nats an image"}. */
    String unit();

    List<Settings.Key<?>> modelKeys();

    /** Of settings that start from another value than usual, by name. */
    default Map<String, String> initial() {
        return Map.of();
    }

    /** For the help: the settings that tell it from other recipes. */
    default List<Settings.Key<?>> ownKeys() {
        return modelKeys();
    }

    /** Those that start from another value than usual. */
    default List<Settings.Key<?>> changedKeys() {
        Map<String, String> initial = initial();
        return keys().stream().filter(key -> initial.containsKey(key.name())).toList();
    }

    /** What it is trained on unless something else is given. */
    default String data() {
        return "sprites";
    }

    /** Steps of training unless another length is given; null: ten epochs. */
    default Integer steps() {
        return null;
    }

    /** Whether its models are {@link org.jlatent.models.CodedModel}s, which can have a prior. */
    default boolean hasCodes() {
        return false;
    }

    /** Whether it is trained on the codes of another run. */
    default boolean needsCodes() {
        return false;
    }

    /**
     * The same, on the codes of a run.
     *
     * @throws JlatentException unless it {@link #needsCodes}
     */
    default Recipe on(CodesRun run) {
        throw new JlatentException(
                "a " + name() + " is trained on images, not on codes: leave out --on");
    }

    default Settings settings() {
        return new Settings(keys());
    }

    private List<Settings.Key<?>> keys() {
        List<Settings.Key<?>> keys = new ArrayList<>(modelKeys());
        keys.addAll(TrainingSettings.KEYS);
        keys.addAll(DataSettings.KEYS);
        Map<String, String> initial = initial();
        keys.replaceAll(key -> key.withInitial(initial.getOrDefault(key.name(), key.initial())));
        return keys;
    }

    ImageModel model(Init init, ImageShape image, Settings settings, long seed);

    /** What trains a model. */
    default Trainer trainer(ImageModel model, Settings settings, Path checkpoint, Splits splits) {
        return TrainingSettings.trainer(model, settings, checkpoint).data(splits);
    }

    /** Figures on test images, cheap enough for the end of training. */
    default Results measure(ImageModel model, ImageSet images, long seed) {
        return evaluate(model, images, new Evaluation(null, null, seed));
    }

    /**
     * All figures.
     *
     * @throws JlatentException if an option does not apply to the model
     */
    Results evaluate(ImageModel model, ImageSet images, Evaluation options);

    /**
     * What to evaluate with; null: as is usual for the model.
     *
     * @param samples of z an image, of a model that draws any
     * @param drop part of the pixels that are hidden from an autoencoder
     */
    record Evaluation(Integer samples, Float drop, long seed) {
        /**
         * @throws JlatentException if it says anything of what a model lacks
         */
        void requireNone(String model) {
            if (samples != null || drop != null) {
                throw new JlatentException(
                        "a "
                                + model
                                + " draws no z and hides no pixels: leave out --samples and --drop");
            }
        }
    }
}
