package org.jlatent.models;

import java.util.Objects;

/**
 * The shape and objective of a {@link VqVae2}: {@code VqVae2Config.defaults().withMaps(3)}.
 *
 * @param maps of codes: 2, top and bottom, or 3
 * @param network the encoders and decoders; each map's quantizer; {@code levels} are the halvings
 *     from the image to the bottom map, the one with the most codes
 */
public record VqVae2Config(int maps, VqVaeConfig network) {
    public VqVae2Config {
        Networks.require(maps == 2 || maps == 3, "maps must be 2 or 3", maps);
        Objects.requireNonNull(network, "network");
    }

    /** Two maps, {@link VqVaeConfig#defaults}: 8 pixels each way a top code, 4 a bottom code. */
    public static VqVae2Config defaults() {
        return new VqVae2Config(2, VqVaeConfig.defaults());
    }

    /** Maps of codes. */
    public VqVae2Config withMaps(int count) {
        return new VqVae2Config(count, network);
    }

    /** Encoders, decoders and quantizers. */
    public VqVae2Config withNetwork(VqVaeConfig shape) {
        return new VqVae2Config(maps, shape);
    }
}
