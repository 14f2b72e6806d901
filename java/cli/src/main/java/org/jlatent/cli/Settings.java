package org.jlatent.cli;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jlatent.Activation;
import org.jlatent.JlatentException;

/**
 * The keys of {@code --set key=value}: each with a default, a range and a meaning. Kept as text in
 * {@code config.json}.
 */
final class Settings {
    static final List<String> SWITCH = List.of("off", "on");

    /**
     * @param <T> type of the value
     */
    record Key<T>(String name, String initial, String meaning, Function<String, T> parser) {
        Key<T> withInitial(String other) {
            return new Key<>(name, other, meaning, parser);
        }
    }

    private final Map<String, Key<?>> keys;
    private final Map<String, String> values = new LinkedHashMap<>();

    Settings(List<Key<?>> keys) {
        this.keys =
                keys.stream()
                        .collect(
                                Collectors.toMap(
                                        Key::name, k -> k, (a, b) -> a, LinkedHashMap::new));
        keys.forEach(key -> values.put(key.name, key.initial));
    }

    /** Takes over given values; each is checked at once. */
    Settings with(Map<String, String> given) {
        given.forEach(
                (name, value) -> {
                    Key<?> key = keys.get(name);
                    if (key == null) {
                        throw new JlatentException(
                                "unknown setting '"
                                        + name
                                        + "'; there are: "
                                        + String.join(", ", keys.keySet()));
                    }
                    if (value == null) {
                        throw new JlatentException("setting " + name + " has no value");
                    }
                    parse(key, value);
                    values.put(name, value);
                });
        return this;
    }

    <T> T get(Key<T> key) {
        return parse(key, values.get(key.name));
    }

    Map<String, String> toMap() {
        return new LinkedHashMap<>(values);
    }

    /** One line a key, for the help. */
    static List<String> describe(List<Key<?>> keys) {
        List<String> lines = new ArrayList<>();
        keys.forEach(
                k ->
                        lines.add(
                                String.format(
                                        Locale.ROOT,
                                        "  %-18s %s [%s]",
                                        k.name,
                                        k.meaning,
                                        k.initial)));
        return lines;
    }

    private static <T> T parse(Key<T> key, String value) {
        try {
            return key.parser.apply(value.strip());
        } catch (NumberFormatException e) {
            throw new JlatentException(
                    "setting " + key.name + ": '" + value + "' is not a number that it takes");
        } catch (IllegalArgumentException e) {
            throw new JlatentException("setting " + key.name + ": " + e.getMessage());
        }
    }

    // ---- kinds of values ----

    static Key<Integer> integer(String name, int initial, int min, String meaning) {
        return new Key<>(
                name,
                Integer.toString(initial),
                meaning,
                text -> {
                    int value = Integer.parseInt(text);
                    if (value < min) {
                        throw new IllegalArgumentException(
                                "must be at least " + min + ", got " + text);
                    }
                    return value;
                });
    }

    static Key<Float> number(String name, String initial, double min, double max, String meaning) {
        return new Key<>(
                name,
                initial,
                meaning,
                text -> {
                    double value = Double.parseDouble(text);
                    if (!(value >= min && value <= max)) {
                        throw new IllegalArgumentException(
                                "must be from " + min + " to " + max + ", got " + text);
                    }
                    return (float) value;
                });
    }

    static Key<int[]> widths(String name, String initial, String meaning) {
        return new Key<>(
                name,
                initial,
                meaning,
                text ->
                        text.isEmpty()
                                ? new int[0]
                                : Arrays.stream(text.split("[-,x]", -1))
                                        .mapToInt(
                                                part -> {
                                                    int width = Integer.parseInt(part);
                                                    if (width < 1) {
                                                        throw new IllegalArgumentException(
                                                                "needs layers of at least 1 unit, got "
                                                                        + text);
                                                    }
                                                    return width;
                                                })
                                        .toArray());
    }

    static Key<String> choice(String name, String initial, List<String> choices, String meaning) {
        return new Key<>(
                name,
                initial,
                meaning + " (" + String.join(", ", choices) + ")",
                text -> {
                    if (!choices.contains(text)) {
                        throw new IllegalArgumentException(
                                "must be one of " + String.join(", ", choices) + ", got " + text);
                    }
                    return text;
                });
    }

    static Key<Activation> activation(String name, Activation initial, String meaning) {
        List<String> names =
                Arrays.stream(Activation.values())
                        .map(a -> a.name().toLowerCase(Locale.ROOT))
                        .toList();
        Key<String> key = choice(name, initial.name().toLowerCase(Locale.ROOT), names, meaning);
        return new Key<>(
                name,
                key.initial,
                key.meaning,
                text -> Activation.valueOf(key.parser.apply(text).toUpperCase(Locale.ROOT)));
    }
}
