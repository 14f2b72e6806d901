package org.jlatent.bench;

import org.jlatent.models.VaeConfig;

/** {@link VaeStepBenchmark} of the convolutional VAE: 4x4 of stride 2 to 32 and 64 channels. */
public class ConvVaeStepBenchmark extends VaeStepBenchmark {
    @Override
    VaeConfig config() {
        return VaeConfig.convolutional();
    }
}
