package org.jlatent.cli;

import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.Map;
import picocli.CommandLine;

/** What a command found out: a table for people, or one line of JSON. */
final class Results {
    private final Map<String, Object> values = new LinkedHashMap<>();

    Results put(String name, Object value) {
        values.put(name, value instanceof Double d ? rounded(d) : value);
        return this;
    }

    /** To six places; what has none of them stays as it is. */
    private static double rounded(double value) {
        return Math.abs(value) < 1e9 ? Math.round(value * 1e6) / 1e6 : value;
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
