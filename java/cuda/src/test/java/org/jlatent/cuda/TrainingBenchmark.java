package org.jlatent.cuda;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.LongFunction;
import java.util.stream.Collectors;
import org.jlatent.Device;
import org.jlatent.Scope;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.models.Model;
import org.jlatent.models.Vae;
import org.jlatent.models.VaeConfig;
import org.jlatent.models.VqVae;
import org.jlatent.models.VqVaeConfig;
import org.jlatent.nn.Init;
import org.jlatent.nn.VectorQuantizerConfig;
import org.jlatent.train.Adam;
import org.jlatent.train.Callback;
import org.jlatent.train.Progress;
import org.jlatent.train.Trainer;

/**
 * Whole training steps on the GPU, through the trainer and with a batch from the host each: how
 * long they take, that more of them allocate nothing, and how far the losses are from the CPU's.
 */
final class TrainingBenchmark {
    private static final int NOISE_SEEDS = 3; // of runs on the CPU, which show what noise is
    private static final int CURVE_POINTS = 4;

    private final Path file;
    private final boolean small;
    private final int steps;
    private final int moreSteps;
    private final int windows;
    private final int curveSteps;

    /** How a model is made and trained. */
    private record Recipe(String name, ImageShape image, int batch, float rate, Maker maker) {}

    @FunctionalInterface
    private interface Maker {
        Model make(Init init, long seed);
    }

    /**
     * @param small tiny models and a few steps, to try the program itself
     */
    TrainingBenchmark(Path file, boolean small) {
        this.file = file;
        this.small = small;
        steps = small ? 3 : 200;
        moreSteps = small ? 4 : 1000;
        windows = small ? 1 : 5;
        curveSteps = small ? 4 : 200;
    }

    private List<Recipe> recipes() {
        ImageShape grey = new ImageShape(28, 28, 1);
        ImageShape colour = small ? new ImageShape(8, 8, 3) : new ImageShape(32, 32, 3);
        VaeConfig mlp = VaeConfig.defaults();
        VaeConfig conv = VaeConfig.convolutional();
        VqVaeConfig vq =
                VqVaeConfig.defaults()
                        .withInitialize(false)
                        .withQuantizer(VectorQuantizerConfig.defaults().withRevive(0));
        if (small) {
            mlp = mlp.withHidden(16).withLatent(4);
            conv = conv.withChannels(2, 4).withHidden(8).withLatent(4);
            vq =
                    vq.withHidden(8)
                            .withResidual(1, 4)
                            .withQuantizer(
                                    VectorQuantizerConfig.defaults()
                                            .withCodes(8)
                                            .withDims(4)
                                            .withRevive(0));
        }
        int batch = small ? 4 : 128;
        VaeConfig mlpConfig = mlp;
        VaeConfig convConfig = conv;
        VqVaeConfig vqConfig = vq;
        return List.of(
                new Recipe(
                        "MLP VAE 784-400-20, batch 128",
                        grey,
                        batch,
                        1e-3f,
                        (init, seed) -> new Vae(init, grey, mlpConfig, seed)),
                new Recipe(
                        "conv VAE 28x28, batch 128",
                        grey,
                        batch,
                        1e-3f,
                        (init, seed) -> new Vae(init, grey, convConfig, seed)),
                new Recipe(
                        "VQ-VAE 32x32x3, batch 32",
                        colour,
                        small ? 4 : 32,
                        3e-4f,
                        (init, seed) -> new VqVae(init, colour, vqConfig, seed)));
    }

    /**
     * Waves of random direction, length and phase, in memory: soft pictures that can be learned.
     * Past {@link #MOST_IMAGES} they come again.
     */
    private static final class Waves implements ImageSet {
        private static final int MOST_IMAGES = 4096;

        private final int size;
        private final ImageShape shape;
        private final float[][] images;

        Waves(int size, ImageShape shape) {
            this.size = size;
            this.shape = shape;
            images = new float[Math.min(size, MOST_IMAGES)][shape.values()];
            java.util.Random random = new java.util.Random(1);
            for (float[] image : images) {
                double[] phase = random.doubles(shape.channels(), 0, 2 * Math.PI).toArray();
                double x = random.nextGaussian() * 6 / shape.width();
                double y = random.nextGaussian() * 6 / shape.height();
                for (int i = 0; i < image.length; i++) {
                    int column = i / shape.channels() % shape.width();
                    int row = i / shape.channels() / shape.width();
                    double at = x * column + y * row;
                    image[i] = (float) (0.5 + 0.5 * Math.sin(at + phase[i % shape.channels()]));
                }
            }
        }

        @Override
        public String name() {
            return "waves";
        }

        @Override
        public int size() {
            return size;
        }

        @Override
        public ImageShape shape() {
            return shape;
        }

        @Override
        public void read(int index, float[] destination, int offset) {
            float[] image = images[index % images.length];
            System.arraycopy(image, 0, destination, offset, image.length);
        }
    }

    // ---- how long a step takes, and what it allocates ----

    private static Trainer trainer(Recipe recipe, Model model, ImageSet images, long seed) {
        return Trainer.of(model)
                .data(images)
                .batchSize(recipe.batch)
                .seed(seed)
                .optimizer(Adam.Options.defaults().withLearningRate(recipe.rate));
    }

