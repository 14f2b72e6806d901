package org.jlatent.cli;

import java.lang.System.Logger.Level;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jlatent.JlatentException;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.data.Splits;
import org.jlatent.models.CodePrior;
import org.jlatent.models.CodePriorEvaluation;
import org.jlatent.models.CodeSet;
import org.jlatent.models.CodedModel;
import org.jlatent.models.GatedPixelCnnConfig;
import org.jlatent.models.ImageModel;
import org.jlatent.models.TwoStageModel;
import org.jlatent.nn.Init;
import org.jlatent.train.Trainer;

/**
 * {@code prior}: a distribution of the codes of a model that was trained before. Images, and how
 * they are seen, are that run's unless others are given.
 */
final class PriorRecipe implements Recipe {
    private static final System.Logger LOG = System.getLogger(PriorRecipe.class.getName());
    private static final int EVALUATED = 128; // images at once

    private final CodesRun codes; // null: none was named yet

    PriorRecipe() {
        this(null);
    }

    private PriorRecipe(CodesRun codes) {
        this.codes = codes;
    }

    @Override
    public Recipe on(CodesRun run) {
        return new PriorRecipe(run);
    }

    @Override
    public boolean needsCodes() {
        return true;
    }

    @Override
    public String name() {
        return "prior";
    }

    @Override
    public String meaning() {
        return "a Gated PixelCNN of the codes of a vq-vae, --on whose run it is trained";
    }

    @Override
    public String unit() {
        return "nats or bits a code";
    }

    @Override
    public List<Settings.Key<?>> modelKeys() {
        return List.of(
                GatedSettings.LAYERS,
                GatedSettings.FEATURES.withInitial("64"),
                // Maps are small: 7x7 for MNIST, where 5x5 reaches every neighbour of a neighbour.
                GatedSettings.KERNEL_FIRST.withInitial("5"),
                GatedSettings.KERNEL,
                GatedSettings.HEAD.withInitial("128"),
                GatedSettings.ATTENTION,
                AutoregressiveRecipe.DROPOUT,
                AutoregressiveRecipe.CLASSES);
    }

    @Override
    public String data() {
        return codes == null ? Recipe.super.data() : codes.open().config().data();
    }

    /** Images are seen as they were when the codes were learned. */
    @Override
    public Map<String, String> initial() {
        Map<String, String> initial = new LinkedHashMap<>(Map.of("batch", "64"));
        if (codes != null) {
            Map<String, String> theirs = codes.open().settings().toMap();
            DataSettings.KEYS.forEach(key -> initial.put(key.name(), theirs.get(key.name())));
        }
        return initial;
    }

    @Override
    public ImageModel model(Init init, ImageShape image, Settings settings, long seed) {
        if (codes == null) {
            throw new JlatentException("a prior's config.json has to name the run of its codes");
        }
        CodedModel codec = codes.model(init.scope());
        if (!codec.image().equals(image)) {
            throw new JlatentException(
                    codes.run() + " has codes of images of " + codec.image() + ", got " + image);
        }
        GatedPixelCnnConfig config =
                GatedSettings.config(settings)
                        .withAttention(settings.get(GatedSettings.ATTENTION))
                        .withClasses(settings.get(AutoregressiveRecipe.CLASSES));
        return new TwoStageModel(codec, new CodePrior(init, codec.codeMaps(), config, seed));
    }

    /** Trains on the codes of the images as they are, without what is random in training. */
    @Override
    public Trainer trainer(ImageModel model, Settings settings, Path checkpoint, Splits splits) {
        TwoStageModel both = (TwoStageModel) model;
        both.check(splits.train());
        LOG.log(Level.INFO, () -> "encoding the images of " + splits.train().name() + " once");
        ImageSet train = DataSettings.options(settings).forTesting(splits.train());
        return TrainingSettings.trainer(both.prior(), settings, checkpoint)
                .data(encoded(both, train))
                .validation(splits.validation().map(v -> encoded(both, v)).orElse(null));
    }

    private static CodeSet encoded(TwoStageModel model, ImageSet images) {
        return CodeSet.of(model.codec(), images, CodesFile.batch(images.shape()));
    }

    @Override
    public Results evaluate(ImageModel model, ImageSet images, Evaluation options) {
        options.requireNone(name());
        TwoStageModel both = (TwoStageModel) model;
        CodePriorEvaluation e =
                CodePriorEvaluation.of(both.prior(), encoded(both, images), EVALUATED);
        Results results =
                new Results()
                        .put("bits_per_code", e.bitsPerCode())
                        .put("histogram_bits_per_code", e.histogramBitsPerCode());
        if (e.maps().size() > 1) {
            for (int m = 0; m < e.maps().size(); m++) {
                String of = both.prior().maps().get(m).name() + "_";
                results.put(of + "bits_per_code", e.maps().get(m).bitsPerCode())
                        .put(
                                of + "histogram_bits_per_code",
                                e.maps().get(m).histogramBitsPerCode());
            }
        }
        return results;
    }
}
