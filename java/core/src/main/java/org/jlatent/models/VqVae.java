package org.jlatent.models;

import java.util.Arrays;
import java.util.List;
import org.jlatent.Scope;
import org.jlatent.Shape;
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

    // ---- codes: those of the only map ----

    /** {@link #codesShape(int, ImageShape)}. */
    public Shape codesShape(ImageShape of) {
        return codesShape(0, of);
    }

    /** {@link #imageShape(int, Shape)}. */
    public ImageShape imageShape(Shape codes) {
        return imageShape(0, codes);
    }

    /**
     * {@link #encodeMaps(Scope, Tensor, ImageShape)}.
     *
     * @return i32, {@code [batch]} and {@link #codesShape}
     */
    public Tensor encode(Scope scope, Tensor x, ImageShape of) {
        Tensor codes = encodeMaps(scope, x, of).get(0);
        return codes.reshape(
                CodeBatches.withBooks(codes.shape().withoutLast(), quantizer().books()));
    }

    /** {@link #encodeMaps(ImageSet, int)}. */
    public int[] encode(ImageSet images, int batchSize) {
        return encodeMaps(images, batchSize)[0];
    }

    /**
     * {@link #decodeMaps(Scope, List)}.
     *
     * @param codes i32, {@code [batch]} and a shape as {@link #codesShape} has it
     */
    public float[] decode(Scope scope, Tensor codes) {
        long[] s = codes.shape().toArray();
        imageShape(Shape.of(Arrays.copyOfRange(s, Math.min(1, s.length), s.length)));
        Shape flat = Shape.of(s[0], s[1], s[2], quantizer().books().elements());
        return decodeMaps(scope, List.of(codes.reshape(flat)));
    }

    /** {@link #decodeMaps(int[][], ImageShape, int)}. */
    public float[] decode(int[] codes, ImageShape of, int batchSize) {
        return decodeMaps(new int[][] {codes}, of, batchSize);
    }
}
