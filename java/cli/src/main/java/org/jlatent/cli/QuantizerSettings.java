package org.jlatent.cli;

import java.util.List;
import java.util.Locale;
import org.jlatent.JlatentException;
import org.jlatent.VectorQuantizeOps.Estimator;
import org.jlatent.models.VqVaeConfig;
import org.jlatent.nn.FiniteScalarQuantizer;
import org.jlatent.nn.LookupFreeQuantizer;
import org.jlatent.nn.VectorQuantizer;
import org.jlatent.nn.VectorQuantizerConfig;
import org.jlatent.nn.VectorQuantizerConfig.Learning;

/** How vectors become codes. */
final class QuantizerSettings {
    private static final Settings.Key<String> QUANTIZER =
            Settings.choice(
                    "quantizer",
                    "vq",
                    List.of("vq", "fsq", "lfq"),
                    "a codebook, or without one: finite scalars, or signs");
    private static final Settings.Key<Integer> CODES =
            Settings.integer("codes", 512, 1, "entries of a codebook");
    private static final Settings.Key<Integer> DIMS =
            Settings.integer("dims", 64, 1, "of the vectors of vq");
    private static final Settings.Key<Integer> HEADS =
            Settings.integer("heads", 1, 1, "parts of a vector, each with a codebook and a code");
    private static final Settings.Key<Integer> STAGES =
            Settings.integer("stages", 1, 1, "codes one after the other, of what the last leaves");
    private static final Settings.Key<Float> BETA =
            Settings.number("beta", "0.25", 0, 1e6, "weight of the commitment loss, of vq and lfq");
    private static final Settings.Key<String> LEARNING =
            Settings.choice(
                    "learning",
                    "ema",
                    List.of("ema", "gradient"),
                    "of the codebook, by moving averages or as a parameter");
    private static final Settings.Key<Float> DECAY =
            Settings.number("decay", "0.99", 0, 0.999999, "of the moving averages");
    private static final Settings.Key<String> ESTIMATOR =
            Settings.choice(
                    "estimator",
                    "straight-through",
                    List.of("straight-through", "rotation"),
                    "how the gradient passes the codebook");
    private static final Settings.Key<String> COSINE =
            Settings.choice("cosine", "off", Settings.SWITCH, "vectors and entries of length 1");
    static final Settings.Key<Float> REVIVE =
            Settings.number(
                    "revive",
                    "0.05",
                    0,
                    0.999,
                    "codes used less than this part of the mean are dead and start anew; 0: never");
    private static final Settings.Key<int[]> LEVELS =
            Settings.widths("fsq.levels", "8-8-8", "of each value of fsq's vectors");
    private static final Settings.Key<Integer> BITS =
            Settings.integer("lfq.bits", 9, 1, "signs of lfq's vectors");
    private static final Settings.Key<Float> ENTROPY =
            Settings.number("lfq.entropy", "0.1", 0, 1e6, "weight of lfq's entropy penalty");

    static final List<Settings.Key<?>> KEYS =
            List.of(
                    QUANTIZER, CODES, DIMS, HEADS, STAGES, BETA, LEARNING, DECAY, ESTIMATOR, COSINE,
                    REVIVE, LEVELS, BITS, ENTROPY);

    private QuantizerSettings() {}

    /**
     * @throws JlatentException if they contradict each other
     */
    static VqVaeConfig.Maker maker(Settings settings) {
        return switch (settings.get(QUANTIZER)) {
            case "fsq" ->
                    (init, random, site) -> new FiniteScalarQuantizer(init, settings.get(LEVELS));
            case "lfq" ->
                    (init, random, site) ->
                            new LookupFreeQuantizer(
                                    init,
                                    settings.get(BITS),
                                    settings.get(BETA),
                                    settings.get(ENTROPY));
            default -> {
                VectorQuantizerConfig config = codebook(settings);
                yield (init, random, site) -> new VectorQuantizer(init, config, random, site);
            }
        };
    }

    private static VectorQuantizerConfig codebook(Settings settings) {
        boolean rotation = settings.get(ESTIMATOR).equals("rotation");
        try {
            return new VectorQuantizerConfig(
                    settings.get(CODES),
                    settings.get(DIMS),
                    settings.get(HEADS),
                    settings.get(STAGES),
                    settings.get(BETA),
                    Learning.valueOf(settings.get(LEARNING).toUpperCase(Locale.ROOT)),
                    settings.get(DECAY),
                    VectorQuantizerConfig.defaults().epsilon(),
                    rotation ? Estimator.ROTATION : Estimator.STRAIGHT_THROUGH,
                    settings.get(COSINE).equals("on"),
                    settings.get(REVIVE));
        } catch (IllegalArgumentException e) {
            throw new JlatentException("settings of the codebook: " + e.getMessage(), e);
        }
    }
}
