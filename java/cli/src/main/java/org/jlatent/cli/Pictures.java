package org.jlatent.cli;

import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;
import org.jlatent.io.AtomicFile;
import org.jlatent.io.ImageGrid;
import org.jlatent.models.AutoregressiveModel.Draws;
import org.jlatent.models.Condition;
import org.jlatent.models.GenerativeModel;
import org.jlatent.models.LatentModel;
import org.jlatent.models.VariationalModel;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** The pictures of a run folder. */
final class Pictures {
    private static final int COLUMNS = 8;
    private static final int BATCH = 256;
    private static final Set<String> CODE_COUNTS =
            Set.of("perplexity", "batch_perplexity", "dead", "revived");
    private static final String USAGE = "usage";

    private Pictures() {}

    /**
     * Draws images, in a square-ish grid.
     *
     * @param label class of all of them; null: all classes in turn, where there are any
     */
    static void samples(GenerativeModel model, int count, Integer label, Draws draws, Path file) {
        int classes = model.classes();
        int[] labels =
                IntStream.range(0, count)
                        .map(i -> label == null ? i % Math.max(1, classes) : label)
                        .toArray();
        Condition condition = classes == 0 ? Condition.none() : Condition.ofLabels(labels);
        float[] images = model.sample(count, condition, draws);
        ImageGrid.of(images, model.image()).columns((int) Math.ceil(Math.sqrt(count))).write(file);
    }

    /** What the encoder sees of images from all over a set, each with its reconstruction below. */
    static void reconstructions(
            LatentModel model, ImageSet images, int count, long seed, Path file) {
        float[] originals = spread(images, count);
        try (Scope scope = new Scope(model.device())) {
            Tensor seen = model.seen(scope, batch(scope, model, originals), seed);
            ImageGrid.of(seen.toFloatArray(), model.image())
                    .below(model.reconstruct(scope, seen))
                    .columns(COLUMNS)
                    .write(file);
        }
    }

    /**
     * A row for each pair of neighbours: the first image, what the decoder makes of codes between
     * theirs in even steps, the second image.
     *
     * @param rows at most one less than there are images
     */
    static void interpolations(LatentModel model, ImageSet images, int rows, int steps, Path file) {
        float[] originals = spread(images, rows + 1);
        int values = model.image().values();
        int latent = model.latent();
        try (Scope scope = new Scope(model.device())) {
            float[] codes = model.code(scope, batch(scope, model, originals)).toFloatArray();
            float[] between = new float[rows * steps * latent];
            for (int i = 0; i < between.length; i++) {
                int row = i / latent / steps;
                float t = (float) (i / latent % steps) / (steps - 1);
                int first = row * latent + i % latent;
                between[i] = (1 - t) * codes[first] + t * codes[first + latent];
            }
            float[] decoded =
                    model.images(scope, scope.of(Shape.of((long) rows * steps, latent), between));
            int columns = steps + 2;
            float[] grid = new float[rows * columns * values];
            List<String> labels = new ArrayList<>(List.of("image"));
            for (int row = 0; row < rows; row++) {
                int start = row * columns * values;
                int length = steps * values;
                System.arraycopy(originals, row * values, grid, start, values);
                System.arraycopy(decoded, row * length, grid, start + values, length);
                System.arraycopy(
                        originals, (row + 1) * values, grid, start + values + length, values);
            }
            for (int step = 0; step < steps; step++) {
                labels.add(String.format(Locale.ROOT, "%.2f", (double) step / (steps - 1)));
            }
            labels.add("image");
            ImageGrid.of(grid, model.image()).columns(columns).columnLabels(labels).write(file);
        }
    }

    /**
     * A row for each of the latent dimensions that vary most over the images: what the decoder
     * makes of one image's code as that dimension goes from -span to span. An autoencoder's
     * dimensions have scales of their own: there the unit is the standard deviation over the
     * images, around their mean.
     */
    static void traversals(
            LatentModel model,
            ImageSet images,
            int image,
            int rows,
            int steps,
            double span,
            Path file) {
        int latent = model.latent();
        Spread spread = Spread.of(model.features(images, BATCH), latent);
        int[] dims = spread.largestFirst();
        try (Scope scope = new Scope(model.device())) {
            float[] original = new float[images.dimensions()];
            images.read(image, original, 0);
            float[] code = model.code(scope, batch(scope, model, original)).toFloatArray();
            float[] codes = new float[rows * steps * latent];
            List<String> rowLabels = new ArrayList<>();
            for (int row = 0; row < rows; row++) {
                rowLabels.add("z" + dims[row]);
                for (int step = 0; step < steps; step++) {
                    int at = (row * steps + step) * latent;
                    System.arraycopy(code, 0, codes, at, latent);
                    double units = along(step, steps, span);
                    codes[at + dims[row]] =
                            (float)
                                    (model instanceof VariationalModel
                                            ? units
                                            : spread.means[dims[row]]
                                                    + units * spread.deviations[dims[row]]);
                }
            }
            List<String> columnLabels = new ArrayList<>();
            for (int step = 0; step < steps; step++) {
                columnLabels.add(String.format(Locale.ROOT, "%.2f", along(step, steps, span)));
            }
            ImageGrid.of(
                            model.images(
                                    scope, scope.of(Shape.of((long) rows * steps, latent), codes)),
                            model.image())
                    .columns(steps)
                    .rowLabels(rowLabels)
                    .columnLabels(columnLabels)
                    .write(file);
        }
    }

