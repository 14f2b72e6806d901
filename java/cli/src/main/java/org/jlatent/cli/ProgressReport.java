package org.jlatent.cli;

import java.io.PrintWriter;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import me.tongfei.progressbar.DelegatingProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jlatent.train.Callback;
import org.jlatent.train.Progress;

/** A progress bar on a terminal, and a line an epoch everywhere. */
final class ProgressReport implements Callback, AutoCloseable {
    private final PrintWriter err;
    private final boolean terminal = Terminal.isInteractive();
    private ProgressBar bar;

    ProgressReport(PrintWriter err) {
        this.err = err;
    }

    @Override
    public void onStep(Progress p) {
        if (!terminal) {
            return;
        }
        if (bar == null) {
            bar =
                    new ProgressBarBuilder()
                            .setInitialMax(p.steps())
                            .setTaskName("step")
                            .setStyle(ProgressBarStyle.ASCII)
                            .setConsumer(
                                    new DelegatingProgressBarConsumer(
                                            line -> {
                                                err.print('\r' + line);
                                                err.flush();
                                            }))
                            .build();
        }
        bar.stepTo(p.step());
        Double perplexity = p.metrics().get("batch_perplexity");
        bar.setExtraMessage(
                "loss "
                        + number(p.metrics().get("loss"))
                        + (perplexity == null ? "" : ", perplexity " + number(perplexity)));
    }

    @Override
    public void onEpoch(Progress p) {
        if (bar != null) {
            err.print('\r');
        }
        err.printf(
                Locale.ROOT,
                "epoch %d, step %d/%d: %s%s, %,.0f images/s%n",
                p.epoch(),
                p.step(),
                p.steps(),
                line(p.metrics()),
                p.validation().isEmpty() ? "" : " | validation " + line(p.validation()),
                p.imagesPerSecond());
    }

    private static String line(Map<String, Double> values) {
        return values.entrySet().stream()
                .map(e -> e.getKey() + " " + number(e.getValue()))
                .collect(Collectors.joining(", "));
    }

    /** Losses of whole images are large, those of a value small, and some figures are counts. */
    private static String number(double value) {
        String format = value == Math.rint(value) ? "%.0f" : Math.abs(value) < 1 ? "%.4f" : "%.2f";
        return String.format(Locale.ROOT, format, value);
    }

    @Override
    public void close() {
        if (bar != null) {
            bar.close();
            err.println();
        }
    }
}
