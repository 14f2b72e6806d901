package org.jlatent.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

final class SpritesTest {
    private final Sprites sprites = new Sprites(64);

    private static Map<List<Integer>, Integer> indexByFactors() {
        Map<List<Integer>, Integer> all = new HashMap<>();
        for (int i = 0; i < new Sprites(8).size(); i++) {
            all.put(Arrays.stream(Sprites.factors(i)).boxed().toList(), i);
        }
        return all;
    }

    @Test
    void everyCombinationOfFactorsOccursOnce() {
        int[] sizes = Sprites.factorSizes();
        assertEquals(IntStream.of(sizes).reduce(1, (a, b) -> a * b), sprites.size());
        assertEquals(sprites.size(), indexByFactors().size());
    }

    @Test
    void areasAreThoseOfTheShapes() {
        Map<List<Integer>, Integer> index = indexByFactors();
        for (int scale = 0; scale < 4; scale++) {
            double radius = (0.12 + 0.04 * scale) * 64;
            for (int rotation = 0; rotation < 16; rotation += 3) {
                assertEquals(
                        2.56 * radius * radius,
                        area(index.get(List.of(0, scale, rotation, 8, 8))),
                        0.03 * radius * radius);
                double heart = (4 + Math.PI) * 0.3025 * radius * radius;
                assertEquals(
                        heart,
                        area(index.get(List.of(2, scale, rotation, 8, 8))),
                        0.03 * radius * radius);
                assertEquals(
                        Math.PI / 2 * radius * radius,
                        area(index.get(List.of(1, scale, rotation, 8, 8))),
                        0.04 * radius * radius);
            }
        }
    }

    @Test
    void theHeartPointsDownAndTurns() {
        Map<List<Integer>, Integer> index = indexByFactors();
        double[] skew = new double[2]; // third moment of the rows: positive where the tip is down
        for (int turned = 0; turned < 2; turned++) { // by half a turn
            int image = index.get(List.of(2, 3, 8 * turned, 8, 8));
            float[] pixels = image(image);
            double centre = centre(image)[1];
            for (int i = 0; i < pixels.length; i++) {
                skew[turned] += pixels[i] * Math.pow(Math.floorDiv(i, 64) + 0.5 - centre, 3);
            }
        }
        assertTrue(skew[0] > 0, () -> Arrays.toString(skew));
        assertEquals(-skew[0], skew[1], 0.02 * skew[0]);
    }

    /** What is drawn is part of every figure measured on it: this changes only with intent. */
    @Test
    void theImagesAreTheseOnes() {
        Sprites small = new Sprites(32);
        float[] pixels = new float[small.dimensions()];
        int hash = 1;
        for (int i = 0; i < small.size(); i += 101) {
            small.read(i, pixels, 0);
            for (float pixel : pixels) {
                hash = 31 * hash + Math.round(100 * pixel);
            }
        }
        assertEquals(1_733_154_543, hash);
    }

    private double area(int index) {
        double sum = 0;
        for (float pixel : image(index)) {
            sum += pixel;
        }
        return sum;
    }

    private float[] image(int index) {
        float[] pixels = new float[sprites.dimensions()];
        sprites.read(index, pixels, 0);
        return pixels;
    }

    @Test
    void positionMovesTheCentre() {
        Map<List<Integer>, Integer> index = indexByFactors();
        double[] left = centre(index.get(List.of(1, 2, 5, 0, 4)));
        double[] right = centre(index.get(List.of(1, 2, 5, 15, 4)));
        assertEquals(0.4 * 64, right[0] - left[0], 0.05);
        assertEquals(left[1], right[1], 0.05);
        double[] low = centre(index.get(List.of(1, 2, 5, 0, 15)));
        assertEquals(0.4 * 64 * 11 / 15, low[1] - left[1], 0.05);
    }

    private double[] centre(int index) {
        float[] pixels = image(index);
        double sum = 0;
        double x = 0;
        double y = 0;
        for (int i = 0; i < pixels.length; i++) {
            sum += pixels[i];
            x += pixels[i] * (i % 64 + 0.5);
            y += pixels[i] * (Math.floorDiv(i, 64) + 0.5);
        }
        return new double[] {x / sum, y / sum};
    }

    @Test
    void shapesStayInsideAndValuesInRange() {
        for (int i = 0; i < sprites.size(); i += 7) {
            float[] pixels = image(i);
            float sum = 0;
            for (int p = 0; p < pixels.length; p++) {
                assertTrue(pixels[p] >= 0 && pixels[p] <= 1);
                boolean border = p < 64 || p >= 63 * 64 || p % 64 == 0 || p % 64 == 63;
                assertTrue(!border || pixels[p] == 0, "image " + i + " touches the border");
                sum += pixels[p];
            }
            assertTrue(sum > 20, "image " + i + " is empty");
        }
    }

    @Test
    void theBoundingBoxCutsNothingOff() {
        // A shape drawn in the middle is the same as one drawn elsewhere, moved by whole pixels:
        // 24/60 of an edge a step.
        Sprites aligned = new Sprites(600);
        Map<List<Integer>, Integer> index = indexByFactors();
        for (int shape = 0; shape < 3; shape++) {
            float[] a = new float[600 * 600];
            float[] b = new float[600 * 600];
            aligned.read(index.get(List.of(shape, 3, 1, 0, 0)), a, 0);
            aligned.read(index.get(List.of(shape, 3, 1, 15, 15)), b, 0);
            for (int y = 0; y < 360; y++) {
                assertArrayEquals(
                        Arrays.copyOfRange(a, y * 600, y * 600 + 360),
                        Arrays.copyOfRange(b, (y + 240) * 600 + 240, (y + 240) * 600 + 600),
                        1e-4f);
            }
        }
    }

    @Test
    void noTwoImagesAreEqualWithinOrAcrossSplits() {
        Splits splits = Sprites.splits();
        Set<String> seen = new HashSet<>();
        for (ImageSet set :
                List.of(splits.train(), splits.validation().orElseThrow(), splits.test())) {
            Set<Integer> shapes = new HashSet<>();
            float[] pixels = new float[set.dimensions()];
            char[] levels = new char[pixels.length];
            for (int i = 0; i < set.size(); i++) {
                set.read(i, pixels, 0);
                for (int p = 0; p < levels.length; p++) {
                    levels[p] = (char) Math.round(255 * pixels[p]);
                }
                assertTrue(seen.add(new String(levels)), "image " + i + " occurs twice");
                shapes.add(set.label(i).orElseThrow());
            }
            assertEquals(Set.of(0, 1, 2), shapes);
        }
        assertEquals(49_152, seen.size());
    }

    @Test
    void badArgumentsAreNamed() {
        assertTrue(
                assertThrows(IllegalArgumentException.class, () -> new Sprites(4))
                        .getMessage()
                        .contains("4"));
        assertThrows(IndexOutOfBoundsException.class, () -> Sprites.factors(49_152));
        assertThrows(IllegalArgumentException.class, () -> sprites.range(3, 2));
    }
}
