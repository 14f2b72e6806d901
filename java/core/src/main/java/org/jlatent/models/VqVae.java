package org.jlatent.models;

import java.util.Arrays;
import java.util.List;
import org.jlatent.DType;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.ShapeException;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.Init;
import org.jlatent.nn.Quantizer;
import org.jlatent.nn.Sequential;

/**
 * Vector-quantized autoencoder [van den Oord et al. 2017]: an image becomes a smaller image of
 * codes, integers that stand for vectors, and is made again from these vectors. Its loss is a
 * {@link QuantizedModel}'s, with one map of codes.
 *
 * <p>The network is convolutional: it {@linkplain #encode encodes} and {@linkplain #decode decodes}
 * images of any size that 2^levels divides. A model made for sequences, images of height 1, takes
 * sequences of any such length.
 *
 * <p>Parameters: {@code encoder.*}, {@code quantizer.*}, {@code decoder.*}.
 */
public final class VqVae extends QuantizedModel {
    private final VqVaeConfig config;
    private final Sequential encoder;
    private final Sequential decoder;

    /**
     * A model with fresh parameters.
     *
     * @param init owns the parameters
     * @param image what it is to be trained on
     * @param seed of what the quantizer draws
     * @throws IllegalArgumentException unless 2^levels divides the sides of the image
     */
    public VqVae(Init init, ImageShape image, VqVaeConfig config, long seed) {
        super(init, image, config, 1, seed);
        this.config = config;
        int dims = Math.toIntExact(quantizer().dims());
        int outputs = config.likelihood().parametersPerPixel(image.channels());
        ResidualNetworks networks = new ResidualNetworks(init, image, config);
        encoder = child("encoder", networks.encoder(image.channels(), dims));
        child("quantizer", quantizer());
        decoder = child("decoder", networks.decoder(config.levels(), dims, outputs));
    }

    /** What the model was made from. */
    public VqVaeConfig config() {
        return config;
    }

    /** What becomes of the encoder's vectors. */
    public Quantizer quantizer() {
        return quantizers().get(0);
    }

    @Override
    List<Tensor> encoded(Tape tape, Tensor images) {
        return List.of(encoder.forward(tape, images));
    }

    @Override
    Tensor vectors(Tape tape, Tensor features, List<Tensor> above) {
        return features;
    }

    @Override
    Tensor output(Tape tape, List<Tensor> q) {
        return decoder.forward(tape, q.get(0));
    }

    // ---- codes ----

    /**
     * The shape of an image's codes: {@code [height, width]}, of sequences {@code [1, length]}, and
     * the quantizer's {@link Quantizer#books}.
     *
     * @throws IllegalArgumentException unless the model takes such images
     */
    public Shape codesShape(ImageShape of) {
        return grid(0).codes(of, quantizer().books());
    }

    /**
     * The images that codes stand for.
     *
     * @param codes {@code [height, width, books]}
     * @throws ShapeException if no image has codes of that shape
     */
    public ImageShape imageShape(Shape codes) {
        return grid(0).image(codes, quantizer().books());
    }

    /**
     * The codes of images. Not recorded.
     *
     * @param x {@code [batch, values]}
     * @param of height, width and channels of the images
     * @return i32, {@code [batch]} and {@link #codesShape}
     * @throws IllegalArgumentException unless the model takes such images
     */
    public Tensor encode(Scope scope, Tensor x, ImageShape of) {
        return quantize(Tape.inference(scope), x, of).get(0).codes();
    }

    /**
     * The codes of a whole set, in its order.
     *
     * @return {@code [size]} and {@link #codesShape}, row-major
     * @throws IllegalArgumentException unless the model takes such images
     */
    public int[] encode(ImageSet images, int batchSize) {
        Networks.require(batchSize >= 1, "batchSize must be at least 1", batchSize);
        int length = Math.toIntExact(codesShape(images.shape()).elements());
        int[] codes = new int[Math.multiplyExact(images.size(), length)];
        try (Scope scope = new Scope(device())) {
            for (int first = 0; first < images.size(); first += batchSize) {
                scope.clear();
                int count = Math.min(batchSize, images.size() - first);
                Tensor x = batch(scope, images, first, count);
                int[] some = encode(scope, x, images.shape()).toIntArray();
                System.arraycopy(some, 0, codes, first * length, some.length);
            }
        }
        return codes;
    }

    /**
     * Means of p(x|codes).
     *
     * @param codes i32, {@code [batch]} and a shape as {@link #codesShape} has it
     * @return {@code batch} images of {@link #imageShape}, row-major
     * @throws ShapeException if the codes are of another shape
     * @throws org.jlatent.JlatentException if a code is not in [0, codes of the quantizer)
     */
    public float[] decode(Scope scope, Tensor codes) {
        long[] extents = codes.shape().toArray();
        if (extents.length == 0 || codes.dtype() != DType.I32) {
            throw new ShapeException(
                    "codes must be I32, [batch, height, width] and books, got "
                            + codes.shape()
                            + " of "
                            + codes.dtype());
        }
        ImageShape shape = imageShape(Shape.of(Arrays.copyOfRange(extents, 1, extents.length)));
        Tensor vectors = quantizer().decode(scope, codes);
        Tensor parameters = decodeVectors(Tape.inference(scope), List.of(vectors));
        return likelihood().mean(parameters.toFloatArray(), shape.values());
    }

    /**
     * {@link #decode(Scope, Tensor)} of any number of images.
     *
     * @param codes as {@link #encode(ImageSet, int)} gives them
     * @param of height, width and channels of the images
     * @throws IllegalArgumentException unless the model takes such images, and there are codes for
     *     a whole number of them
     */
    public float[] decode(int[] codes, ImageShape of, int batchSize) {
        Networks.require(batchSize >= 1, "batchSize must be at least 1", batchSize);
        int length = Math.toIntExact(codesShape(of).elements());
        Networks.require(
                codes.length % length == 0,
                "images of " + of + " have " + length + " codes each",
                codes.length);
        int count = codes.length / length;
        float[] images = new float[Math.multiplyExact(count, of.values())];
        try (Scope scope = new Scope(device())) {
            for (int first = 0; first < count; first += batchSize) {
                scope.clear();
                int last = Math.min(first + batchSize, count);
                int[] some = Arrays.copyOfRange(codes, first * length, last * length);
                float[] decoded = decode(scope, scope.ofInts(batchOf(of, last - first), some));
                System.arraycopy(decoded, 0, images, first * of.values(), decoded.length);
            }
        }
        return images;
    }

    private Shape batchOf(ImageShape of, int count) {
        long[] codes = codesShape(of).toArray();
        long[] all = new long[codes.length + 1];
        all[0] = count;
        System.arraycopy(codes, 0, all, 1, codes.length);
        return Shape.of(all);
    }
}
