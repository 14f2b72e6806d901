package org.jlatent.models;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.jlatent.Activation;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.Conv2d;
import org.jlatent.nn.ConvTranspose2d;
import org.jlatent.nn.Functions;
import org.jlatent.nn.Init;
import org.jlatent.nn.Sequential;

/**
 * Hierarchical vector-quantized autoencoder, VQ-VAE-2 [Razavi et al. 2019, sec. 3.1, alg. 1]: a top
 * map of few codes for what an image is of, and below it one or two maps of more for what it looks
 * like from near.
 *
 * <p>Encoders go from the image to the bottom map's size, and from there to half of it, and again.
 * The top map is quantized first. What a decoder makes of the maps so far, at twice the size, joins
 * the features that the next map is made of; so that map has to say only what those above left out.
 * The last decoder sees all maps, the upper ones doubled by transposed convolutions until they fit.
 *
 * <p>Parameters, with the maps' names: {@code encoder.top.*}, {@code vectors.top.*}, {@code
 * quantizer.top.*}, {@code decoder.top.*} and {@code doubled.top.*} to the map below; {@code
 * decoder.bottom.*} to the image.
 */
public final class VqVae2 extends QuantizedModel {
    private final VqVae2Config config;
    private final List<Sequential> encoders = new ArrayList<>(); // of maps, as the others
    private final List<Conv2d> vectors = new ArrayList<>();
    private final List<Sequential> decoders = new ArrayList<>();
    private final List<ConvTranspose2d> doubled = new ArrayList<>();

    /**
     * A model with fresh parameters.
     *
     * @param init owns the parameters
     * @param image what it is to be trained on
     * @param seed of what the quantizers draw
     * @throws IllegalArgumentException unless 2^(levels + maps - 1) divides the sides of the image
     */
    public VqVae2(Init init, ImageShape image, VqVae2Config config, long seed) {
        super(init, image, config.network(), config.maps(), seed);
        this.config = config;
        VqVaeConfig network = config.network();
        ResidualNetworks networks = new ResidualNetworks(init, image, network);
        int hidden = network.hidden();
        int last = config.maps() - 1;
        int joined = 0; // dims of this map and of those above
        for (int map = 0; map <= last; map++) {
            String name = "." + maps().get(map);
            int dims = Math.toIntExact(quantizers().get(map).dims());
            boolean bottom = map == last;
            encoders.add(
                    child(
                            "encoder" + name,
                            bottom
                                    ? networks.features(network.levels(), image.channels())
                                    : networks.features(1, hidden)));
            int seen = map == 0 ? hidden : 2 * hidden; // with what the map above says
            vectors.add(child("vectors" + name, networks.vectors(seen, dims)));
            child("quantizer" + name, quantizers().get(map));
            joined += dims;
            if (bottom) {
                int outputs = network.likelihood().parametersPerPixel(image.channels());
                decoders.add(
                        child(
                                "decoder" + name,
                                networks.decoder(network.levels(), joined, outputs)));
            } else {
                decoders.add(child("decoder" + name, networks.decoder(1, joined, hidden)));
                doubled.add(
                        child(
                                "doubled" + name,
                                networks.doubled(joined, joined, Activation.IDENTITY)));
            }
        }
    }

    /** What the model was made from. */
    public VqVae2Config config() {
        return config;
    }

    @Override
    List<Tensor> encoded(Tape tape, Tensor images) {
        List<Tensor> features = new ArrayList<>();
        Tensor x = images;
        for (int map = encoders.size() - 1; map >= 0; map--) {
            x = encoders.get(map).forward(tape, x);
            features.add(x);
        }
        Collections.reverse(features);
        return features;
    }

    @Override
    Tensor vectors(Tape tape, Tensor features, List<Tensor> above) {
        int map = above.size();
        Tensor seen = features;
        if (map > 0) {
            Tensor said = decoders.get(map - 1).forward(tape, joined(tape, above));
            seen = Functions.concat(tape, 3, features, said);
        }
        return vectors.get(map).forward(tape, seen);
    }

    @Override
    Tensor output(Tape tape, List<Tensor> q) {
        return decoders.get(q.size() - 1).forward(tape, joined(tape, q));
    }

    /** Maps at the size of the last of them, {@code [batch, height, width, sum of dims]}. */
    private Tensor joined(Tape tape, List<Tensor> q) {
        Tensor joined = q.get(0);
        for (int map = 1; map < q.size(); map++) {
            Tensor above = doubled.get(map - 1).forward(tape, joined);
            joined = Functions.concat(tape, 3, q.get(map), above);
        }
        return joined;
    }
}
