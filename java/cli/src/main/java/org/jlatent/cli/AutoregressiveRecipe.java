package org.jlatent.cli;

import java.util.List;
import java.util.Map;
import org.jlatent.JlatentException;
import org.jlatent.data.Binarize;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.models.AutoregressiveEvaluation;
import org.jlatent.models.AutoregressiveModel;
import org.jlatent.models.ImageModel;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;

/** Models of pixels given pixels. */
interface AutoregressiveRecipe extends Recipe {
    Settings.Key<String> LIKELIHOOD =
            Settings.choice(
                    "likelihood",
                    "bernoulli",
                    List.of("bernoulli", "categorical", "logistic-mixture"),
                    "of zeros and ones, or, with data.binarize=none, of 8-bit values");
    Settings.Key<Integer> CLASSES =
            Settings.integer("classes", 0, 0, "of the images that it is conditioned on; 0: none");
    Settings.Key<Float> DROPOUT =
            Settings.number("dropout", "0", 0, 0.99, "in every layer or block while training");

    /** Initial settings: a value given others has a probability only if it is one of a few. */
    Map<String, String> BITS = Map.of("data.binarize", "dynamic", "batch", "64");

    /** Levels of 8-bit values. */
    int LEVELS = 256;

    /** Images at once. */
    int EVALUATED = 128;

    static Likelihood likelihood(ImageShape image, Settings settings) {
        String name = settings.get(LIKELIHOOD);
        if (name.equals("bernoulli")) {
            return Likelihoods.bernoulli();
        }
        if (DataSettings.options(settings).binarize() != Binarize.NONE) {
            throw new JlatentException(
                    "a " + name + " likelihood is of 8-bit values: set data.binarize=none");
        }
        return name.equals("categorical")
                ? Likelihoods.categorical(LEVELS)
                : Likelihoods.discretizedLogisticMixture(
                        settings.get(VaeRecipe.COMPONENTS), LEVELS, image.channels());
    }

    @Override
    default String unit() {
        return "nats an image";
    }

    @Override
    default Map<String, String> initial() {
        return BITS;
    }

    @Override
    default Results evaluate(ImageModel model, ImageSet images, Evaluation options) {
        options.requireNone(name());
        AutoregressiveEvaluation e =
                AutoregressiveEvaluation.of((AutoregressiveModel) model, images, EVALUATED);
        return new Results().put("nll", e.nll()).put("bits_per_dim", e.bitsPerDim());
    }
}
