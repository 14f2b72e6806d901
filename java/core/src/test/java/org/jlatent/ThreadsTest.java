package org.jlatent;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jlatent.train.Adam;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Devices are independent of each other, and cost few native threads together. */
final class ThreadsTest {
    private static final int THREADS = 64;

    private static Tensor random(Scope scope, SplittableRandom random, long rows, long columns) {
        float[] values = new float[Math.toIntExact(rows * columns)];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextDouble();
        }
        return scope.of(Shape.of(rows, columns), values);
    }

    /** Three steps through all kinds of kernels, on a device of its own; sizes vary with seed. */
    private static List<float[]> compute(int seed) {
        SplittableRandom numbers = new SplittableRandom(seed);
        int rows = 90 + 7 * (seed % 8);
        int inner = 64 + seed % 5;
        int dims = 250 + 16 * (seed % 3);
        List<float[]> results = new ArrayList<>();
        try (Device device = Device.cpu();
                Scope owned = new Scope(device);
                Scope scratch = new Scope(device)) {
            Tensor x = random(owned, numbers, rows, inner);
            Tensor weight = random(owned, numbers, inner, dims);
            Tensor logVar = random(owned, numbers, rows, dims);
            Random random = new Random(owned, seed);
            Adam adam = new Adam(owned, Map.of("weight", weight), Adam.Options.defaults());
            for (int step = 0; step < 3; step++) {
                scratch.clear();
                Tape tape = new Tape(scratch);
                tape.watch(weight);
                Tensor mu = Ops.matmul(scratch, x, false, weight, false, null, Activation.IDENTITY);
                GaussianOps.Result sample =
                        GaussianOps.forward(
                                scratch,
                                Posterior.of(mu, logVar),
                                GaussianOps.Options.plain(),
                                random,
                                null,
                                null);
                LikelihoodOps.Result loss =
                        LikelihoodOps.nll(
                                scratch,
                                new LikelihoodOps.Options(
                                        LikelihoodOps.Distribution.BERNOULLI, false, 0),
                                sample.z(),
                                logVar,
                                null,
                                null,
                                true);
                tape.accumulate(
                        weight,
                        Ops.matmul(
                                scratch,
                                x,
                                true,
                                loss.dParameters(),
                                false,
                                null,
                                Activation.IDENTITY));
                adam.step(tape);
                random.advance();
                results.add(sample.klRows().toFloatArray());
                results.add(loss.nllRows().toFloatArray());
                results.add(loss.dParameters().toFloatArray());
            }
            results.add(weight.toFloatArray());
        }
        return results;
    }

    private static int nativeThreads() throws Exception {
        return Files.readAllLines(Path.of("/proc/self/status")).stream()
                .filter(line -> line.startsWith("Threads:"))
                .mapToInt(line -> Integer.parseInt(line.replaceAll("\\D", "")))
                .findFirst()
                .orElseThrow();
    }

    @Test
    @Timeout(120)
    void manyThreadsComputeWhatEachComputesAloneOnFewNativeThreads() throws Exception {
        List<List<float[]>> alone = new ArrayList<>();
        for (int seed = 0; seed < THREADS; seed++) {
            alone.add(compute(seed));
        }
        int before = nativeThreads();
        CyclicBarrier together = new CyclicBarrier(THREADS + 1);
        ExecutorService executor = Executors.newFixedThreadPool(THREADS);
        try {
            List<Future<List<float[]>>> futures = new ArrayList<>();
            for (int t = 0; t < THREADS; t++) {
                int seed = t;
                Callable<List<float[]>> work =
                        () -> {
                            together.await();
                            List<float[]> results = compute(seed);
                            together.await(); // alive until they are counted
                            together.await();
                            return results;
                        };
                futures.add(executor.submit(work));
            }
            together.await();
            together.await();
            int during = nativeThreads();
            together.await();
            for (int seed = 0; seed < THREADS; seed++) {
                List<float[]> results = futures.get(seed).get();
                for (int i = 0; i < results.size(); i++) {
                    assertArrayEquals(alone.get(seed).get(i), results.get(i));
                }
            }
            // Two libraries with five pools each at most; the JVM starts some threads of its own.
            int pools = 2 * (5 * (Runtime.getRuntime().availableProcessors() - 1) + 1);
            assertTrue(
                    during <= before + THREADS + pools + 16,
                    before + " native threads, then " + during);
        } finally {
            executor.shutdownNow();
        }
    }
}
