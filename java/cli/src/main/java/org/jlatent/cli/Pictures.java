package org.jlatent.cli;

import java.awt.Color;
import java.awt.image.BufferedImage;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;
import org.jlatent.io.AtomicFile;
import org.jlatent.io.ImageGrid;
import org.jlatent.models.Vae;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** The pictures of a run folder. */
final class Pictures {
    private static final int COLUMNS = 8;
    private static final long SAMPLE_SEED = 0;

    private Pictures() {}

    /** Draws from the prior, in a square-ish grid. */
    static void samples(Vae vae, RunFolder.Config config, int count, long seed, Path file) {
        try (Scope scope = new Scope(device(vae))) {
            float[] images = vae.sample(scope, count, seed);
            int columns = (int) Math.ceil(Math.sqrt(count));
            ImageGrid.write(
                    file, images, config.height(), config.width(), config.channels(), columns);
        }
    }

    static void samples(Vae vae, RunFolder.Config config, int count, Path file) {
        samples(vae, config, count, SAMPLE_SEED, file);
    }

    /** The first images of a set, each with its reconstruction below. */
    static void reconstructions(
            Vae vae, RunFolder.Config config, ImageSet images, int count, Path file) {
        int n = Math.min(count, images.size());
        int dims = images.dimensions();
        float[] originals = new float[n * dims];
        for (int i = 0; i < n; i++) {
            images.read(
                    (int) ((long) i * images.size() / n),
                    originals,
                    i * dims); // spread: some sets are sorted
        }
        try (Scope scope = new Scope(device(vae))) {
            Tensor x = scope.of(Shape.of(n, dims), originals);
            float[] reconstructed = vae.reconstruct(scope, x);
            ImageGrid.writePairs(
                    file,
                    originals,
                    reconstructed,
                    config.height(),
                    config.width(),
                    config.channels(),
                    COLUMNS);
        }
    }

    /** The curves of an epoch's means: {@code rows} by metric, training and validation. */
    static void curves(
            List<Map<String, Double>> training, List<Map<String, Double>> validation, Path file) {
        XYChart chart =
                new XYChartBuilder()
                        .width(900)
                        .height(540)
                        .title("Training")
                        .xAxisTitle("epoch")
                        .yAxisTitle("nats an image")
                        .build();
        chart.getStyler()
                .setLegendPosition(LegendPosition.InsideNE)
                .setChartBackgroundColor(Color.WHITE);
        double[] epochs = new double[training.size()];
        for (int i = 0; i < epochs.length; i++) {
            epochs[i] = i + 1;
        }
        for (String metric : training.get(0).keySet()) {
            add(chart, metric, epochs, training, metric);
        }
        if (!validation.get(0).isEmpty()) {
            add(chart, "loss, validation", epochs, validation, "loss");
        }
        BufferedImage image = BitmapEncoder.getBufferedImage(chart);
        AtomicFile.write(file, out -> ImageIO.write(image, "png", out));
    }

    private static void add(
            XYChart chart,
            String name,
            double[] epochs,
            List<Map<String, Double>> rows,
            String metric) {
        double[] values = rows.stream().mapToDouble(row -> row.get(metric)).toArray();
        chart.addSeries(name, epochs, values)
                .setMarker(epochs.length == 1 ? SeriesMarkers.CIRCLE : SeriesMarkers.NONE);
    }

    private static org.jlatent.Device device(Vae vae) {
        return vae.parameters().values().iterator().next().device();
    }
}
