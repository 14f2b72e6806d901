package org.jlatent.spi;

/**
 * Dense math of a backend: oneDNN on the CPU, cuBLAS and cuDNN on a GPU. Addresses are the
 * backend's own, 0 is null; callers have validated shapes. Formulas and layouts stand in {@code
 * native/dense.h}; the records below are its structs.
 */
public interface Dense {

    /**
     * {@code out[m,n] = activation(op(a)[m,k] op(b)[k,n] + bias[n])}, row-major.
     *
     * @param activation code of an {@link org.jlatent.Activation}
     * @param dtype of a and b: 0 f32, 1 bf16
     * @param outDtype of the result
     */
    record MatmulShape(
            long m,
            long n,
            long k,
            boolean transposeA,
            boolean transposeB,
            int activation,
            int dtype,
            int outDtype) {
        /** The struct's fields in its order. */
        public long[] numbers() {
            return new long[] {
                m, n, k, transposeA ? 1 : 0, transposeB ? 1 : 0, activation, dtype, outDtype
            };
        }
    }

    /**
     * A convolution from x {@code [batch, height, width, channels]} to y {@code [batch, outHeight,
     * outWidth, filters]}, weight {@code [filters, kernelHeight, kernelWidth, channels / groups]}.
     *
     * @param dtype of what is read: 0 f32, 1 bf16
     * @param outDtype of the y or x that is written; gradients of weights are f32
     */
    record ConvShape(
            long batch,
            long height,
            long width,
            long channels,
            long filters,
            long kernelHeight,
            long kernelWidth,
            long strideY,
            long strideX,
            long padTop,
            long padLeft,
            long padBottom,
            long padRight,
            long dilationY,
            long dilationX,
            long groups,
            int activation,
            int dtype,
            int outDtype) {
        /** The struct's fields in its order. */
        public long[] numbers() {
            return new long[] {
                batch, height, width, channels, filters, kernelHeight, kernelWidth, strideY,
                strideX, padTop, padLeft, padBottom, padRight, dilationY, dilationX, groups,
                activation, dtype, outDtype
            };
        }
    }

    /** Windows over x {@code [batch, height, width, channels]}; padding counts for nothing. */
    record PoolShape(
            long batch,
            long height,
            long width,
            long channels,
            long kernelHeight,
            long kernelWidth,
            long strideY,
            long strideX,
            long padTop,
            long padLeft,
            long padBottom,
            long padRight,
            boolean average) {
        /** The struct's fields in its order. */
        public long[] numbers() {
            return new long[] {
                batch,
                height,
                width,
                channels,
                kernelHeight,
                kernelWidth,
                strideY,
                strideX,
                padTop,
                padLeft,
                padBottom,
                padRight,
                average ? 1 : 0
            };
        }
    }

    /** {@code out = activation(op(a) op(b) + bias)}. */
    void matmul(MatmulShape shape, long a, long b, long bias, long out);

    /** {@code y = activation(conv(x) + bias)}. */
    void conv(ConvShape shape, long x, long weight, long bias, long y);

    /** {@code x = activation(conv^T(y) + bias)}; also the gradient of {@link #conv} for x. */
    void convTranspose(ConvShape shape, long y, long weight, long bias, long x);

    /** f32, whatever the dtype of x and dy. */
    void convWeightGradient(ConvShape shape, long x, long dy, long dWeight);

    /** Bytes that a maximum's backward pass needs kept from its forward pass. */
    long poolWinnersBytes(PoolShape shape);

    /**
     * @param winners 0 when no gradient is wanted
     */
    void pool(PoolShape shape, long x, long y, long winners);

    /** Gradient of {@link #pool} for x. */
    void poolBackward(PoolShape shape, long dy, long winners, long dx);
}
