package org.jlatent.cli;

import java.util.ArrayList;
import java.util.List;
import org.jlatent.JlatentException;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.models.ImageModel;
import org.jlatent.models.Vae;
import org.jlatent.models.VaeConfig;
import org.jlatent.models.VaeEvaluation;
import org.jlatent.models.VariationalModel;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;

/** {@code vae} and {@code conv-vae}, which differ in what their settings start from. */
class VaeRecipe implements Recipe {
    private static final Settings.Key<String> LIKELIHOOD =
            Settings.choice(
                    "likelihood",
                    "bernoulli",
                    List.of(
                            "bernoulli",
                            "gaussian",
                            "gaussian-learned",
                            "laplace",
                            "laplace-learned",
                            "logistic-mixture"),
                    "of a pixel; logistic-mixture: of 8-bit values");
    static final Settings.Key<Float> SCALE =
            Settings.number(
                    "likelihood.scale",
                    "0.1",
                    1e-6,
                    1e6,
                    "standard deviation (gaussian) or b (laplace), where it is not learned");
    static final Settings.Key<Integer> COMPONENTS =
            Settings.integer("likelihood.components", 5, 1, "of a logistic-mixture");
    static final Settings.Key<Float> BETA =
            Settings.number("beta", "1", 0, 1e6, "weight of the KL term");
    static final Settings.Key<Float> FREE_BITS =
            Settings.number(
                    "free-bits", "0", 0, 1e6, "nats a dimension that the KL is not pushed below");
    static final Settings.Key<Integer> SAMPLES =
            Settings.integer("samples", 1, 1, "samples of z for each image");

    private static final int LEVELS = 256; // of an image's value
    private static final int ROWS = 6400; // of z at once: thousands of samples have to fit, too

    private final String name;
    private final String meaning;
    private final String channels;
    private final String hidden;

    VaeRecipe(String name, String meaning, String channels, String hidden) {
        this.name = name;
        this.meaning = meaning;
        this.channels = channels;
        this.hidden = hidden;
    }

    static Recipe dense() {
        return new VaeRecipe("vae", "a variational autoencoder", "", "400");
    }

    static Recipe convolutional() {
        return new VaeRecipe("conv-vae", "the same with convolutions", "32-64", "256");
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public String meaning() {
        return meaning;
    }

    @Override
    public String unit() {
        return "nats an image";
    }

    @Override
    public List<Settings.Key<?>> modelKeys() {
        List<Settings.Key<?>> keys = new ArrayList<>(networkKeys());
        keys.addAll(List.of(LIKELIHOOD, SCALE, COMPONENTS, BETA, FREE_BITS, SAMPLES));
        return keys;
    }

    final List<Settings.Key<?>> networkKeys() {
        return List.of(
                NetworkSettings.CHANNELS.withInitial(channels),
                NetworkSettings.HIDDEN.withInitial(hidden),
                NetworkSettings.LATENT,
                NetworkSettings.ACTIVATION);
    }

    @Override
    public ImageModel model(Init init, ImageShape image, Settings settings, long seed) {
        Likelihood likelihood = likelihood(settings.get(LIKELIHOOD), image, settings);
        return new Vae(init, image, config(settings, likelihood), seed);
    }

    static VaeConfig config(Settings settings, Likelihood likelihood) {
        return VaeConfig.defaults()
                .withChannels(settings.get(NetworkSettings.CHANNELS))
                .withHidden(settings.get(NetworkSettings.HIDDEN))
                .withLatent(settings.get(NetworkSettings.LATENT))
                .withActivation(settings.get(NetworkSettings.ACTIVATION))
                .withLikelihood(likelihood)
                .withBeta(settings.get(BETA))
                .withFreeBits(settings.get(FREE_BITS))
                .withSamples(settings.get(SAMPLES));
    }

    @Override
    public Results measure(ImageModel model, ImageSet images, long seed) {
        return results(VaeEvaluation.of((VariationalModel) model, images, 1, 256, seed), false);
    }

    @Override
    public Results evaluate(ImageModel model, ImageSet images, Evaluation options) {
        if (options.drop() != null) {
            throw new JlatentException(
                    "a " + name + " hides no pixels: leave out --drop, which is of autoencoders");
        }
        int samples = options.samples() == null ? 50 : options.samples();
        int batch = Math.max(1, Math.min(128, ROWS / Math.max(1, samples)));
        return results(
                VaeEvaluation.of((VariationalModel) model, images, samples, batch, options.seed()),
                true);
    }

    /**
     * @param bound whether {@code nll} was estimated with enough samples to be worth printing
     */
    private static Results results(VaeEvaluation e, boolean bound) {
        Results results = new Results().put("elbo", e.elbo());
        if (bound) {
            results.put("nll", e.nll());
        }
        results.put("reconstruction", e.reconstruction()).put("kl", e.kl());
        if (bound && !Double.isNaN(e.bitsPerDim())) {
            results.put("bits_per_dim", e.bitsPerDim());
        }
        return results.put("active_units", e.activeUnits())
                .put("normalized_error", e.normalizedError());
    }

    static Likelihood likelihood(String name, ImageShape image, Settings settings) {
        double scale = settings.get(SCALE);
        return switch (name) {
            case "gaussian" -> Likelihoods.gaussian(scale * scale);
            case "gaussian-learned" -> Likelihoods.gaussianLearned();
            case "laplace" -> Likelihoods.laplace(scale);
            case "laplace-learned" -> Likelihoods.laplaceLearned();
            case "logistic-mixture" ->
                    Likelihoods.discretizedLogisticMixture(
                            settings.get(COMPONENTS), LEVELS, image.channels());
            default -> Likelihoods.bernoulli();
        };
    }
}
