package org.jlatent.cuda;

import java.util.Optional;
import org.jlatent.spi.Backend;
import org.jlatent.spi.BackendProvider;

/** Tells {@link org.jlatent.Device} about CUDA. */
public final class CudaProvider implements BackendProvider {

    @Override
    public String kind() {
        return "cuda";
    }

    /**
     * A device for whole models needs matrix products, which {@link CudaBackend} does not have yet.
     */
    @Override
    public Optional<String> unavailabilityCause() {
        return Cuda.unavailabilityCause()
                .or(
                        () ->
                                Optional.of(
                                        "this version runs single kernels on the GPU (Cuda.open()), but trains on the CPU only"));
    }

    @Override
    public Backend open() {
        return Cuda.open().backend();
    }
}
