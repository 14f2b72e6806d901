package org.jlatent;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigDecimal;
import java.util.Arrays;
import org.jlatent.VectorQuantizeOps.Averages;
import org.jlatent.VectorQuantizeOps.Estimator;
import org.jlatent.VectorQuantizeOps.Gradients;
import org.jlatent.VectorQuantizeOps.InputGradients;
import org.jlatent.VectorQuantizeOps.Result;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The operation itself is tested in kernels/vector_quantize; this is what Java adds. */
@OnEveryDevice
final class VectorQuantizeOpsTest {
    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);
    private final java.util.Random random = new java.util.Random(1);

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    private float[] normals(int count, double scale) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) (scale * random.nextGaussian());
        }
        return values;
    }

    private Result forward(Tensor x, Tensor codebook) {
        return VectorQuantizeOps.forward(scope, x, codebook, null, null, null);
    }

    private void average(Tensor x, Tensor codes, Averages averages, Tensor codebook) {
        VectorQuantizeOps.average(scope, x, codes, averages, null, 0, codebook);
    }

    /** The lowest code at the smallest distance, without any rounding. */
    private static int[] nearest(float[] x, float[] codebook, int dims) {
        int[] codes = new int[x.length / dims];
        for (int n = 0; n < codes.length; n++) {
            BigDecimal least = null;
            for (int k = 0; k < codebook.length / dims; k++) {
                BigDecimal sum = BigDecimal.ZERO;
                for (int d = 0; d < dims; d++) {
                    BigDecimal difference =
                            new BigDecimal(x[n * dims + d])
                                    .subtract(new BigDecimal(codebook[k * dims + d]));
                    sum = sum.add(difference.multiply(difference));
                }
                if (least == null || sum.compareTo(least) < 0) {
                    least = sum;
                    codes[n] = k;
                }
            }
        }
        return codes;
    }

    private void assertExact(float[] x, float[] codebook, int dims) {
        Tensor rows = scope.of(Shape.of(x.length / dims, dims), x);
        Tensor book = scope.of(Shape.of(codebook.length / dims, dims), codebook);
        assertArrayEquals(nearest(x, codebook, dims), forward(rows, book).codes().toIntArray());
    }

    @Test
    void codesAreExactWhereDistancesInDoublesAreNot() {
        int dims = 5;
        for (double scale : new double[] {1, 1e-20, 1e15}) {
            assertExact(normals(20 * dims, 1), normals(12 * dims, scale), dims);
            assertExact(normals(20 * dims, scale), normals(12 * dims, scale), dims);
        }
        float[] uniform = new float[64 * dims]; // VQGAN's beginning
        for (int i = 0; i < uniform.length; i++) {
            uniform[i] = (2 * random.nextFloat() - 1) / 16384;
        }
        assertExact(normals(20 * dims, 1), uniform, dims);
        // What decides is 1e-40 of what is compared.
        float[] x = normals(20 * dims, 1e-20);
        float[] codebook = normals(12 * dims, 1e-20);
        for (int n = 0; n < 20; n++) {
            x[n * dims] = 0;
        }
        for (int k = 0; k < 12; k++) {
            codebook[k * dims] = k % 2 == 0 ? 1 : -1;
        }
        assertExact(x, codebook, dims);
        // Ties everywhere.
        for (int i = 0; i < x.length; i++) {
            x[i] = random.nextInt(5) * 0.5f;
        }
        for (int i = 0; i < codebook.length; i++) {
            codebook[i] = random.nextInt(3);
        }
        assertExact(x, codebook, dims);
    }

    @Test
    void imagesAreQuantizedPixelByPixel() {
        Tensor codebook = scope.of(Shape.of(3, 2), 0, 0, 1, 1, 4, 0);
        Tensor image = scope.of(Shape.of(1, 2, 2, 2), 0.75f, 1, 4, 0.5f, -9, 0, 0, 0);
        Result r = forward(image, codebook);
        assertEquals(Shape.of(1, 2, 2), r.codes().shape());
        assertArrayEquals(new int[] {1, 2, 0, 0}, r.codes().toIntArray());
        assertEquals(image.shape(), r.q().shape());
        assertArrayEquals(new float[] {1, 1, 4, 0, 0, 0, 0, 0}, r.q().toFloatArray());
        assertArrayEquals(new float[] {0.0625f, 0.25f, 81, 0}, r.rowErrors().toFloatArray());
        assertEquals(81.3125f / 8, r.codebookLoss().toFloatArray()[0]);
        assertEquals(81.3125f / 8, r.commitment().toFloatArray()[0]);
        assertArrayEquals(new int[] {2, 1, 1}, r.histogram().toIntArray());
        assertArrayEquals(new int[] {4}, r.valid().toIntArray());
    }

    @Test
    void oneVectorNeedsNoOtherAxis() {
        Result r = forward(scope.of(Shape.of(2), 3, 1), scope.of(Shape.of(2, 2), 0, 0, 2, 2));
        assertEquals(Shape.of(), r.codes().shape());
        assertArrayEquals(new int[] {1}, r.codes().toIntArray());
    }

    @Test
    void gradientsGoStraightThroughAndBetaIsOnTheCommitmentOnly() {
        Tensor x = scope.of(Shape.of(4, 1), 1, 5, 7, Float.NaN);
        Tensor codebook = scope.of(Shape.of(2, 1), 0, 6);
        Tensor mask = scope.of(Shape.of(4), 1, 1, 1, 0);
        Tensor beta = scope.scalar(0.5f);
        Result r = VectorQuantizeOps.forward(scope, x, codebook, mask, beta, null);
        assertArrayEquals(new int[] {0, 1, 1, -1}, r.codes().toIntArray());
        assertEquals(1.0f, r.codebookLoss().toFloatArray()[0]);
        assertEquals(0.5f, r.commitment().toFloatArray()[0]);
        Tensor dq = scope.of(Shape.of(4, 1), 10, 20, 30, 40);
        Tensor three = scope.scalar(3);
        InputGradients g =
                VectorQuantizeOps.backward(
                        scope,
                        x,
                        codebook,
                        beta,
                        r,
                        Estimator.STRAIGHT_THROUGH,
                        new Gradients(dq, three, three));
        // 2 / 3 of a row; 3 and beta = 1 / 2
        assertArrayEquals(new float[] {11, 19, 31, 0}, g.dx().toFloatArray(), 1e-5f);
        assertArrayEquals(new float[] {-2, 0}, g.dCodebook().toFloatArray(), 1e-6f);
        Gradients ofQ = new Gradients(dq, null, null);
        g =
                VectorQuantizeOps.backward(
                        scope, x, codebook, beta, r, Estimator.STRAIGHT_THROUGH, ofQ);
        assertArrayEquals(new float[] {10, 20, 30, 0}, g.dx().toFloatArray());
        assertNull(g.dCodebook());
    }

    @Test
    void averagesMoveTheCodebookAndUsageIsCounted() {
        Tensor codebook = scope.of(Shape.of(3, 1), 0, 6, 100);
        Averages averages = Averages.of(scope, codebook.shape(), 0.5f, 0, 0);
        Tensor seen = scope.ofInts(Shape.of(3), 0, 0, 0);
        Tensor x = scope.of(Shape.of(4, 1), 1, 2, 5, 9);
        Result r = forward(x, codebook);
        VectorQuantizeOps.average(scope, x, r.codes(), averages, null, 0, codebook);
        assertArrayEquals(new float[] {1.5f, 7, 100}, codebook.toFloatArray(), 1e-6f);
        x = scope.of(Shape.of(2, 1), 1, 2);
        r = forward(x, codebook);
        VectorQuantizeOps.average(scope, x, r.codes(), averages, null, 0, codebook);
        assertArrayEquals(new float[] {1.5f, 7, 100}, codebook.toFloatArray(), 1e-6f);
        assertArrayEquals(new float[] {1.5f, 0.5f, 0}, averages.counts().toFloatArray());
        assertEquals(2, averages.state().toIntArray()[3]);
        float[] usage = VectorQuantizeOps.usage(scope, r.histogram(), seen).toFloatArray();
        assertArrayEquals(new float[] {1, 1, 1 / 3f}, usage, 1e-6f);
        Tensor even = scope.ofInts(Shape.of(3), 0, 2, 0);
        usage = VectorQuantizeOps.usage(scope, even, seen).toFloatArray();
        assertArrayEquals(new float[] {1, 2, 2 / 3f}, usage, 1e-6f);
    }

    @Test
    void stagesQuantizeWhatIsLeftOverExactly() {
        int dims = 5;
        float[] left = normals(40 * dims, 1);
        float[][] books = {normals(12 * dims, 1), normals(12 * dims, 0.5), normals(12 * dims, 0.2)};
        Tensor x = scope.of(Shape.of(2, 20, dims), left);
        float[] all = new float[3 * 12 * dims];
        for (int s = 0; s < 3; s++) {
            System.arraycopy(books[s], 0, all, s * books[s].length, books[s].length);
        }
        Result r = forward(x, scope.of(Shape.of(3, 12, dims), all));
        assertEquals(Shape.of(2, 20, 3), r.codes().shape());
        assertEquals(Shape.of(2, 20), r.rowErrors().shape());
        assertEquals(Shape.of(3, 12), r.histogram().shape());
        int[] codes = r.codes().toIntArray();
        float[] q = new float[left.length];
        for (int s = 0; s < 3; s++) {
            int[] expected = nearest(left, books[s], dims);
            for (int n = 0; n < 40; n++) {
                assertEquals(expected[n], codes[n * 3 + s], "row " + n + ", stage " + s);
            }
            for (int i = 0; i < left.length; i++) {
                float e = books[s][expected[i / dims] * dims + i % dims];
                left[i] -= e;
                q[i] += e;
            }
        }
        assertArrayEquals(q, r.q().toFloatArray());
    }

    @Test
    void headsHaveCodebooksOfTheirOwnAndTypesStay() {
        Tensor codebook = scope.of(Shape.of(2, 2, 2, 1), 0, 8, 0, 1, 0, 100, 0, 10);
        for (DType type : new DType[] {DType.F32, DType.BF16}) {
            Tensor x = Ops.cast(scope, scope.of(Shape.of(2, 2), 9, 9, 0, 110), type);
            Result r = forward(x, codebook);
            assertEquals(Shape.of(2, 2, 2), r.codes().shape());
            assertArrayEquals(new int[] {1, 1, 0, 1, 0, 0, 1, 1}, r.codes().toIntArray());
            assertEquals(type, r.q().dtype());
            assertArrayEquals(new float[] {9, 10, 0, 110}, r.q().toFloatArray());
            // 9 - 8, then 0; 9, then -1; 110 - 100, then 0
            assertArrayEquals(new float[] {1 + 81 + 1, 100}, r.rowErrors().toFloatArray());
            assertEquals(183 / 4f, r.codebookLoss().toFloatArray()[0]);
            assertArrayEquals(new int[] {1, 1, 1, 1, 1, 1, 0, 2}, r.histogram().toIntArray());
            InputGradients g =
                    VectorQuantizeOps.backward(
                            scope,
                            x,
                            codebook,
                            null,
                            r,
                            Estimator.STRAIGHT_THROUGH,
                            new Gradients(x, scope.scalar(1), scope.scalar(2)));
            assertEquals(type, g.dx().dtype());
            // x + 2 * 2 / (2 * 2) (sum of what stages left over)
            assertArrayEquals(new float[] {9 + 1, 9 + 8, 0, 110 + 10}, g.dx().toFloatArray());
            assertArrayEquals(
                    new float[] {0, -0.5f, 0, 0, -4.5f, -5, 0, 0.5f},
                    g.dCodebook().toFloatArray(),
                    1e-6f); // 0 may be -0
        }
    }

    @Test
    void rotationTurnsAndScalesTheGradient() {
        Tensor x = scope.of(Shape.of(1, 2), 1, 0);
        Tensor codebook = scope.of(Shape.of(1, 2), 0, 2);
        Tensor dq = scope.of(Shape.of(1, 2), 3, 5);
        InputGradients g =
                VectorQuantizeOps.backward(
                        scope,
                        x,
                        codebook,
                        null,
                        forward(x, codebook),
                        Estimator.ROTATION,
                        new Gradients(dq, null, null));
        // x is turned left and doubled to become q: dq is turned right and doubled.
        assertArrayEquals(new float[] {10, -6}, g.dx().toFloatArray(), 1e-5f);
    }

    @Test
    void entriesThatAreHardlyUsedBeginAnewAtRows() {
        float[] start = {0, 50, 60, 70};
        float[] values = {1, 2, 3, 4, 5, 6};
        Tensor x = scope.of(Shape.of(6, 1), values);
        Random draws = new Random(scope, 1);
        for (boolean sums : new boolean[] {true, false}) {
            Tensor codebook = scope.of(Shape.of(4, 1), start);
            Averages averages =
                    sums
                            ? Averages.of(scope, codebook.shape(), 0.5f, 0, 0.1f)
                            : Averages.countsOnly(scope, codebook.shape(), 0.5f, 0.1f);
            Result r = forward(x, codebook);
            VectorQuantizeOps.average(scope, x, r.codes(), averages, draws, 7, codebook);
            float[] entries = codebook.toFloatArray();
            assertEquals(sums ? 3.5f : 0, entries[0]);
            // Two neighbours each, as all rows have code 0.
            for (int k = 1; k < 4; k++) {
                assertTrue(entries[k] == 2 * k - 1 || entries[k] == 2 * k, "" + entries[k]);
            }
            assertArrayEquals(
                    new float[] {3, 0.75f, 0.75f, 0.75f}, averages.counts().toFloatArray());
            assertEquals(3, averages.state().toIntArray()[4]);
        }
    }

    @Test
    void booksAreAveragedAndCountedOneByOne() {
        Tensor codebook = scope.of(Shape.of(2, 2, 1), 0, 6, -1, 1);
        Tensor x = scope.of(Shape.of(3, 1), 0.5f, 7.5f, 5.5f);
        Averages averages = Averages.of(scope, codebook.shape(), 0, 0, 0);
        Result r = forward(x, codebook);
        assertArrayEquals(new int[] {0, 1, 1, 1, 1, 0}, r.codes().toIntArray());
        average(x, r.codes(), averages, codebook);
        // The second stage takes 0.5 and 1.5, and -0.5, of the codebook before.
        assertArrayEquals(new float[] {0.5f, 6.5f, -0.5f, 1}, codebook.toFloatArray(), 1e-6f);
        assertArrayEquals(new float[] {1, 2, 1, 2}, averages.counts().toFloatArray());
        Tensor seen = scope.ofInts(Shape.of(2, 2), 0, 0, 3, 0);
        Tensor histogram = scope.ofInts(Shape.of(2, 2), 2, 2, 5, 0);
        Tensor usage = VectorQuantizeOps.usage(scope, histogram, seen);
        assertEquals(Shape.of(2, 3), usage.shape());
        assertArrayEquals(new float[] {2, 2, 1, 1, 1, 0.5f}, usage.toFloatArray(), 1e-6f);
    }

    @Test
    void whatIsNotFiniteIsNamedOrMarked() {
        float[] values = normals(12, 1);
        Tensor codebook = scope.of(Shape.of(4, 3), normals(12, 1));
        values[7] = Float.NaN;
        Tensor bad = scope.of(Shape.of(4, 3), values);
        if (!TestDevice.refusesBadValues(device)) {
            Tensor invalid = scope.ofInts(Shape.of(1), 0);
            Result r = VectorQuantizeOps.forward(scope, bad, codebook, null, null, invalid);
            for (int n = 0; n < 4; n++) {
                assertEquals(n == 2, r.codes().toIntArray()[n] == -1);
                assertEquals(n == 2, Float.isNaN(r.q().toFloatArray()[3 * n]));
            }
            VectorQuantizeOps.forward(scope, codebook, bad, null, null, invalid);
            assertArrayEquals(new int[] {5}, invalid.toIntArray());
            return;
        }
        assertMessage(
                "row 2 of x is not finite", DeviceException.class, () -> forward(bad, codebook));
        assertMessage(
                "codebook[2] is not finite, in head 0 and stage 0",
                DeviceException.class,
                () -> forward(codebook, bad));
    }

    @Test
    void badArgumentsAreNamed() {
        Tensor x = scope.zeros(Shape.of(4, 3));
        Tensor codebook = scope.zeros(Shape.of(5, 3));
        assertMessage(
                "at least one of each, got [0, 3]",
                ShapeException.class,
                () -> forward(x, scope.zeros(Shape.of(0, 3))));
        assertMessage(
                "at least one of each, got [5, 0]",
                ShapeException.class,
                () -> forward(x, scope.zeros(Shape.of(5, 0))));
        assertMessage(
                "got [4, 3] and [5, 2]",
                ShapeException.class,
                () -> forward(x, scope.zeros(Shape.of(5, 2))));
        assertMessage(
                "rowMask must be [4]",
                ShapeException.class,
                () -> VectorQuantizeOps.forward(scope, x, codebook, x, null, null));
        Averages averages = Averages.of(scope, codebook.shape(), 0.9f, 1e-5f, 0);
        assertMessage(
                "codes must be [4]",
                ShapeException.class,
                () -> average(x, scope.ofInts(Shape.of(1), 0), averages, codebook));
        Shape book = codebook.shape();
        assertMessage(
                "decay must be in [0, 1), got 1.0",
                IllegalArgumentException.class,
                () -> Averages.of(scope, book, 1, 1e-5f, 0));
        assertMessage(
                "epsilon must be finite and at least 0, got -1.0",
                IllegalArgumentException.class,
                () -> Averages.of(scope, book, 0.9f, -1, 0));
        assertMessage(
                "revive must be in [0, 1], got 2.0",
                IllegalArgumentException.class,
                () -> Averages.countsOnly(scope, book, 0.9f, 2));
        assertMessage(
                "[heads, stages, codes, dims] with at least one of each, got [5]",
                ShapeException.class,
                () -> Averages.of(scope, Shape.of(5), 0.9f, 0, 0));
        assertMessage(
                "the codebook's heads times dims, got [4, 3] and [2, 1, 5, 3]",
                ShapeException.class,
                () -> forward(x, scope.zeros(Shape.of(2, 1, 5, 3))));
        assertMessage(
                "takes F32 or BF16 tensors of one kind",
                ShapeException.class,
                () -> forward(scope.empty(Shape.of(4, 3), DType.I32), codebook));
        assertMessage(
                "takes F32 tensors, got [5, 3] of BF16",
                ShapeException.class,
                () -> forward(x, Ops.cast(scope, codebook, DType.BF16)));
        assertMessage(
                "seen must be [4]",
                ShapeException.class,
                () ->
                        VectorQuantizeOps.usage(
                                scope,
                                scope.ofInts(Shape.of(4), 0, 5, 0, 0),
                                scope.ofInts(Shape.of(1), 0)));
    }

    private static void assertMessage(
            String part, Class<? extends RuntimeException> type, Runnable body) {
        RuntimeException e = assertThrows(type, body::run);
        assertTrue(e.getMessage().contains(part), e.getMessage());
    }

    @Test
    void noRowsIsNoError() {
        Result r = forward(scope.zeros(Shape.of(0, 3)), scope.zeros(Shape.of(5, 3)));
        assertEquals(0.0f, r.codebookLoss().toFloatArray()[0]);
        assertEquals(0, Arrays.stream(r.histogram().toIntArray()).sum());
    }

    @Test
    void codesMadeElsewhereAreCountedByBook() {
        Tensor codes = scope.ofInts(Shape.of(3, 2), 0, 2, 0, -1, 1, 2);
        Tensor one = VectorQuantizeOps.histogram(scope, codes, Shape.of(), 3);
        assertArrayEquals(new int[] {2, 1, 2}, one.toIntArray());
        Tensor two = VectorQuantizeOps.histogram(scope, codes, Shape.of(2), 3);
        assertEquals(Shape.of(2, 3), two.shape());
        assertArrayEquals(new int[] {2, 1, 0, 0, 0, 2}, two.toIntArray());
        assertMessage(
                "last axes must be [3], got [3, 2]",
                ShapeException.class,
                () -> VectorQuantizeOps.histogram(scope, codes, Shape.of(3), 3));
    }

    @Test
    void codesOutOfRangeAreRefusedOrLeftOut() {
        Tensor codes = scope.ofInts(Shape.of(4), 0, 5, 0, 1);
        Tensor x = scope.of(Shape.of(4, 1), 1, 100, 3, 4);
        Tensor codebook = scope.of(Shape.of(5, 1), 9, 8, 7, 6, 5);
        Averages averages = Averages.of(scope, codebook.shape(), 0.9f, 0, 0);
        if (TestDevice.refusesBadValues(device)) {
            assertMessage(
                    "codes[1] is 5, but the codebook has 5 entries",
                    DeviceException.class,
                    () -> average(x, codes, averages, codebook));
            assertMessage(
                    "codes[1] is 5, but there are 5 codes",
                    DeviceException.class,
                    () -> VectorQuantizeOps.histogram(scope, codes, Shape.of(), 5));
            return;
        }
        average(x, codes, averages, codebook);
        assertArrayEquals(new float[] {2, 4, 7, 6, 5}, codebook.toFloatArray(), 1e-5f);
        Tensor histogram = VectorQuantizeOps.histogram(scope, codes, Shape.of(), 5);
        assertArrayEquals(new int[] {2, 1, 0, 0, 0}, histogram.toIntArray());
    }
}
