package org.jlatent.bench;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.jlatent.data.Augmentation;
import org.jlatent.data.Batches;
import org.jlatent.data.Idx;
import org.jlatent.data.ImageSet;
import org.jlatent.data.Loader;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Images a second that a loader gives to a consumer that does nothing else: batches of 128 of as
 * many images as MNIST has, of its size, shuffled over all of them, the random reads that they are
 * in training. Random bytes: what a value is makes no difference to reading it.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Fork(2)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class LoaderBenchmark {
    private static final int BATCH = 128;
    private static final int IMAGES = 60_000;
    private static final int SIDE = 28;

    /** What is done to each image besides reading it. */
    @Param({"none", "binarize", "dequantize", "flip+pad"})
    public String augmentation;

    private Path file;
    private ImageSet images;
    private Loader loader;

    @Setup
    public void makeImages() throws IOException {
        byte[] pixels = new byte[IMAGES * SIDE * SIDE];
        new SplittableRandom(1).nextBytes(pixels);
        ByteBuffer idx = ByteBuffer.allocate(16 + pixels.length);
        idx.putInt(2051).putInt(IMAGES).putInt(SIDE).putInt(SIDE).put(pixels);
        file = Files.createTempFile("loader", ".idx");
        Files.write(file, idx.array());
        images = Idx.images("random", file, null);
    }

    @Setup(Level.Iteration)
    public void open() {
        Augmentation changes =
                switch (augmentation) {
                    case "binarize" -> new Augmentation(false, 0, false, true);
                    case "dequantize" -> new Augmentation(false, 0, true, false);
                    case "flip+pad" -> new Augmentation(true, 4, false, false);
                    default -> Augmentation.NONE;
                };
        loader = new Loader(images, new Batches(IMAGES, BATCH, 1), changes, 1, 1, 0);
    }

    @TearDown(Level.Iteration)
    public void close() {
        loader.close();
    }

    @TearDown
    public void deleteImages() throws IOException {
        Files.delete(file);
    }

    /** The score is in images: the last batch of an epoch, 96, counts as a whole one. */
    @Benchmark
    @OperationsPerInvocation(BATCH)
    public float next() {
        Loader.Batch batch = loader.next();
        return batch.values()[batch.values().length - 1];
    }
}
