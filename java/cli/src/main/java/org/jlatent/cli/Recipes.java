package org.jlatent.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import org.jlatent.JlatentException;

/** The models that can be trained, by name. */
final class Recipes {
    private static final List<Recipe> ALL =
            List.of(
                    VaeRecipe.dense(),
                    VaeRecipe.convolutional(),
                    new PixelVaeRecipe(),
                    new AutoencoderRecipe(),
                    VqVaeRecipe.plain(),
                    VqVaeRecipe.published(),
                    VqVaeRecipe.hierarchical(),
                    new PriorRecipe(),
                    PixelCnnRecipe.plain(),
                    new GatedPixelCnnRecipe(),
                    PixelCnnRecipe.published(),
                    new PixelCnnPlusPlusRecipe(),
                    new PixelRnnRecipe());

    private Recipes() {}

    /**
     * @throws JlatentException unless {@code name} is a model there is a recipe for
     */
    static Recipe of(String name) {
        return ALL.stream()
                .filter(recipe -> recipe.name().equals(name))
                .findFirst()
                .orElseThrow(
                        () ->
                                new JlatentException(
                                        "unknown model '" + name + "'; there are: " + names()));
    }

    static String names() {
        return ALL.stream().map(Recipe::name).collect(Collectors.joining(", "));
    }

    /** Every setting of every model, for the help. */
    static List<String> help() {
        List<String> lines = new ArrayList<>();
        for (Recipe recipe : ALL) {
            lines.add("of " + recipe.name() + ", " + recipe.meaning() + ":");
            lines.addAll(Settings.describe(recipe.ownKeys()));
        }
        lines.add("of all of them:");
        lines.addAll(Settings.describe(TrainingSettings.KEYS));
        lines.add("of the data:");
        lines.addAll(Settings.describe(DataSettings.KEYS));
        return lines;
    }
}
