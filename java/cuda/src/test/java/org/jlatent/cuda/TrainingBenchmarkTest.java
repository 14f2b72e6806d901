package org.jlatent.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** That the benchmark runs to its end where there is no GPU to measure; its times mean nothing. */
@Tag("stubs")
final class TrainingBenchmarkTest {
    private static double figure(String line, String name) {
        Matcher found = Pattern.compile('"' + name + "\": ([-0-9.e]+)").matcher(line);
        assertTrue(found.find(), line);
        return Double.parseDouble(found.group(1));
    }

    @Test
    void threeModelsAreTimedAndFollowTheCpu(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("training.jsonl");
        new TrainingBenchmark(file, true).run();
        List<String> lines = Files.readAllLines(file);
        assertEquals(9, lines.size(), () -> String.join("\n", lines));
        for (String line : lines) {
            if (line.contains("\"what\": \"loss\"")) {
                assertTrue(figure(line, "apart") < 1e-3, line);
            } else {
                assertEquals(0, figure(line, "allocations"), line);
            }
        }
    }
}
