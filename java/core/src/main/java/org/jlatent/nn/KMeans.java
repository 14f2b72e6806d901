package org.jlatent.nn;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.jlatent.EmbeddingOps;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.Tensor;
import org.jlatent.VectorQuantizeOps;
import org.jlatent.VectorQuantizeOps.Averages;
import org.jlatent.VectorQuantizeOps.Result;

/**
 * Centers of vectors: k-means++ [Arthur, Vassilvitskii 2007] and a few rounds of Lloyd's algorithm.
 *
 * <p>k-means++ takes rows as centers one by one, each with a probability proportional to its
 * squared distance to the nearest center so far. Here a round draws as many as there are centers
 * [in rounds as Bahmani et al. 2012], with the distances from before the round, and keeps a row
 * with the probability (its distance by now / that of before): such rejection leaves exactly the
 * draws that one by one would have made [Cohen-Addad et al. 2020], in about 2 log2(count) passes
 * over the rows.
 */
final class KMeans {
    private static final int LLOYD_ROUNDS = 10;

    private KMeans() {}

    /**
     * Where there are fewer distinct vectors than centers, each of them is a center, and the
     * remaining centers are rows drawn at random.
     *
     * @param scope owns the result
     * @param vectors {@code [rows, dims]}, at least one row
     * @param count of centers
     * @param seed the same seed and vectors give the same centers
     * @return {@code [count, dims]}
     */
    static Tensor centers(Scope scope, Tensor vectors, int count, long seed) {
        if (vectors.shape().get(0) == 0) {
            throw new ShapeException("k-means needs at least one vector, got " + vectors.shape());
        }
        try (Scope scratch = new Scope(scope.device())) {
            int[] rows = start(scratch, vectors, count, new SplittableRandom(seed));
            Tensor centers = gather(scope, vectors, rows);
            for (int round = 0; round < LLOYD_ROUNDS; round++) {
                scratch.clear();
                Averages means = Averages.of(scratch, centers.shape(), 0, 0, 0); // of one batch
                Result r = nearest(scratch, vectors, centers);
                VectorQuantizeOps.average(scratch, vectors, r.codes(), means, null, 0, centers);
            }
            return centers;
        }
    }

    /** The rows that k-means++ begins with. */
    private static int[] start(Scope scratch, Tensor vectors, int count, SplittableRandom random) {
        int rows = (int) vectors.shape().get(0);
        double[] distances = new double[rows]; // squared, to the nearest center so far
        Arrays.fill(distances, Double.POSITIVE_INFINITY);
        int[] centers = new int[count];
        centers[0] = random.nextInt(rows);
        int before = 0;
        int now = 1;
        while (now < count) {
            scratch.clear();
            Tensor added = gather(scratch, vectors, Arrays.copyOfRange(centers, before, now));
            float[] errors = nearest(scratch, vectors, added).rowErrors().toFloatArray();
            double[] sums = new double[rows];
            double sum = 0;
            for (int i = 0; i < rows; i++) {
                distances[i] = Math.min(distances[i], errors[i]);
                sums[i] = sum += distances[i];
            }
            before = now;
            if (sum == 0) { // every row is a center
                while (now < count) {
                    centers[now++] = random.nextInt(rows);
                }
            } else {
                int[] drawn = new int[Math.min(now, count - now)];
                for (int j = 0; j < drawn.length; j++) {
                    drawn[j] = firstAbove(sums, random.nextDouble() * sum);
                }
                float[] values = gather(scratch, vectors, drawn).toFloatArray();
                for (int j : accept(drawn, values, distances, random)) {
                    centers[now++] = j;
                }
            }
        }
        return centers;
    }

    /** The rows of a round that draws one by one would have taken, too; at least the first. */
    private static int[] accept(
            int[] drawn, float[] values, double[] distances, SplittableRandom random) {
        int dims = values.length / drawn.length;
        int[] kept = new int[drawn.length]; // positions in drawn
        int count = 0;
        for (int j = 0; j < drawn.length; j++) {
            double before = distances[drawn[j]];
            double byNow = before;
            for (int i = 0; i < count; i++) {
                byNow = Math.min(byNow, squaredDistance(values, kept[i] * dims, j * dims, dims));
            }
            if (count == 0 || random.nextDouble() * before < byNow) {
                kept[count++] = j;
            }
        }
        return Arrays.stream(kept, 0, count).map(j -> drawn[j]).toArray();
    }

    private static double squaredDistance(float[] values, int a, int b, int dims) {
        double sum = 0;
        for (int d = 0; d < dims; d++) {
            double difference = (double) values[a + d] - values[b + d];
            sum += difference * difference;
        }
        return sum;
    }

    /**
     * The first index with {@code sums[index] > value}; sums do not fall, and the last is above.
     */
    private static int firstAbove(double[] sums, double value) {
        int low = 0;
        int high = sums.length - 1;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (sums[middle] > value) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        return low;
    }

    private static Tensor gather(Scope scope, Tensor vectors, int[] rows) {
        return EmbeddingOps.forward(
                scope, vectors, scope.ofInts(Shape.of(rows.length), rows), null);
    }

    private static Result nearest(Scope scope, Tensor vectors, Tensor centers) {
        return VectorQuantizeOps.forward(scope, vectors, centers, null, null, null);
    }
}
