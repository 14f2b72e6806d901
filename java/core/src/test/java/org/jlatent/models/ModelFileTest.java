package org.jlatent.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jlatent.Device;
import org.jlatent.JlatentException;
import org.jlatent.OnEveryDevice;
import org.jlatent.Scope;
import org.jlatent.TestDevice;
import org.jlatent.data.ImageShape;
import org.jlatent.io.Safetensors;
import org.jlatent.nn.Init;
import org.jlatent.nn.Module;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Weights that go to a file and come back. */
@OnEveryDevice
final class ModelFileTest {
    private static final ImageShape SHAPE = new ImageShape(8, 8, 1);

    private final Device device = TestDevice.open();
    private final Scope scope = new Scope(device);
    @TempDir private Path folder;

    @AfterEach
    void close() {
        scope.close();
        device.close();
    }

    private Vae vae(int latent, long seed) {
        VaeConfig config = VaeConfig.defaults().withHidden(5).withLatent(latent);
        return new Vae(new Init(scope, seed), SHAPE, config, 1);
    }

    private static Map<String, float[]> values(Module module) {
        Map<String, float[]> values = new LinkedHashMap<>();
        module.parameters().forEach((name, tensor) -> values.put(name, tensor.toFloatArray()));
        return values;
    }

    private static void assertSame(Map<String, float[]> expected, Module module) {
        Map<String, float[]> found = values(module);
        assertEquals(expected.keySet(), found.keySet());
        expected.forEach((name, value) -> assertArrayEquals(value, found.get(name), name));
    }

    private static void fails(String words, Module module, Path file) {
        Map<String, float[]> before = values(module);
        String message = assertThrows(JlatentException.class, () -> module.load(file)).getMessage();
        assertTrue(message.contains(words), message);
        assertSame(before, module);
    }

    @Test
    void whatIsSavedIsLoaded() {
        Vae saved = vae(3, 1);
        Path file = folder.resolve("vae.safetensors");
        saved.save(file);
        Vae loaded = vae(3, 2);
        loaded.load(file);
        assertSame(values(saved), loaded);
    }

    /** A codebook of moving averages is a buffer, and counts are whole numbers. */
    @Test
    void buffersAreStateToo() {
        VqVae saved = new VqVae(new Init(scope, 1), SHAPE, VqVaeTest.small(), 1);
        saved.prepare(VqVaeTest.set(5, SHAPE), 1);
        Path file = folder.resolve("codes.safetensors");
        saved.save(file);
        VqVae loaded = new VqVae(new Init(scope, 2), SHAPE, VqVaeTest.small(), 1);
        loaded.load(file);
        assertTrue(saved.state().size() > saved.parameters().size());
        Path again = folder.resolve("again.safetensors");
        loaded.save(again);
        assertArrayEquals(bytes(file), bytes(again));
    }

    @Test
    void anotherModelsFileChangesNothing() throws IOException {
        Path file = folder.resolve("vae.safetensors");
        vae(3, 1).save(file);
        fails("encoder", vae(4, 2), file);
        GatedPixelCnn other =
                new GatedPixelCnn(new Init(scope, 1), SHAPE, TinyPixelModels.small(), 1);
        fails("holds no parameter network.", other, file);
        List<Safetensors.Entry> more = new ArrayList<>(Safetensors.read(file).values());
        more.add(Safetensors.Entry.ofFloats("more", new long[] {1}, new float[] {2}));
        Safetensors.write(file, more, Map.of());
        fails("unknown parameters [more]", vae(3, 2), file);
        fails("does not exist", vae(3, 2), folder.resolve("none"));
        Files.write(file, new byte[] {1, 2, 3});
        fails(file.toString(), vae(3, 2), file);
    }

    private static byte[] bytes(Path file) {
        try {
            return Files.readAllBytes(file);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }
}
