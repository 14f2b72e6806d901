package org.jlatent.cuda;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jlatent.Device;
import org.jlatent.DeviceException;
import org.jlatent.GaussianOps;
import org.jlatent.Posterior;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class CudaTest {
    private final List<String> loaded = new ArrayList<>();

    private CudaLibraries machineWith(String... libraries) {
        Set<String> present = Set.of(libraries);
        return new CudaLibraries(
                name -> present.contains(name) ? null : name + ": cannot open shared object file",
                name -> "/lib/" + name,
                (cublas, cudnn) -> loaded.add(cublas + " " + cudnn),
                () -> new CudaLibraries.Kernels("libjlatent_cuda12.so", 7));
    }

    @Test
    void aMissingDriverIsNamedWithItsRemedy() {
        Optional<String> cause = machineWith("libcublas.so.12").unavailabilityCause();
        assertTrue(cause.orElseThrow().contains("libcuda.so.1"), cause.get());
        assertTrue(cause.get().contains("install the NVIDIA driver"), cause.get());
        assertEquals(List.of(), loaded, "JCuda is left alone");
    }

    @Test
    void theReportNamesEveryLibraryAndWhereItWasFound() {
        String report = String.join("\n", machineWith("libcublas.so.13", "libcudnn.so.9").report());
        assertTrue(
                report.contains("libcuda.so.1")
                        && report.contains("not found: install the NVIDIA driver"),
                report);
        assertTrue(report.contains("found 13, /lib/libcublas.so.13"), report);
        assertTrue(report.contains("found 9, /lib/libcudnn.so.9"), report);
        assertTrue(report.contains("not tried without the libraries above"), report);
    }

    @Test
    void newerCudnnAndDirectCublasArePreferredAndLoadedOnce() {
        CudaLibraries all =
                machineWith(
                        "libcuda.so.1",
                        "libcublas.so.12",
                        "libcublas.so.13",
                        "libcudnn.so.8",
                        "libcudnn.so.9");
        assertEquals(Optional.empty(), all.unavailabilityCause());
        assertEquals(Optional.empty(), all.unavailabilityCause());
        assertEquals(List.of("libcublas.so.12 libcudnn.so.9"), loaded);
        assertEquals(7, all.kernels());
        assertTrue(
                String.join("\n", all.report()).endsWith(" ok, libjlatent_cuda12.so"),
                () -> "" + all.report());
    }

    @Test
    void askingNeverThrowsAndOpeningThrowsTheCause() {
        assertDoesNotThrow(Cuda::report);
        assumeFalse(Cuda.isAvailable(), "this machine has a CUDA device");
        String cause = Cuda.unavailabilityCause().orElseThrow();
        DeviceException opened = assertThrows(DeviceException.class, Cuda::open);
        assertTrue(opened.getMessage().contains(cause), opened.getMessage());
        DeviceException device = assertThrows(DeviceException.class, Device::cuda);
        assertTrue(device.getMessage().contains(cause), device.getMessage());
        try (Device best = Device.best()) {
            assertEquals("cpu", best.kind());
        }
    }

    @Test
    void aDamagedJcudaLibraryIsNamed(@TempDir Path folder) throws IOException {
        Path damaged = Files.writeString(folder.resolve("libJCudaDriver.so"), "not a library");
        DeviceException e =
                assertThrows(DeviceException.class, () -> JCudaNatives.requireOpens(damaged));
        assertTrue(e.getMessage().contains(damaged.toString()), e.getMessage());
    }

    @Test
    @Tag("cuda")
    void gaussianOnAStreamEqualsTheCpu() {
        assumeTrue(Cuda.isAvailable(), () -> "skipped: " + Cuda.unavailabilityCause().orElse(""));
        try (Device cuda = Cuda.open();
                Device cpu = Device.cpu()) {
            float[][] onGpu = sample(cuda);
            float[][] onCpu = sample(cpu);
            for (int i = 0; i < onCpu.length; i++) {
                for (int k = 0; k < onCpu[i].length; k++) {
                    // The normals agree to 1e-5; sums of up to 1000 terms to as much of their size.
                    assertEquals(
                            onCpu[i][k], onGpu[i][k], 2e-5 * Math.max(1, Math.abs(onCpu[i][k])));
                }
            }
        }
    }

    private static float[][] sample(Device device) {
        try (Scope scope = new Scope(device)) {
            Shape shape = Shape.of(50, 20);
            float[] mu = new float[1000];
            float[] logVar = new float[1000];
            for (int i = 0; i < mu.length; i++) {
                mu[i] = (float) Math.sin(i);
                logVar[i] = (float) Math.cos(i);
            }
            Tensor m = scope.of(shape, mu);
            GaussianOps.Result r =
                    GaussianOps.forward(
                            scope,
                            Posterior.of(m, scope.of(shape, logVar)),
                            GaussianOps.Options.plain(),
                            new Random(scope, 7),
                            null,
                            null);
            return new float[][] {
                r.z().toFloatArray(), r.klRows().toFloatArray(), r.klTotal().toFloatArray()
            };
        }
    }
}
