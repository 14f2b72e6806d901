package org.jlatent.models;

import org.jlatent.Device;
import org.jlatent.Ops;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.jlatent.TestDevice;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Likelihoods;

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

    /**
     * 2 scales with 1 block of 4 features, for images of so many channels: zeros and ones, or 8
     * bits.
     */
    static PixelCnnPlusPlusConfig plusPlus(int channels) {
        Likelihood likelihood =
                channels == 1
                        ? Likelihoods.bernoulli()
                        : Likelihoods.discretizedLogisticMixture(2, 256, channels);
        return new PixelCnnPlusPlusConfig(2, 1, 4, 0, likelihood, 0);
    }

    /** With fresh weights, but blocks of which something is seen. */
    PixelCnnPlusPlus plusPlus(ImageShape image, PixelCnnPlusPlusConfig config) {
        PixelCnnPlusPlus model = new PixelCnnPlusPlus(new Init(scope, 6), image, config, 1);
        model.parameters()
                .forEach(
                        (name, parameter) -> {
                            if (name.matches(".*[.]ul?[.]out[.]weight")) {
                                scale(parameter, 10);
                            }
                        });
        return model;
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

    /** All images there are, {@code [levels^values, values]}. */
    Tensor all(ImageModel model) {
        return some(scope, model, 0, count(model));
    }

    /** How many images there are. */
    static int count(ImageModel model) {
        int levels = AutoregressiveModel.levels(model.likelihood());
        return (int) Math.pow(levels, model.image().values());
    }

    /** Some of {@link #all}. */
    static Tensor some(Scope scope, ImageModel model, int first, int count) {
        int values = model.image().values();
        int levels = AutoregressiveModel.levels(model.likelihood());
        float[] x = new float[count * values];
        for (int image = 0; image < count; image++) {
            for (int i = 0, rest = first + image; i < values; i++, rest /= levels) {
                x[image * values + i] = (float) (rest % levels) / (levels - 1);
            }
        }
        return scope.of(Shape.of(count, values), x);
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

    /** Every second feature before a ReLU well above 0, the others well below. */
    void keepOffKinks(ImageModel model) {
        String before = ".*(first|narrow|masked|wide|skip|head)";
        model.parameters()
                .forEach(
                        (name, parameter) -> {
                            if (name.matches(before + ".weight")) {
                                scale(parameter, 0.4);
                            } else if (name.matches(before + ".bias")) {
                                float[] values = new float[(int) parameter.shape().get(0)];
                                for (int i = 0; i < values.length; i++) {
                                    values[i] = i % 2 == 0 ? 3 : -3;
                                }
                                parameter.copyFrom(values);
                            }
                        });
    }
}
