package org.jlatent.internal;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import org.jlatent.JlatentException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class NativeLibrariesTest {
    private static final String KEY = "0123456789abcdef0123";

    @TempDir Path cache;

    @BeforeEach
    void useAnotherCache() {
        System.setProperty("jlatent.cache", cache.toString());
    }

    @AfterEach
    void useTheUsualCache() {
        System.clearProperty("jlatent.cache");
    }

    private static byte[] content(String name) {
        byte[] bytes = new byte[300_000];
        Arrays.fill(bytes, (byte) name.charAt(0));
        return bytes;
    }

    @Test
    void manyStartAtOnceAndAllFindWholeFiles() throws Exception {
        int starters = 8;
        CyclicBarrier together = new CyclicBarrier(starters);
        Callable<Path> start =
                () -> {
                    together.await();
                    return NativeLibraries.unpack(
                            KEY,
                            List.of("a", "b"),
                            name -> new ByteArrayInputStream(content(name)));
                };
        ExecutorService executor = Executors.newFixedThreadPool(starters);
        try {
            for (Future<Path> folder :
                    executor.invokeAll(java.util.Collections.nCopies(starters, start))) {
                assertEquals(cache.resolve("0123456789abcdef"), folder.get());
                assertArrayEquals(content("a"), Files.readAllBytes(folder.get().resolve("a")));
                assertArrayEquals(content("b"), Files.readAllBytes(folder.get().resolve("b")));
            }
        } finally {
            executor.shutdown();
        }
        try (Stream<Path> left = Files.list(cache)) {
            assertEquals(1, left.count(), "the losers' folders are gone");
        }
    }

    @Test
    void whatFailsLeavesNothingBehind() throws IOException {
        JlatentException e =
                assertThrows(
                        JlatentException.class,
                        () ->
                                NativeLibraries.unpack(
                                        KEY,
                                        List.of("a"),
                                        name -> {
                                            throw new IOException("disk full");
                                        }));
        assertTrue(
                e.getMessage().contains("disk full") && e.getMessage().contains(cache.toString()),
                e.getMessage());
        try (Stream<Path> left = Files.list(cache)) {
            assertEquals(0, left.count());
        }
    }

    @Test
    void librariesThatDoNotOpenAreNamed() throws IOException {
        Path text = Files.writeString(cache.resolve("libtext.so"), "no library");
        UnsupportedPlatformException e =
                assertThrows(UnsupportedPlatformException.class, () -> Native.openKernels(text));
        assertTrue(e.getMessage().contains(text.toString()), e.getMessage());
        assertTrue(
                Native.probe("libnothing-of-this-name.so").contains("libnothing-of-this-name.so"));
    }

    /** A jar that no module requires is on the module path, but not in the module graph. */
    @Test
    void aJarOnTheModulePathIsFoundByName() throws IOException {
        Manifest manifest = new Manifest();
        manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
        manifest.getMainAttributes().putValue("Automatic-Module-Name", "some.natives");
        Path jar = cache.resolve("natives.jar");
        try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar), manifest)) {
            out.putNextEntry(new ZipEntry("org/jlatent/native/linux-x86_64/some.file"));
            out.write(content("a"));
        }
        String before = System.getProperty("jdk.module.path");
        System.setProperty("jdk.module.path", cache.resolve("nothing") + ":" + cache);
        try (InputStream in =
                NativeLibraries.resource(Native.class, "some.natives", "some.file").orElseThrow()) {
            assertArrayEquals(content("a"), in.readAllBytes());
            assertTrue(NativeLibraries.resource(Native.class, "some.natives", "other").isEmpty());
            assertTrue(NativeLibraries.resource(Native.class, "other", "some.file").isEmpty());
        } finally {
            if (before == null) {
                System.clearProperty("jdk.module.path");
            } else {
                System.setProperty("jdk.module.path", before);
            }
        }
    }
}
