package org.jlatent.models;

import org.jlatent.JlatentException;
import org.jlatent.LikelihoodLevelsOps;
import org.jlatent.PixelSamplerOps;
import org.jlatent.Random;
import org.jlatent.SamplerProgram;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.models.AutoregressiveModel.Draws;

/** How images of an autoregressive model are drawn: all at once, and naively. */
final class PixelDrawing {
    private static final int SITE = 1; // of the draws

    private final AutoregressiveModel model;
    private final LikelihoodLevelsOps.Options draws;
    private final Draws how;

    PixelDrawing(AutoregressiveModel model, LikelihoodLevelsOps.Options draws, Draws how) {
        this.model = model;
        this.draws = draws;
        this.how = how;
    }

    /** {@link AutoregressiveModel#complete}. */
    float[] complete(float[] images, boolean[] given, Condition condition) {
        int batch = requireGiven(images, given);
        int channels = model.image().channels();
        Shape shape = Shape.of(batch, model.image().height(), model.image().width(), channels);
        try (Scope scope = new Scope(model.device())) {
            SamplerProgram program = model.program(scope, batch, condition);
            int[] drawn =
                    PixelSamplerOps.sample(
                                    scope,
                                    program,
                                    shape,
                                    PixelSamplerOps.Options.of(draws)
                                            .withGroups(channels / draws.channels())
                                            .withTemperature(how.temperature())
                                            .withTopK(how.topK())
                                            .withSite(SITE),
                                    scope.ofInts(shape, levels(images, given)),
                                    new Random(scope, how.seed()),
                                    false)
                            .image()
                            .toIntArray();
            float[] complete = images.clone();
            for (int i = 0; i < drawn.length; i++) {
                complete[i] = given[i] ? images[i] : value(drawn[i]);
            }
            return complete;
        }
    }

    /** Levels of the values that are given, -1 for others. */
    private int[] levels(float[] images, boolean[] given) {
        int[] levels = new int[images.length];
        for (int i = 0; i < levels.length; i++) {
            float scaled = given[i] ? images[i] * (draws.levels() - 1) : -1;
            levels[i] = Math.round(scaled);
            if (given[i] && !(levels[i] >= 0 && levels[i] < draws.levels())) {
                throw new JlatentException(
                        "value "
                                + images[i]
                                + ", which is given, is none of the likelihood's "
                                + draws.levels()
                                + " levels from 0 to 1");
            }
        }
        return levels;
    }

    /** The values that are given, 0 for others: a mask within a pixel takes anything but NaN. */
    private static float[] known(float[] images, boolean[] given) {
        float[] known = images.clone();
        for (int i = 0; i < known.length; i++) {
            known[i] = given[i] ? known[i] : 0;
        }
        return known;
    }

    /** How many images these are. */
    private int requireGiven(float[] images, boolean[] given) {
        int values = model.image().values();
        if (images.length % values != 0 || given.length != images.length) {
            throw new IllegalArgumentException(
                    "images of "
                            + values
                            + " values cannot be completed from "
                            + images.length
                            + " values, of which it is known of "
                            + given.length
                            + " whether they are given");
        }
        int together = draws.channels();
        for (int i = 0; i < given.length; i++) {
            Networks.require(
                    given[i] == given[i - i % together],
                    "a " + model.likelihood().name() + " draws whole pixels, or nothing of them",
                    "a part of the channels at value " + i % values);
        }
        return images.length / values;
    }

    private float value(int level) {
        if (level < 0) {
            throw new JlatentException(
                    "the model's output is no distribution to draw from: it holds values that are"
                            + " not finite");
        }
        return (float) level / (draws.levels() - 1);
    }

    /** {@link AutoregressiveModel#completeNaively}. */
    float[] completeNaively(float[] images, boolean[] given, Condition condition) {
        requireGiven(images, given);
        int values = model.image().values();
        float[] x = known(images, given);
        int together = draws.channels();
        try (Scope owned = new Scope(model.device());
                Scope scope = new Scope(model.device())) {
            Random random = new Random(owned, how.seed());
            for (int first = 0; first < values; first += together) {
                if (isGiven(given, values, first)) {
                    continue;
                }
                scope.clear();
                int[] drawn = draw(scope, x, condition, random);
                for (int i = first; i < x.length; i += values) {
                    for (int j = i; j < i + together && !given[i]; j++) {
                        x[j] = value(drawn[j]);
                    }
                }
            }
        }
        return x;
    }

    /** Whether a value is given in all images. */
    private static boolean isGiven(boolean[] given, int values, int value) {
        for (int i = value; i < given.length; i += values) {
            if (!given[i]) {
                return false;
            }
        }
        return true;
    }

    /** Draws every level, each given what is now before it. */
    private int[] draw(Scope scope, float[] x, Condition condition, Random random) {
        Shape images = Shape.of(x.length / model.image().values(), model.image().values());
        Tensor logits = model.logits(Tape.inference(scope), scope.of(images, x), condition);
        return LikelihoodLevelsOps.draw(
                        scope, draws, logits, images, random, SITE, how.temperature(), how.topK())
                .toIntArray();
    }
}
