package org.jlatent.models;

import java.util.Locale;
import java.util.Optional;
import org.jlatent.nn.CodebookHealth;
import org.jlatent.nn.LookupFreeQuantizer;
import org.jlatent.nn.Quantizer;
import org.jlatent.nn.VectorQuantizer;

/** What to say of a quantizer of which few codes are in use, and what helps. */
final class UsageWarning {
    private static final double LOW_USAGE = 0.2;

    private UsageWarning() {}

    /**
     * @param of which codes: {@code " of the top map"}
     * @param initialized whether its codebook started from vectors of training images
     */
    static Optional<String> of(Quantizer quantizer, String of, boolean initialized) {
        CodebookHealth health = quantizer.health();
        boolean any = health.perplexity() > 0; // none, and there is nothing to tell
        if (!any || health.usage() >= LOW_USAGE) {
            return Optional.empty();
        }
        return Optional.of(
                String.format(
                        Locale.ROOT,
                        "only %.0f %% of the %d codes%s are in use: %s",
                        100 * health.usage(),
                        health.codes(),
                        of,
                        remedy(quantizer, initialized)));
    }

    private static String remedy(Quantizer quantizer, boolean initialized) {
        if (quantizer instanceof VectorQuantizer vq && vq.config().revive() == 0) {
            return "revive dead ones (revive above 0, such as 0.05)";
        }
        if (quantizer instanceof VectorQuantizer && !initialized) {
            return "start the codebook from training images (initialize)";
        }
        if (quantizer instanceof LookupFreeQuantizer) {
            return "raise the weight of the entropy penalty, or use fewer bits";
        }
        return "use fewer codes, or a lower learning rate";
    }
}