    /** Trains for as many steps; nanoseconds. {@code train} returns when all of them are done. */
    private static long train(Recipe recipe, Model model, ImageSet images, int steps) {
        Trainer trainer = trainer(recipe, model, images, 1).steps(steps);
        long start = System.nanoTime();
        trainer.train();
        return System.nanoTime() - start;
    }

    /**
     * What starts and ends a run falls out of the difference between a long run and a short one.
     */
    private String stepTimes(Recipe recipe, ImageSet images, Device device) {
        try (Scope scope = new Scope(device)) {
            Model model = recipe.maker.make(new Init(scope, 1), 1);
            train(recipe, model, images, steps);
            double[] us = new double[windows];
            for (int i = 0; i < us.length; i++) {
                long once = train(recipe, model, images, steps);
                us[i] = (train(recipe, model, images, 2 * steps) - once) / (1e3 * steps);
            }
            Arrays.sort(us);
            long before = device.allocations();
            train(recipe, model, images, steps);
            long between = device.allocations();
            train(recipe, model, images, steps + moreSteps);
            long allocations = device.allocations() - between - (between - before);
            return String.format(
                    Locale.ROOT,
                    "\"us\": %.2f, \"least\": %.2f, \"most\": %.2f, \"windows\": %d, \"steps\": %d, "
                            + "\"allocations\": %d, \"more_steps\": %d",
                    us[windows / 2],
                    us[0],
                    us[windows - 1],
                    windows,
                    steps,
                    allocations,
                    moreSteps);
        }
    }

    // ---- the losses beside the CPU's ----

    private double[] curve(Recipe recipe, ImageSet images, Device device, long seed) {
        List<Double> losses = new ArrayList<>();
        try (device;
                Scope scope = new Scope(device)) {
            trainer(recipe, recipe.maker.make(new Init(scope, seed), seed), images, seed)
                    .steps(curveSteps)
                    .callback(
                            new Callback() {
                                @Override
                                public void onEpoch(Progress progress) {
                                    losses.add(progress.metrics().get("loss"));
                                }
                            })
                    .train();
        }
        return losses.stream().mapToDouble(Double::doubleValue).toArray();
    }

    /**
     * The last means of the loss, with one seed on both, and with other seeds on the CPU: what they
     * are apart is noise.
     */
    private String losses(Recipe recipe, ImageSet images, LongFunction<double[]> cpu) {
        double[] same = cpu.apply(1);
        double[] cuda = curve(recipe, images, Device.cuda(), 1);
        double last = same[same.length - 1];
        double least = last;
        double most = last;
        for (long seed = 2; seed <= NOISE_SEEDS; seed++) {
            double[] other = cpu.apply(seed);
            least = Math.min(least, other[other.length - 1]);
            most = Math.max(most, other[other.length - 1]);
        }
        return String.format(
                Locale.ROOT,
                "\"cpu\": %s, \"cuda\": %s, \"apart\": %.3g, \"noise\": %.3g",
                json(same),
                json(cuda),
                Math.abs(cuda[cuda.length - 1] - last) / Math.abs(last),
                (most - least) / Math.abs(last));
    }

    private static String json(double[] values) {
        return Arrays.stream(values)
                .mapToObj(v -> String.format(Locale.ROOT, "%.6g", v))
                .collect(Collectors.joining(", ", "[", "]"));
    }

    // ---- all of it ----

    private void write(String name, String what, String rest) {
        String line = "{\"name\": \"" + name + "\", \"what\": \"" + what + "\", " + rest + "}";
        System.out.println(line);
        try {
            Files.writeString(
                    file, line + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    void run() throws IOException {
        Files.deleteIfExists(file);
        List<Recipe> recipes = recipes();
        for (Recipe recipe : recipes) {
            // One epoch for the longest run: what ends an epoch is no part of a step.
            ImageSet images = new Waves((steps + moreSteps) * recipe.batch, recipe.image);
            for (boolean tf32 : new boolean[] {false, true}) {
                try (Device device = Cuda.open(CudaOptions.defaults().withTf32(tf32))) {
                    String what = tf32 ? "step tf32" : "step";
                    write(recipe.name, what, stepTimes(recipe, images, device));
                }
            }
        }
        for (Recipe recipe : recipes) {
            ImageSet images = new Waves(curveSteps / CURVE_POINTS * recipe.batch, recipe.image);
            write(
                    recipe.name,
                    "loss",
                    losses(recipe, images, seed -> curve(recipe, images, Device.cpu(), seed)));
        }
    }

    public static void main(String[] args) throws IOException {
        boolean small = args.length == 2 && args[1].equals("small");
        if (args.length != 1 && !small) {
            System.err.println("usage: TrainingBenchmark FILE [small]");
            System.exit(2);
        }
        Optional<String> cause = Cuda.unavailabilityCause();
        if (cause.isPresent()) {
            System.err.println("CUDA is not available: " + cause.get());
            System.exit(1);
        }
        new TrainingBenchmark(Path.of(args[0]), small).run();
    }
}
