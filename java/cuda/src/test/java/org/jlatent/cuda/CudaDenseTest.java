package org.jlatent.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.EnumSet;
import java.util.Random;
import java.util.stream.Stream;
import org.jlatent.Activation;
import org.jlatent.ConvOps;
import org.jlatent.DType;
import org.jlatent.Device;
import org.jlatent.Ops;
import org.jlatent.PoolOps;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Every dense operation against the CPU's: on a GPU where there is one, else on the stubs. */
@Tag("cuda")
final class CudaDenseTest {
    private Device cpu;
    private Device cuda;
    private Scope here;
    private Scope there;
    private final Random random = new Random(1);

    @BeforeEach
    void open() {
        assumeTrue(Cuda.isAvailable(), () -> "skipped: " + Cuda.unavailabilityCause().orElse(""));
        cpu = Device.cpu();
        cuda = Cuda.open();
        here = new Scope(cpu);
        there = new Scope(cuda);
    }

    @AfterEach
    void close() {
        if (cpu != null) {
            for (AutoCloseable owner : new AutoCloseable[] {here, there}) {
                ((Scope) owner).close();
            }
            cpu.close();
            cuda.close();
        }
    }

    /** The same values on the GPU, in a type of its own, and on the CPU, in f32 after rounding. */
    private record Pair(Tensor here, Tensor there) {}

    private Pair values(DType dtype, long... extents) {
        Shape shape = Shape.of(extents);
        float[] values = new float[(int) shape.elements()];
        for (int i = 0; i < values.length; i++) {
            values[i] = 2 * random.nextFloat() - 1;
        }
        Tensor x = there.empty(shape, dtype);
        x.copyFrom(values);
        return new Pair(here.of(shape, x.toFloatArray()), x);
    }

    private static Tensor here(Pair pair) {
        return pair == null ? null : pair.here;
    }

    private static Tensor there(Pair pair) {
        return pair == null ? null : pair.there;
    }

    /**
     * Sums of {@code terms} products of numbers in (-1, 1): each of so many additions rounds by up
     * to 2^-24 of a partial sum, at random. Activations are 1.2-Lipschitz and add 2e-6. bf16 rounds
     * the sum, and once more after an epilogue.
     */
    private static void assertClose(Tensor expected, Tensor actual, long terms) {
        assertClose(expected, actual, terms, actual.dtype());
    }

