package org.jlatent.cuda;

import static org.jlatent.cuda.CudnnPlan.Pass.BACKWARD_DATA;
import static org.jlatent.cuda.CudnnPlan.Pass.BACKWARD_WEIGHT;
import static org.jlatent.cuda.CudnnPlan.Pass.FORWARD;

import org.jlatent.DeviceException;
import org.jlatent.cuda.CudnnPlan.Pass;
import org.jlatent.internal.ElementwiseKernels;
import org.jlatent.internal.PoolKernels;
import org.jlatent.spi.Dense;

/**
 * Dense math on cuBLAS and cuDNN, and on our own kernels what the two lack: bias and activation,
 * padding that differs from side to side, pooling that keeps its winners.
 */
final class CudaDense implements Dense, AutoCloseable {
    static final int F32 = 0;
    static final int BF16 = 1;
    private static final int IDENTITY = 0; // as the SPI numbers activations

    private final CudaBackend backend;
    private final CublasProducts products;
    private final CudnnConvolutions convolutions;
    private final boolean tf32;
    private final DeviceBuffer sums; // of a product before its epilogue
    private final DeviceBuffer padded;
    private final DeviceBuffer wideX; // bf16 values as f32
    private final DeviceBuffer wideDy;

    CudaDense(CudaBackend backend, boolean tf32) {
        this.backend = backend;
        this.tf32 = tf32;
        sums = new DeviceBuffer(backend);
        padded = new DeviceBuffer(backend);
        wideX = new DeviceBuffer(backend);
        wideDy = new DeviceBuffer(backend);
        products = new CublasProducts(backend, tf32);
        try {
            convolutions = new CudnnConvolutions(backend);
        } catch (RuntimeException e) {
            products.close();
            throw e;
        }
    }

    @Override
    public void matmul(MatmulShape s, long a, long b, long bias, long out) {
        if (s.m() == 0 || s.n() == 0) {
            return;
        }
        boolean plain = bias == 0 && s.activation() == IDENTITY;
        // cuBLAS gives bf16 for bf16 factors only; and what has an epilogue is rounded after it.
        boolean direct = s.outDtype() == F32 || (s.dtype() == BF16 && plain);
        int dtype = direct ? s.outDtype() : F32;
        long product = direct ? out : sums.atLeast(s.m() * s.n() * Float.BYTES);
        run("matmul", () -> products.run(s, a, b, product, dtype));
        if (!direct || !plain) {
            ElementwiseKernels.biasActivation(
                    backend, s.activation(), dtype, product, bias, s.outDtype(), out, s.m(), s.n());
        }
    }

    /** In bf16 cuDNN rounds the sums; an epilogue in bf16 rounds once more, one in f32 does not. */
    @Override
    public void conv(ConvShape shape, long x, long weight, long bias, long y) {
        if (shape.batch() == 0) {
            return;
        }
        ConvGeometry g = ConvGeometry.of(shape);
        long sum = sums(shape, y, ConvGeometry.yElements(shape));
        convolve(FORWARD, g.cudnn(), tf32, g.pad(backend, x, padded), weight, sum);
        long rows = ConvGeometry.yElements(shape) / shape.filters();
        finish(shape, sum, bias, y, rows, shape.filters());
    }

    @Override
    public void convTranspose(ConvShape shape, long y, long weight, long bias, long x) {
        if (shape.batch() == 0) {
            return;
        }
        ConvGeometry g = ConvGeometry.of(shape);
        long sum = sums(shape, x, ConvGeometry.xElements(shape));
        if (g.isPadded()) {
            long whole = g.paddedIn(padded);
            convolve(BACKWARD_DATA, g.cudnn(), tf32, whole, weight, y);
            g.crop(backend, whole, sum);
        } else {
            convolve(BACKWARD_DATA, g.cudnn(), tf32, sum, weight, y);
        }
        long rows = ConvGeometry.xElements(shape) / shape.channels();
        finish(shape, sum, bias, x, rows, shape.channels());
    }

    /** Where cuDNN puts its sums: it gives bf16 for bf16, so f32 results are not there yet. */
    private long sums(ConvShape s, long out, long elements) {
        return s.outDtype() == s.dtype()
                ? out
                : sums.atLeast(elements * ConvGeometry.bytes(s.dtype()));
    }

    private void finish(ConvShape s, long sum, long bias, long out, long rows, long columns) {
        if (sum != out) {
            ElementwiseKernels.fromBf16(backend, sum, out, rows * columns);
        }
        if (bias != 0 || s.activation() != IDENTITY) {
            ElementwiseKernels.biasActivation(
                    backend,
                    s.activation(),
                    s.outDtype(),
                    out,
                    bias,
                    s.outDtype(),
                    out,
                    rows,
                    columns);
        }
    }

    /**
     * cuDNN would round the gradient for bf16 values to bf16. As f32 they lose nothing, not even in
     * TF32, so the sums are those of f32, on tensor cores.
     */
    @Override
    public void convWeightGradient(ConvShape shape, long x, long dy, long dWeight) {
        if (shape.batch() == 0) {
            backend.zero(dWeight, ConvGeometry.weightElements(shape) * Float.BYTES);
            return;
        }
        ConvGeometry g = ConvGeometry.of(shape);
        long from = g.pad(backend, x, padded);
        if (shape.dtype() == F32) {
            convolve(BACKWARD_WEIGHT, g.cudnn(), tf32, from, dWeight, dy);
        } else {
            long wide = widen(from, ConvGeometry.xElements(g.cudnn()), wideX);
            long wideGradient = widen(dy, ConvGeometry.yElements(shape), wideDy);
            convolve(BACKWARD_WEIGHT, g.inF32(), true, wide, dWeight, wideGradient);
        }
    }

    private void convolve(
            Pass pass, ConvShape shape, boolean rounded, long x, long weight, long y) {
        run("convolution, " + pass, () -> convolutions.run(pass, shape, rounded, x, weight, y));
    }

    /** An operation of NVIDIA's: they call what others queued before their own failure. */
    private void run(String operation, Runnable work) {
        try {
            work.run();
        } catch (DeviceException e) {
            throw backend.explain(e);
        }
        backend.queued(operation);
    }

    private long widen(long bf16, long count, DeviceBuffer to) {
        long f32 = to.atLeast(count * Float.BYTES);
        ElementwiseKernels.fromBf16(backend, bf16, f32, count);
        return f32;
    }

    @Override
    public long poolWinnersBytes(PoolShape s) {
        long height =
                (s.height() + s.padTop() + s.padBottom() - s.kernelHeight()) / s.strideY() + 1;
        long width = (s.width() + s.padLeft() + s.padRight() - s.kernelWidth()) / s.strideX() + 1;
        return s.average() ? 0 : s.batch() * height * width * s.channels() * Integer.BYTES;
    }

    @Override
    public void pool(PoolShape shape, long x, long y, long winners) {
        PoolKernels.forward(backend, shape, x, y, winners);
    }

    @Override
    public void poolBackward(PoolShape shape, long dy, long winners, long dx) {
        PoolKernels.backward(backend, shape, dy, winners, dx);
    }

    @Override
    public void close() {
        convolutions.close();
        products.close();
        for (DeviceBuffer buffer : new DeviceBuffer[] {sums, padded, wideX, wideDy}) {
            buffer.close();
        }
    }
}
