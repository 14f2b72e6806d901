package org.jlatent.cli;

import java.util.List;
import org.jlatent.Activation;

/** Settings of networks, the same for every model that has one. */
final class NetworkSettings {
    static final Settings.Key<int[]> CHANNELS =
            Settings.widths(
                    "channels", "", "of 4x4 convolutions of stride 2, such as 32-64; empty: none");
    static final Settings.Key<int[]> HIDDEN =
            Settings.widths(
                    "hidden", "400", "widths of the encoder's linear layers, such as 200-200");
    static final Settings.Key<Integer> LATENT =
            Settings.integer("latent", 20, 1, "latent dimensions");
    static final Settings.Key<Activation> ACTIVATION =
            Settings.activation("activation", Activation.RELU, "between layers");

    static final List<Settings.Key<?>> KEYS = List.of(CHANNELS, HIDDEN, LATENT, ACTIVATION);

    private NetworkSettings() {}
}
