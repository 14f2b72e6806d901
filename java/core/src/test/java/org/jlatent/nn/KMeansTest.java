package org.jlatent.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.jlatent.Device;
import org.jlatent.EmbeddingOps;
import org.jlatent.OnEveryDevice;
import org.jlatent.Ops;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.Tensor;
import org.jlatent.TestDevice;
import org.jlatent.VectorQuantizeOps;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@OnEveryDevice
final class KMeansTest {
    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);
    private final Random random = new Random(11);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    /** Rows about the points of a grid, each at a distance of 10 from its neighbours. */
    private Tensor clusters(int side, int rowsEach, double spread) {
        int rows = side * side * rowsEach;
        float[] values = new float[2 * rows];
        for (int i = 0; i < rows; i++) {
            int cluster = i % (side * side);
            values[2 * i] = (float) (10 * (cluster % side) + spread * random.nextGaussian());
            values[2 * i + 1] = (float) (10 * (cluster / side) + spread * random.nextGaussian());
        }
        return scope.of(Shape.of(rows, 2), values);
    }

    private double distortion(Tensor vectors, Tensor centers) {
        return VectorQuantizeOps.forward(scope, vectors, centers, null, null, null)
                .codebookLoss()
                .item();
    }

    @Test
    @Tag("slow-on-stubs")
    void everyWellSeparatedClusterGetsACenter() {
        for (int seed = 0; seed < 20; seed++) {
            Tensor centers = KMeans.centers(scope, clusters(7, 30, 0.1), 49, seed);
            Set<List<Integer>> points = new HashSet<>();
            float[] values = centers.toFloatArray();
            for (int k = 0; k < 49; k++) {
                int x = Math.round(values[2 * k] / 10);
                int y = Math.round(values[2 * k + 1] / 10);
                assertEquals(10 * x, values[2 * k], 0.2, "seed " + seed);
                assertEquals(10 * y, values[2 * k + 1], 0.2, "seed " + seed);
                points.add(List.of(x, y));
            }
            assertEquals(49, points.size(), "seed " + seed);
        }
    }

    @Test
    @Tag("slow-on-stubs")
    void beatsLloydsAlgorithmFromRandomRows() {
        Tensor vectors = clusters(6, 40, 0.3);
        double ours = distortion(vectors, KMeans.centers(scope, vectors, 36, 1));
        for (int trial = 0; trial < 5; trial++) {
            int[] rows = random.ints(36, 0, 36 * 40).toArray();
            Tensor centers =
                    EmbeddingOps.forward(scope, vectors, scope.ofInts(Shape.of(36), rows), null);
            for (int round = 0; round < 10; round++) {
                VectorQuantizeOps.Averages means =
                        VectorQuantizeOps.Averages.of(scope, centers.shape(), 0, 0, 0);
                Tensor codes =
                        VectorQuantizeOps.forward(scope, vectors, centers, null, null, null)
                                .codes();
                VectorQuantizeOps.average(scope, vectors, codes, means, null, 0, centers);
            }
            double others = distortion(vectors, centers);
            assertTrue(ours < 0.5 * others, ours + " and " + others);
        }
        assertEquals(0.09, ours, 0.01); // the clusters' own variance
    }

    @Test
    void centersAreTheMeansOfTheirRows() {
        Tensor vectors = clusters(2, 50, 0.5);
        float[] mean = Ops.mean(scope, vectors, 0).toFloatArray();
        assertArrayEquals(mean, KMeans.centers(scope, vectors, 1, 3).toFloatArray(), 1e-4f);
    }

    @Test
    void fewerDistinctVectorsThanCentersAreAllCenters() {
        Tensor vectors = scope.of(Shape.of(6, 1), 1, 2, 1, 4, 2, 1);
        float[] centers = KMeans.centers(scope, vectors, 5, 2).toFloatArray();
        Set<Float> distinct = new HashSet<>();
        for (float center : centers) {
            distinct.add(center);
        }
        assertEquals(Set.of(1f, 2f, 4f), distinct);
        Tensor same = scope.filled(Shape.of(9, 3), 0.5f);
        centers = KMeans.centers(scope, same, 4, 2).toFloatArray();
        assertArrayEquals(Arrays.copyOf(same.toFloatArray(), 12), centers);
    }

    @Test
    void theSeedDecides() {
        Tensor vectors = clusters(3, 20, 5);
        float[] first = KMeans.centers(scope, vectors, 8, 4).toFloatArray();
        assertArrayEquals(first, KMeans.centers(scope, vectors, 8, 4).toFloatArray());
        assertTrue(!Arrays.equals(first, KMeans.centers(scope, vectors, 8, 5).toFloatArray()));
    }

    @Test
    void noVectorIsAnError() {
        assertThrows(
                ShapeException.class,
                () -> KMeans.centers(scope, scope.zeros(Shape.of(0, 2)), 3, 1));
    }
}
