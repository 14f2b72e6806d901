package org.jlatent.models;

import org.jlatent.Device;
import org.jlatent.Ops;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.jlatent.TestDevice;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.Init;

/** Small autoregressive models for tests, on a device of their own. */
final class TinyPixelModels implements AutoCloseable {
    private final Device device = TestDevice.open();
    final Scope scope = new Scope(device);

    @Override
    public void close() {
        scope.close();
        device.close();
    }

    /** Of 6 features and a head of 9. */
    PixelCnn plain(ImageShape image, int first, int others, int blocks) {
        PixelCnnConfig config =
                PixelCnnConfig.defaults()
                        .withBlocks(blocks)
                        .withFeatures(6)
                        .withHead(9)
                        .withKernels(first, others);
        return new PixelCnn(new Init(scope, 1), image, config, 1);
    }

    /** 2 row LSTMs of 6 features after a kernel of 3x3, a head of 9. */
    static PixelRnnConfig rows() {
        return PixelRnnConfig.defaults()
                .withLayers(2)
                .withFeatures(6)
                .withFirstKernel(3)
                .withHead(9);
    }

    /** With fresh weights. */
    PixelRnn recurrent(ImageShape image, PixelRnnConfig config) {
        return new PixelRnn(new Init(scope, 3), image, config, 1);
    }

    /** 3 layers of 6 features, a head of 9. */
    static GatedPixelCnnConfig small() {
        return GatedPixelCnnConfig.defaults().withLayers(3).withFeatures(6).withHead(9);
    }

    /** With fresh weights. */
    GatedPixelCnn gated(ImageShape image, GatedPixelCnnConfig config) {
        return new GatedPixelCnn(new Init(scope, 2), image, config, 1);
    }

    private static float[] wave(int count, double frequency) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) Math.sin(frequency * i + 0.4);
        }
        return values;
    }

    /** Some images of zeros and ones. */
    Tensor bits(int count, ImageShape image) {
        float[] values = wave(count * image.values(), 1.3);
        for (int i = 0; i < values.length; i++) {
            values[i] = values[i] > 0 ? 1 : 0;
        }
        return scope.of(Shape.of(count, image.values()), values);
    }

    /** Something to be conditioned on. */
    Tensor map(int count, ImageShape image, int channels) {
        Shape shape = Shape.of(count, image.height(), image.width(), channels);
        return scope.of(shape, wave((int) shape.elements(), 0.7));
    }

    /** Multiplies a parameter. */
    void scale(Tensor parameter, double factor) {
        Tensor by = scope.scalar((float) factor);
        parameter.copyFrom(Ops.scale(scope, parameter, by).toFloatArray());
    }
}
