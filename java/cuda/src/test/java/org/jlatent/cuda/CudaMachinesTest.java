package org.jlatent.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jlatent.Activation;
import org.jlatent.ConvOps;
import org.jlatent.Device;
import org.jlatent.JlatentException;
import org.jlatent.Ops;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Machines with one set of libraries or another, each a process of its own whose LD_LIBRARY_PATH
 * holds stubs.
 */
final class CudaMachinesTest {
    private static final Path BUILD = Path.of(System.getProperty("jlatent.native.build"));

    @TempDir Path cache;

    /** What such a process runs: a product and a convolution, or the reason why not. */
    static final class Child {
        private Child() {}

        public static void main(String[] args) {
            Cuda.report().forEach(System.out::println);
            try (Device cuda = Device.cuda();
                    Scope scope = new Scope(cuda)) {
                Tensor x = scope.of(Shape.of(1, 2, 2, 1), 1, 2, 3, 4);
                Tensor two = scope.of(Shape.of(1, 1, 1, 1), 2);
                ConvOps.Options plain = ConvOps.Options.plain();
                Tensor doubled = ConvOps.forward(scope, x, two, null, plain, Activation.IDENTITY);
                Tensor matrix = doubled.reshape(Shape.of(2, 2));
                Tensor squared =
                        Ops.matmul(scope, matrix, false, matrix, false, null, Activation.IDENTITY);
                System.out.println(squared);
            } catch (JlatentException e) {
                System.out.println("refused: " + e.getMessage());
            }
        }
    }

    private String run(String libraries, String... options)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.add("-Djlatent.cuda.library=" + BUILD.resolve("lib/test/libjlatent_emulated.so"));
        command.add("-Djlatent.cache=" + cache);
        command.addAll(List.of(options));
        String path =
                Stream.of("java.class.path", "jdk.module.path")
                        .map(name -> System.getProperty(name, ""))
                        .collect(Collectors.joining(File.pathSeparator));
        Path classes =
                Path.of(
                        CudaMachinesTest.class
                                .getProtectionDomain()
                                .getCodeSource()
                                .getLocation()
                                .getPath());
        Path tests = classes.resolveSibling("test-classes");
        command.addAll(List.of("-cp", path + File.pathSeparator + tests, Child.class.getName()));
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        String folders =
                libraries.isEmpty()
                        ? ""
                        : Stream.of(libraries.split("\\+", -1))
                                .map(name -> BUILD.resolve("lib/stubs").resolve(name).toString())
                                .collect(Collectors.joining(":"));
        builder.environment().put("LD_LIBRARY_PATH", folders);
        builder.environment().remove("JLATENT_STUBS");
        Process process = builder.start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), said);
        assertFalse(said.contains("UnsatisfiedLinkError"), said);
        assertFalse(said.contains("NoClassDefFoundError"), said);
        return said;
    }

    /** CUDA 12 and 13, cuDNN 8 and 9: direct, through the forwarder, with natives of their own. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "cuda+cublas12+cudnn9",
                "cuda+cublas13+cudnn9",
                "cuda+cublas12+cudnn8",
                "cuda+cublas13+cudnn8",
                "cuda+cublas12+cublas13+cudnn8+cudnn9"
            })
    void everyPairOfLibrariesWorks(String libraries) throws Exception {
        String said = run(libraries);
        // [2 4; 6 8] squared
        assertTrue(said.contains("[28.0, 40.0, 60.0, 88.0]"), said);
        for (String library : List.of(libraries.split("\\+", -1))) {
            boolean preferred =
                    !libraries.contains("cublas12+cublas13")
                            || !(library.equals("cublas13") || library.equals("cudnn8"));
            assertEquals(preferred, said.contains("/stubs/" + library + "/"), said);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "'', libcuda.so.1, install the NVIDIA driver",
        "cublas12+cudnn9, libcuda.so.1, install the NVIDIA driver",
        "cuda+cudnn9, libcublas.so.12 or libcublas.so.13, install cuBLAS",
        "cuda+cublas13, libcudnn.so.9 or libcudnn.so.8, install cuDNN"
    })
    void aMissingLibraryIsNamedWithItsRemedy(String libraries, String name, String remedy)
            throws Exception {
        String said = run(libraries);
        String refused = said.substring(said.indexOf("refused: "));
        assertTrue(refused.contains(name + " ("), said);
        assertTrue(refused.contains(remedy), said);
        assertTrue(said.contains("not found: " + remedy), said);
        assertTrue(said.contains("not tried without the libraries above"), said);
    }

    /** A file of the right name that is no library, or one of another version. */
    @Test
    void aWrongLibraryIsAMissingOne(@TempDir Path wrong) throws Exception {
        Files.writeString(wrong.resolve("libcudnn.so.9"), "not a library");
        String name = BUILD.resolve("lib/stubs").relativize(wrong).toString();
        String said = run("cuda+cublas12+" + name);
        assertTrue(said.contains("refused: ") && said.contains("libcudnn.so.9"), said);
        Files.delete(wrong.resolve("libcudnn.so.9"));
        // cuDNN 8 under the name of 9: it opens, but JCudnn's library finds other versions in it.
        Files.copy(BUILD.resolve("lib/stubs/cudnn8/libcudnn.so.8"), wrong.resolve("libcudnn.so.9"));
        said = run("cuda+cublas12+" + name);
        assertTrue(said.contains("refused: CUDA is not available: JCuda cannot be used"), said);
        assertTrue(said.contains("libcudnn.so.9"), said);
    }

    @Test
    void kernelsThatDoNotOpenAreNamed() throws Exception {
        String said = run("cuda+cublas12+cudnn9", "-Djlatent.cuda.library=/no/such.so");
        assertTrue(said.contains("refused: ") && said.contains("/no/such.so"), said);
    }

    /** Nothing of ours or JCuda's goes to the common temporary folder. */
    @Test
    void nativesLieInOurOwnFolder(@TempDir Path temporary) throws Exception {
        String said = run("cuda+cublas13+cudnn9", "-Djava.io.tmpdir=" + temporary);
        assertTrue(said.contains("[28.0, 40.0, 60.0, 88.0]"), said);
        try (Stream<Path> left = Files.list(temporary)) {
            assertEquals(
                    List.of(),
                    left.filter(p -> !p.getFileName().toString().startsWith("hsperf")).toList());
        }
    }
}
