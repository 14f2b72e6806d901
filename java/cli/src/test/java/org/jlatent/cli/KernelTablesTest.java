package org.jlatent.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The same training on every table of kernels. A process opens one table for good, so each runs in
 * its own.
 */
final class KernelTablesTest {
    /** Test ELBO after 150 steps, measured on AVX-512; other instruction sets round differently. */
    private static final double ELBO = -151.545;

    @TempDir Path folder;

    private static List<String> vae(int steps) {
        String number = Integer.toString(steps);
        return List.of(
                "vae",
                "--data",
                "sprites",
                "--steps",
                number,
                "--set",
                "hidden=64",
                "--set",
                "latent=8");
    }

    private Map<String, Object> train(
            Map<String, String> environment, List<String> properties, List<String> model)
            throws IOException, InterruptedException {
        List<String> command =
                new ArrayList<>(
                        List.of(
                                Path.of(System.getProperty("java.home"), "bin", "java")
                                        .toString()));
        command.addAll(properties);
        String path = System.getProperty("java.class.path");
        String modules = System.getProperty("jdk.module.path", "");
        command.addAll(List.of("-cp", path + ":" + modules, Main.class.getName()));
        command.add("train");
        command.addAll(model);
        command.addAll(List.of("--device", "cpu", "--seed", "1", "--json"));
        command.addAll(List.of("--out", folder.resolve("run").toString()));
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.environment().putAll(environment);
        Path log = folder.resolve("log");
        Process process = builder.redirectError(log.toFile()).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        int code = process.waitFor();
        String said = Files.readString(log);
        assumeFalse(said.contains("this processor does not have"), said);
        assertEquals(0, code, said);
        return RunFolder.parse(output.lines().reduce((a, b) -> b).orElseThrow());
    }

    @ParameterizedTest
    @ValueSource(strings = {"amx", "avx512", "avx2", "baseline"})
    void everyInstructionSetLearnsAsWell(String isa) throws Exception {
        Map<String, Object> results = train(Map.of("JLATENT_ISA", isa), List.of(), vae(150));
        assertEquals("cpu (cpu-" + isa + ")", results.get("device"));
        assertEquals(ELBO, (Double) results.get("elbo"), 0.05);
    }

    /** The same few steps through the emulated kernels, and then through the CPU's. */
    private List<Map<String, Object>> onBoth(List<String> model) throws Exception {
        Path library =
                Path.of(
                        System.getProperty("jlatent.native.build"),
                        "lib/test/libjlatent_emulated.so");
        assertTrue(Files.exists(library), () -> library + " was not built");
        List<String> properties = List.of("-Djlatent.kernels=" + library);
        Map<String, Object> emulated = train(Map.of(), properties, model);
        assertEquals("cpu (emulated)", emulated.get("device"));
        Files.move(folder.resolve("run"), folder.resolve("emulated"));
        return List.of(emulated, train(Map.of(), List.of(), model));
    }

    @Test
    void theEmulatedCudaKernelsTrainLikeTheCpu() throws Exception {
        List<Map<String, Object>> both = onBoth(vae(3));
        Map<String, Object> emulated = both.get(0);
        Map<String, Object> cpu = both.get(1);
        assertEquals((Double) cpu.get("elbo"), (Double) emulated.get("elbo"), 0.01);
        assertEquals((Double) cpu.get("kl"), (Double) emulated.get("kl"), 1e-4);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "pixel-cnn head=16",
                "gated-pixel-cnn head=16",
                "gated-pixel-cnn attention=2 dropout=0.1",
                "pixel-cnn-pp scales=2 blocks=1 features=8 dropout=0.1",
                "pixel-vae",
                "pixel-rnn"
            })
    void theEmulatedCudaKernelsTrainPixelsGivenPixelsLikeTheCpu(String model) throws Exception {
        Path data = Files.write(folder.resolve("tiny.idx"), CommandTest.idx(40, 6));
        List<String> words = List.of(model.split(" "));
        List<String> few =
                new ArrayList<>(List.of(words.get(0), "--data", data.toString(), "--steps", "3"));
        few.addAll(List.of("--set", "batch=8"));
        words.subList(1, words.size()).forEach(setting -> few.addAll(List.of("--set", setting)));
        List<Map<String, Object>> both = onBoth(few);
        String figure = model.equals("pixel-vae") ? "elbo" : "nll";
        double cpu = (Double) both.get(1).get(figure);
        assertEquals(cpu, (Double) both.get(0).get(figure), 1e-4);
        byte[] samples = Files.readAllBytes(folder.resolve("run/samples.png"));
        assertArrayEquals(samples, Files.readAllBytes(folder.resolve("emulated/samples.png")));
    }

    /** A prior of codes that the CPU has learned: the same losses, the same images. */
    @Test
    void theEmulatedCudaKernelsTrainAPriorLikeTheCpu() throws Exception {
        Path data = Files.write(folder.resolve("tiny.idx"), CommandTest.idx(40, 8));
        String codes = folder.resolve("codes").toString();
        List<String> small = List.of("--data", data.toString(), "--set", "batch=8", "--steps", "3");
        List<String> first = new ArrayList<>(List.of("vq-vae", "--set", "hidden=8"));
        first.addAll(small);
        train(Map.of(), List.of(), first);
        Files.move(folder.resolve("run"), Path.of(codes));
        List<String> prior = new ArrayList<>(List.of("prior", "--on", codes));
        for (String setting : List.of("layers=2", "attention=4", "dropout=0.1")) {
            prior.addAll(List.of("--set", setting));
        }
        prior.addAll(small);
        List<Map<String, Object>> both = onBoth(prior);
        for (String figure : List.of("bits_per_code", "histogram_bits_per_code")) {
            double expected = (Double) both.get(1).get(figure);
            assertEquals(expected, (Double) both.get(0).get(figure), 1e-4, figure);
        }
        BufferedImage cpu = ImageIO.read(folder.resolve("run/samples.png").toFile());
        BufferedImage emulated = ImageIO.read(folder.resolve("emulated/samples.png").toFile());
        for (int y = 0; y < cpu.getHeight(); y++) {
            for (int x = 0; x < cpu.getWidth(); x++) {
                int grey = cpu.getRGB(x, y) & 0xff;
                assertEquals(grey, emulated.getRGB(x, y) & 0xff, 1, "at " + x + ", " + y);
            }
        }
    }

    @Test
    void theEmulatedCudaKernelsTrainMapsOfCodesLikeTheCpu() throws Exception {
        Path data = Files.write(folder.resolve("tiny.idx"), MainTest.idx(40, 12));
        List<String> few = new ArrayList<>(List.of("vq-vae-2", "--data", data.toString()));
        few.addAll(List.of("--steps", "3"));
        for (String setting : List.of("levels=1", "hidden=8", "codes=16", "dims=4", "batch=8")) {
            few.addAll(List.of("--set", setting));
        }
        List<Map<String, Object>> both = onBoth(few);
        double cpu = (Double) both.get(1).get("squared_error");
        assertEquals(cpu, (Double) both.get(0).get("squared_error"), 1e-4);
    }

    @Test
    void anUnknownInstructionSetIsNamed() throws IOException, InterruptedException {
        ProcessBuilder builder =
                new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        System.getProperty("java.class.path")
                                + ":"
                                + System.getProperty("jdk.module.path", ""),
                        Main.class.getName(),
                        "doctor");
        builder.environment().put("JLATENT_ISA", "mmx");
        Process process = builder.redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(1, process.waitFor());
        assertTrue(output.contains("JLATENT_ISA must be amx, avx512, avx2 or baseline"), output);
    }
}
