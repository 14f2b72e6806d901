package org.jlatent;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** The switch is read when classes are initialised, so each setting has a process of its own. */
final class LeaksTest {

    /** Leaves a device and a scope open and closes others. */
    static final class Careless {
        private Careless() {}

        public static void main(String[] args) throws InterruptedException {
            try (Device device = Device.cpu();
                    Scope scope = new Scope(device)) {
                scope.scalar(1);
            }
            forget();
            for (int i = 0; i < 5; i++) {
                System.gc();
                Thread.sleep(100);
            }
        }

        private static void forget() {
            new Scope(Device.cpu()).scalar(1);
        }
    }

    private static String run(boolean on) throws Exception {
        String tests = Path.of(System.getProperty("basedir", ""), "target/test-classes").toString();
        Process process =
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                                "-Djlatent.leaks=" + on,
                                "-cp",
                                String.join(
                                        ":",
                                        tests,
                                        System.getProperty("java.class.path"),
                                        System.getProperty("jdk.module.path", "")),
                                Careless.class.getName())
                        .redirectErrorStream(true)
                        .start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), output);
        return output;
    }

    private static int count(String text, String part) {
        return text.split(part, -1).length - 1;
    }

    @Test
    void whatWasForgottenIsReportedWithThePlace() throws Exception {
        String output = run(true);
        assertEquals(1, count(output, "a scope on cpu .* was never closed"), output);
        assertEquals(1, count(output, "device cpu was never closed"), output);
        assertTrue(output.contains("LeaksTest$Careless.forget"), output);
    }

    @Test
    void nothingIsReportedUnlessAskedFor() throws Exception {
        assertEquals("", run(false));
    }
}