    /**
     * @param stored what sums were stored as on the way
     */
    private static void assertClose(Tensor expected, Tensor actual, long terms, DType stored) {
        double sums = 0x1p-22 * Math.sqrt((double) terms) * (terms / 3.0 + 1) + 4e-6;
        float[] want = expected.toFloatArray();
        float[] got = actual.toFloatArray();
        assertEquals(expected.shape(), actual.shape());
        double rounding = stored == DType.BF16 ? 0x1p-7 : 0;
        for (int i = 0; i < want.length; i++) {
            assertEquals(want[i], got[i], sums + rounding * (Math.abs(want[i]) + 1), "at " + i);
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"F32", "BF16"})
    void matmul(DType out) {
        long[][] sizes = {
            {1, 1, 1}, {1, 7, 3}, {5, 1, 9}, {17, 33, 65}, {3, 257, 129}, {128, 20, 40}
        };
        for (DType in : new DType[] {DType.F32, DType.BF16}) {
            for (long[] s : sizes) {
                for (int transposes = 0; transposes < 4; transposes++) {
                    boolean ta = (transposes & 1) != 0;
                    boolean tb = (transposes & 2) != 0;
                    Pair a = ta ? values(in, s[2], s[0]) : values(in, s[0], s[2]);
                    Pair b = tb ? values(in, s[1], s[2]) : values(in, s[2], s[1]);
                    Pair bias = transposes % 3 == 0 ? values(DType.F32, s[1]) : null;
                    Tensor want =
                            Ops.matmul(
                                    here, a.here, ta, b.here, tb, here(bias), Activation.IDENTITY);
                    Tensor got =
                            Ops.matmul(
                                    there,
                                    a.there,
                                    ta,
                                    b.there,
                                    tb,
                                    there(bias),
                                    Activation.IDENTITY,
                                    out);
                    assertEquals(out, got.dtype());
                    assertClose(want, got, s[2]);
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Activation.class)
    void activationsFollowProductsAndConvolutions(Activation activation) {
        for (DType dtype : new DType[] {DType.F32, DType.BF16}) {
            for (int biased = 0; biased < 2; biased++) {
                Pair a = values(dtype, 13, 5);
                Pair b = values(dtype, 5, 31);
                Pair bias = biased == 1 ? values(DType.F32, 31) : null;
                assertClose(
                        Ops.matmul(here, a.here, false, b.here, false, here(bias), activation),
                        Ops.matmul(there, a.there, false, b.there, false, there(bias), activation),
                        5);
                Pair x = values(dtype, 2, 4, 5, 3);
                Pair weight = values(dtype, 31, 2, 2, 3);
                ConvOps.Options plain = ConvOps.Options.plain();
                assertClose(
                        ConvOps.forward(here, x.here, weight.here, here(bias), plain, activation),
                        ConvOps.forward(
                                there, x.there, weight.there, there(bias), plain, activation),
                        12);
            }
        }
    }

    private record Convolution(
            String name,
            long batch,
            long height,
            long width,
            long channels,
            long filters,
            long kernelHeight,
            long kernelWidth,
            ConvOps.Options options) {
        @Override
        public String toString() {
            return name;
        }
    }

    private static Stream<Convolution> convolutions() {
        ConvOps.Options plain = ConvOps.Options.plain();
        return Stream.of(
                new Convolution("pointwise", 3, 5, 7, 9, 4, 1, 1, plain),
                new Convolution("one of everything", 1, 1, 1, 1, 1, 1, 1, plain),
                new Convolution("3x3 same", 2, 9, 11, 5, 6, 3, 3, plain.withPadding(1, 1)),
                new Convolution(
                        "4x4 by 2",
                        2,
                        14,
                        14,
                        8,
                        16,
                        4,
                        4,
                        plain.withStride(2, 2).withPadding(1, 1)),
                new Convolution(
                        "rest of a stride",
                        2,
                        10,
                        9,
                        3,
                        5,
                        3,
                        2,
                        plain.withStride(3, 2).withPadding(0, 1, 1, 0)),
                new Convolution(
                        "one-sided padding", 2, 6, 7, 16, 16, 2, 3, plain.withPadding(1, 2, 0, 0)),
                new Convolution(
                        "padding as wide as the kernel",
                        1,
                        3,
                        4,
                        2,
                        3,
                        2,
                        2,
                        plain.withPadding(2, 3)),
                new Convolution(
                        "dilated",
                        2,
                        13,
                        12,
                        4,
                        8,
                        3,
                        3,
                        plain.withStride(1, 2).withPadding(2, 3).withDilation(2, 3)),
                new Convolution(
                        "groups", 2, 8, 6, 12, 18, 3, 3, plain.withPadding(1, 1).withGroups(3)),
                new Convolution(
                        "depthwise",
                        2,
                        7,
                        7,
                        16,
                        16,
                        3,
                        3,
                        plain.withStride(2, 2).withPadding(1, 1).withGroups(16)),
                new Convolution(
                        "causal, one dimension",
                        2,
                        1,
                        30,
                        8,
                        8,
                        1,
                        3,
                        plain.withPadding(0, 4, 0, 0).withDilation(1, 2).withGroups(4)),
                new Convolution(
                        "strides beyond the image",
                        1,
                        7,
                        5,
                        6,
                        6,
                        3,
                        3,
                        plain.withStride(1, 32767).withPadding(0, 0, 0, 3)),
                new Convolution(
                        "far dilation of single taps",
                        2,
                        6,
                        5,
                        8,
                        4,
                        1,
                        1,
                        plain.withDilation(32767, 32767)));
    }

    /** Forward, transposed, and the weight's gradient; the second time from plans already made. */
    @ParameterizedTest
    @MethodSource("convolutions")
    void convolution(Convolution c) {
        for (DType dtype : new DType[] {DType.F32, DType.BF16}) {
            for (int time = 0; time < 2; time++) {
                check(c, dtype);
            }
        }
    }

    private void check(Convolution c, DType dtype) {
        long depth = c.channels / c.options.groups();
        long taps = c.kernelHeight * c.kernelWidth;
        Pair x = values(dtype, c.batch, c.height, c.width, c.channels);
        Pair weight = values(dtype, c.filters, c.kernelHeight, c.kernelWidth, depth);
        Pair bias = values(DType.F32, c.filters);
        Activation tanh = Activation.TANH;
        Tensor y = ConvOps.forward(here, x.here, weight.here, bias.here, c.options, tanh);
        assertClose(
                y,
                ConvOps.forward(there, x.there, weight.there, bias.there, c.options, tanh),
                taps * depth);
        Tensor inF32 =
                ConvOps.forward(
                        there, x.there, weight.there, bias.there, c.options, tanh, DType.F32);
        assertEquals(DType.F32, inF32.dtype());
        assertClose(y, inF32, taps * depth, dtype);

        Pair d = values(dtype, y.shape().get(0), y.shape().get(1), y.shape().get(2), c.filters);
        Pair back = values(DType.F32, c.channels);
        for (Pair b : new Pair[] {null, back}) {
            Tensor want =
                    ConvOps.transposed(
                            here, d.here, weight.here, here(b), x.here.shape(), c.options, tanh);
            for (DType result : EnumSet.of(dtype, DType.F32)) {
                Tensor got =
                        ConvOps.transposed(
                                there,
                                d.there,
                                weight.there,
                                there(b),
                                x.here.shape(),
                                c.options,
                                tanh,
                                result);
                assertEquals(result, got.dtype());
                assertClose(want, got, taps * c.filters / c.options.groups(), dtype);
            }
        }

        Tensor gradient =
                ConvOps.weightGradient(there, x.there, d.there, weight.here.shape(), c.options);
        assertEquals(DType.F32, gradient.dtype());
        assertClose(
                ConvOps.weightGradient(here, x.here, d.here, weight.here.shape(), c.options),
                gradient,
                y.shape().elements() / c.filters);
    }

    @Test
    void anEmptyBatchIsNoWorkAndGivesNoGradient() {
        ConvOps.Options plain = ConvOps.Options.plain();
        Tensor x = there.empty(Shape.of(0, 4, 4, 2));
        Tensor weight = values(DType.F32, 3, 2, 2, 2).there;
        Tensor y = ConvOps.forward(there, x, weight, null, plain, Activation.RELU);
        assertEquals(Shape.of(0, 3, 3, 3), y.shape());
        ConvOps.transposed(there, y, weight, null, x.shape(), plain, Activation.RELU);
        assertArrayEquals(
                new float[24],
                ConvOps.weightGradient(there, x, y, weight.shape(), plain).toFloatArray());
        Tensor none = there.empty(Shape.of(0, 4));
        Tensor product =
                Ops.matmul(
                        there,
                        none,
                        false,
                        values(DType.F32, 4, 2).there,
                        false,
                        null,
                        Activation.RELU);
        assertEquals(Shape.of(0, 2), product.shape());
    }

    @Test
    void pooling() {
        PoolOps.Options[] all = {
            PoolOps.Options.max(2),
            PoolOps.Options.average(3),
            new PoolOps.Options(3, 2, 2, 1, 1, 1, false),
            new PoolOps.Options(3, 2, 2, 1, 1, 1, true)
        };
        for (PoolOps.Options options : all) {
            Pair x = values(DType.F32, 2, 9, 7, 5);
            PoolOps.Result want = PoolOps.forward(here, x.here, options, true);
            PoolOps.Result got = PoolOps.forward(there, x.there, options, true);
            assertClose(want.y(), got.y(), 1);
            assertClose(want.y(), PoolOps.forward(there, x.there, options, false).y(), 1);
            Shape shape = want.y().shape();
            Pair d = values(DType.F32, shape.get(0), shape.get(1), shape.get(2), shape.get(3));
            assertClose(
                    PoolOps.backward(here, d.here, want.winners(), x.here.shape(), options),
                    PoolOps.backward(there, d.there, got.winners(), x.here.shape(), options),
                    6);
        }
    }

    /** Two calls give the same bits. */
    @Test
    void resultsRepeat() {
        Pair x = values(DType.F32, 4, 12, 12, 24);
        Pair weight = values(DType.F32, 40, 3, 3, 24);
        ConvOps.Options same = ConvOps.Options.plain().withPadding(1, 1);
        float[][] first = null;
        for (int time = 0; time < 2; time++) {
            Tensor y =
                    ConvOps.forward(there, x.there, weight.there, null, same, Activation.IDENTITY);
            Tensor dw = ConvOps.weightGradient(there, x.there, y, weight.there.shape(), same);
            Tensor dx =
                    ConvOps.transposed(
                            there,
                            y,
                            weight.there,
                            null,
                            x.there.shape(),
                            same,
                            Activation.IDENTITY);
            float[][] now = {y.toFloatArray(), dw.toFloatArray(), dx.toFloatArray()};
            if (first != null) {
                for (int i = 0; i < now.length; i++) {
                    assertArrayEquals(first[i], now[i]);
                }
            }
            first = now;
        }
        assertTrue(first[0].length > 0);
    }
}
