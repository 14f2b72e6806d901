package org.jlatent.cli;

import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jlatent.models.VaeEvaluation;
import picocli.CommandLine;

/** What a command found out: a table for people, or one line of JSON. */
final class Results {
    private final Map<String, Object> values = new LinkedHashMap<>();

    /**
     * @param bound whether {@code nll} was estimated with enough samples to be worth printing
     */
    static Results of(VaeEvaluation e, boolean bound) {
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

    Results put(String name, Object value) {
        values.put(name, value instanceof Double d ? Math.round(d * 1e6) / 1e6 : value);
        return this;
    }

    static void print(CommandLine line, boolean json, Results results) {
        PrintWriter out = line.getOut();
        if (json) {
            out.println(RunFolder.jsonLine(results.values));
        } else {
            results.values.forEach((name, value) -> out.printf("%-18s %s%n", name, value));
        }
        out.flush();
    }
}
