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

    @Override
    public Optional<String> unavailabilityCause() {
        return Cuda.unavailabilityCause();
    }

    @Override
    public Backend open() {
        return Cuda.backend(CudaOptions.defaults());
    }
}