    private static double along(int step, int steps, double span) {
        return span * (2.0 * step / (steps - 1) - 1);
    }

    /** Of each latent dimension over a set's codes. */
    private record Spread(double[] means, double[] deviations) {
        static Spread of(float[] codes, int latent) {
            double[] means = new double[latent];
            double[] squares = new double[latent];
            double n = (double) codes.length / latent;
            for (int i = 0; i < codes.length; i++) {
                means[i % latent] += codes[i] / n;
                squares[i % latent] += (double) codes[i] * codes[i] / n;
            }
            for (int d = 0; d < latent; d++) {
                squares[d] = Math.sqrt(Math.max(0, squares[d] - means[d] * means[d]));
            }
            return new Spread(means, squares);
        }

        int[] largestFirst() {
            return IntStream.range(0, deviations.length)
                    .boxed()
                    .sorted(Comparator.comparingDouble(d -> -deviations[d]))
                    .mapToInt(Integer::intValue)
                    .toArray();
        }
    }

    /** Some sets are sorted by class: images in even steps from the first on. */
    private static float[] spread(ImageSet images, int count) {
        int dims = images.dimensions();
        float[] values = new float[count * dims];
        for (int i = 0; i < count; i++) {
            images.read((int) ((long) i * images.size() / count), values, i * dims);
        }
        return values;
    }

    private static Tensor batch(Scope scope, LatentModel model, float[] images) {
        int values = model.image().values();
        return scope.of(Shape.of(images.length / values, values), images);
    }

    /**
     * The curves of an epoch's figures, {@code rows} by metric, training and validation: losses,
     * and below them, where there are any, what counts codes.
     */
    static void curves(
            List<Map<String, Double>> training,
            List<Map<String, Double>> validation,
            String unit,
            Path file) {
        XYChart losses = chart("Training", unit);
        XYChart codes = chart("Codes", "codes");
        double[] epochs = IntStream.rangeClosed(1, training.size()).asDoubleStream().toArray();
        for (String metric : training.get(0).keySet()) {
            String kind = metric.replaceFirst("^(top|middle|bottom)_", "");
            if (CODE_COUNTS.contains(kind)) {
                add(codes, metric, epochs, training, metric);
            } else if (!kind.equals(USAGE)) { // a part, not a number: "dead" says the same
                add(losses, metric, epochs, training, metric);
            }
        }
        if (!validation.get(0).isEmpty()) {
            add(losses, "loss, validation", epochs, validation, "loss");
        }
        BufferedImage image =
                codes.getSeriesMap().isEmpty()
                        ? BitmapEncoder.getBufferedImage(losses)
                        : stacked(
                                BitmapEncoder.getBufferedImage(losses),
                                BitmapEncoder.getBufferedImage(codes));
        AtomicFile.write(file, out -> ImageIO.write(image, "png", out));
    }

    private static XYChart chart(String title, String unit) {
        XYChart chart =
                new XYChartBuilder()
                        .width(900)
                        .height(540)
                        .title(title)
                        .xAxisTitle("epoch")
                        .yAxisTitle(unit)
                        .build();
        chart.getStyler()
                .setLegendPosition(LegendPosition.InsideNE)
                .setChartBackgroundColor(Color.WHITE);
        return chart;
    }

    private static BufferedImage stacked(BufferedImage above, BufferedImage below) {
        BufferedImage both =
                new BufferedImage(
                        above.getWidth(),
                        above.getHeight() + below.getHeight(),
                        BufferedImage.TYPE_INT_RGB);
        Graphics2D pen = both.createGraphics();
        pen.drawImage(above, 0, 0, null);
        pen.drawImage(below, 0, above.getHeight(), null);
        pen.dispose();
        return both;
    }

    private static void add(
            XYChart chart,
            String name,
            double[] epochs,
            List<Map<String, Double>> rows,
            String metric) {
        double[] values = rows.stream().mapToDouble(row -> row.get(metric)).toArray();
        chart.addSeries(name.replace('_', ' '), epochs, values)
                .setMarker(epochs.length == 1 ? SeriesMarkers.CIRCLE : SeriesMarkers.NONE);
    }
}
