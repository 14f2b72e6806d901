package org.jlatent.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jlatent.train.Callback;
import org.jlatent.train.Progress;

/** Keeps every epoch's means, for {@code metrics.csv} and {@code curves.png}. */
final class Metrics implements Callback {
    private final List<Progress> epochs = new ArrayList<>();

    /** Goes on where a run stood. */
    void resume(List<Progress> history) {
        epochs.addAll(history);
    }

    @Override
    public void onEpoch(Progress progress) {
        // A run that ended within this epoch and now goes on has a row of it already.
        epochs.removeIf(earlier -> earlier.epoch() == progress.epoch());
        epochs.add(progress);
    }

    void write(RunFolder run) {
        Progress first = epochs.get(0);
        String header =
                Stream.concat(
                                Stream.of("epoch", "step", "images_per_second"),
                                Stream.concat(
                                        first.metrics().keySet().stream(),
                                        first.validation().keySet().stream()
                                                .map(name -> "validation_" + name)))
                        .collect(Collectors.joining(",", "", "\n"));
        String rows = epochs.stream().map(Metrics::row).collect(Collectors.joining());
        run.write("metrics.csv", header + rows);
        List<Map<String, Double>> training = epochs.stream().map(Progress::metrics).toList();
        List<Map<String, Double>> validation = epochs.stream().map(Progress::validation).toList();
        Pictures.curves(
                training, validation, run.recipe().unit(), run.path().resolve("curves.png"));
    }

    private static String row(Progress p) {
        return Stream.concat(
                        Stream.of(p.epoch(), p.step(), Math.round(p.imagesPerSecond())),
                        Stream.concat(
                                p.metrics().values().stream(), p.validation().values().stream()))
                .map(Object::toString)
                .collect(Collectors.joining(",", "", "\n"));
    }
}
