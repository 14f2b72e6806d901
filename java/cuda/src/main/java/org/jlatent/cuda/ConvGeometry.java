package org.jlatent.cuda;

import org.jlatent.internal.PadKernels;
import org.jlatent.internal.PadKernels.PadShape;
import org.jlatent.spi.Dense.ConvShape;

/**
 * A convolution as it is given, and as cuDNN takes it. cuDNN pads both sides alike and by less than
 * the window; any other padding is done beforehand, around a copy of x.
 *
 * @param given what was asked for
 * @param cudnn the same on the image that cuDNN sees, without activation, of one type throughout
 */
record ConvGeometry(ConvShape given, ConvShape cudnn) {

    static ConvGeometry of(ConvShape s) {
        boolean takesPadding =
                s.padTop() == s.padBottom()
                        && s.padLeft() == s.padRight()
                        && s.padTop() <= (s.kernelHeight() - 1) * s.dilationY()
                        && s.padLeft() <= (s.kernelWidth() - 1) * s.dilationX();
        long top = takesPadding ? s.padTop() : 0;
        long left = takesPadding ? s.padLeft() : 0;
        // A stride beyond the padded image takes one step all the same.
        long furthestY = s.height() + s.padTop() + s.padBottom();
        long furthestX = s.width() + s.padLeft() + s.padRight();
        return new ConvGeometry(
                s,
                new ConvShape(
                        s.batch(),
                        takesPadding ? s.height() : furthestY,
                        takesPadding ? s.width() : furthestX,
                        s.channels(),
                        s.filters(),
                        s.kernelHeight(),
                        s.kernelWidth(),
                        Math.min(s.strideY(), furthestY),
                        Math.min(s.strideX(), furthestX),
                        top,
                        left,
                        top,
                        left,
                        s.kernelHeight() == 1 ? 1 : s.dilationY(), // a single tap has no neighbour
                        s.kernelWidth() == 1 ? 1 : s.dilationX(),
                        s.groups(),
                        0,
                        s.dtype(),
                        s.dtype()));
    }

    /** Whether x has to be padded before cuDNN sees it. */
    boolean isPadded() {
        return cudnn.height() != given.height() || cudnn.width() != given.width();
    }

    /** x with its padding around it, in {@code to}; or x itself. */
    long pad(CudaBackend backend, long x, DeviceBuffer to) {
        if (!isPadded()) {
            return x;
        }
        long padded = paddedIn(to);
        PadKernels.pad(backend, padding(given, 1), x, padded);
        return padded;
    }

    /** Room for the padded x. */
    long paddedIn(DeviceBuffer to) {
        return to.atLeast(xElements(cudnn) * bytes(cudnn.dtype()));
    }

    /** Undoes {@link #pad}. */
    void crop(CudaBackend backend, long padded, long x) {
        PadKernels.pad(backend, padding(cudnn, -1), padded, x);
    }

    private PadShape padding(ConvShape from, int sign) {
        return new PadShape(
                from.batch(),
                from.height(),
                from.width(),
                from.channels(),
                sign * given.padTop(),
                sign * given.padLeft(),
                sign * given.padBottom(),
                sign * given.padRight(),
                from.dtype());
    }

    static long outHeight(ConvShape s) {
        return (s.height()
                                + s.padTop()
                                + s.padBottom()
                                - s.dilationY() * (s.kernelHeight() - 1)
                                - 1)
                        / s.strideY()
                + 1;
    }

    static long outWidth(ConvShape s) {
        return (s.width() + s.padLeft() + s.padRight() - s.dilationX() * (s.kernelWidth() - 1) - 1)
                        / s.strideX()
                + 1;
    }

    static long xElements(ConvShape s) {
        return s.batch() * s.height() * s.width() * s.channels();
    }

    static long yElements(ConvShape s) {
        return s.batch() * outHeight(s) * outWidth(s) * s.filters();
    }

    static long weightElements(ConvShape s) {
        return s.filters() * s.kernelHeight() * s.kernelWidth() * (s.channels() / s.groups());
    }

    /** Of one element. */
    static long bytes(int dtype) {
        return dtype == CudaDense.F32 ? Float.BYTES : Short.BYTES;
    }

    /** The cuDNN side in f32. */
    ConvShape inF32() {
        ConvShape s = cudnn;
        return new ConvShape(
                s.batch(),
                s.height(),
                s.width(),
                s.channels(),
                s.filters(),
                s.kernelHeight(),
                s.kernelWidth(),
                s.strideY(),
                s.strideX(),
                s.padTop(),
                s.padLeft(),
                s.padBottom(),
                s.padRight(),
                s.dilationY(),
                s.dilationX(),
                s.groups(),
                0,
                CudaDense.F32,
                CudaDense.F32);
    }
}
