package org.jlatent.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30) // a loader that stands still would otherwise hang
final class LoaderTest {
    private static final Augmentation ALL = new Augmentation(true, 2, false, true);

    /** Images of height x width x channels; value v of image i is (i + v) / 1000. */
    private static StoredImages counting(int size, int height, int width, int channels) {
        Object[] rows = new Object[size];
        for (int i = 0; i < size; i++) {
            float[] row = new float[height * width * channels];
            for (int v = 0; v < row.length; v++) {
                row[v] = (i + v) / 1000f;
            }
            rows[i] = row;
        }
        int[] labels = IntStream.range(0, size).map(i -> i % 3 - 1).toArray();
        return new StoredImages("counting", new ImageShape(height, width, channels), rows, labels);
    }

    private static Loader loader(
            ImageSet images, Augmentation augmentation, long epoch, int index) {
        return new Loader(images, new Batches(images.size(), 4, 7), augmentation, 7, epoch, index);
    }

    /** A batch as text, so that its buffers may be used again. */
    private static String text(Loader.Batch b) {
        return b.epoch()
                + "/"
                + b.index()
                + Arrays.toString(b.values())
                + Arrays.toString(b.indices())
                + Arrays.toString(b.labels());
    }

    @Test
    void batchesComeInTheOrderOfBatchesEpochAfterEpoch() {
        ImageSet images = counting(10, 2, 2, 1);
        Batches expected = new Batches(10, 4, 7);
        try (Loader loader = loader(images, Augmentation.NONE, 1, 0)) {
            for (int epoch = 1; epoch <= 3; epoch++) {
                for (int i = 0; i < 3; i++) {
                    Loader.Batch batch = loader.next();
                    assertEquals(epoch, batch.epoch());
                    assertEquals(i, batch.index());
                    assertArrayEquals(expected.batch(epoch, i), batch.indices());
                    assertEquals(i == 2 ? 8 : 16, batch.values().length);
                    for (int b = 0; b < batch.indices().length; b++) {
                        int image = batch.indices()[b];
                        assertEquals(image % 3 - 1, batch.labels()[b]);
                        assertArrayEquals(
                                Made.pixels(images, image),
                                Arrays.copyOfRange(batch.values(), 4 * b, 4 * b + 4));
                    }
                }
            }
        }
    }

    @Test
    void itGivesTheSameWhereverItStarts() {
        ImageSet images = counting(10, 4, 4, 1);
        List<String> straight = new ArrayList<>();
        try (Loader loader = loader(images, ALL, 1, 0)) {
            for (int i = 0; i < 12; i++) {
                straight.add(text(loader.next()));
            }
        }
        assertEquals(12, new HashSet<>(straight).size());
        for (int start = 0; start < 12; start++) {
            try (Loader loader = loader(images, ALL, 1 + start / 3, start % 3)) {
                for (int i = start; i < 12; i++) {
                    assertEquals(straight.get(i), text(loader.next()));
                }
            }
        }
    }

    @Test
    void buffersAreUsedAgain() {
        ImageSet images = counting(40, 3, 3, 1);
        Set<Integer> buffers = new HashSet<>();
        try (Loader loader = loader(images, Augmentation.NONE, 1, 0)) {
            for (int i = 0; i < 100; i++) {
                buffers.add(System.identityHashCode(loader.next().values()));
            }
        }
        assertTrue(buffers.size() <= 4, buffers.size() + " buffers");
    }

    /** The images, of which one cannot be read. */
    private static ImageSet broken(ImageSet images, int bad, Throwable failure) {
        return new WrappedImageSet(images) {
            @Override
            public void read(int index, float[] destination, int offset) {
                if (index == bad) {
                    if (failure instanceof Error error) {
                        throw error;
                    }
                    throw (RuntimeException) failure;
                }
                super.read(index, destination, offset);
            }
        };
    }

    @Test
    void whatTheReaderThrowsSurfacesAfterTheBatchesBeforeIt() {
        ImageSet images = counting(40, 2, 2, 1);
        int bad = new Batches(40, 4, 7).batch(1, 6)[2];
        for (Throwable failure :
                new Throwable[] {new DataException("gone"), new OutOfMemoryError("made up")}) {
            try (Loader loader = loader(broken(images, bad, failure), Augmentation.NONE, 1, 0)) {
                for (int i = 0; i < 6; i++) {
                    assertEquals(i, loader.next().index());
                }
                assertSame(failure, assertThrows(Throwable.class, loader::next));
                assertSame(failure, assertThrows(Throwable.class, loader::next));
            }
        }
    }

    @Test
    void closingStopsTheReader() {
        Set<Thread> before = readers();
        Loader loader = loader(counting(40, 2, 2, 1), Augmentation.NONE, 1, 0);
        loader.next();
        loader.close();
        loader.close();
        Set<Thread> left = readers();
        left.removeAll(before);
        assertEquals(Set.of(), left);
        assertThrows(IllegalStateException.class, loader::next);
        assertThrows(
                IndexOutOfBoundsException.class,
                () -> loader(counting(8, 1, 1, 1), Augmentation.NONE, 1, 2));
    }

    private static Set<Thread> readers() {
        Set<Thread> threads = new HashSet<>(Thread.getAllStackTraces().keySet());
        threads.removeIf(thread -> !thread.getName().equals("jlatent-loader") || !thread.isAlive());
        return threads;
    }

    private static float[] changed(
            ImageSet images, Augmentation how, long seed, long epoch, int i) {
        float[] x = new float[images.dimensions() + 2];
        x[0] = x[x.length - 1] = 9;
        how.read(images, seed, epoch, i, x, 1);
        assertEquals(9, x[0]);
        assertEquals(9, x[x.length - 1]);
        return Arrays.copyOfRange(x, 1, x.length - 1);
    }

    @Test
    void changesAreAFunctionOfSeedEpochAndIndex() {
        ImageSet images = counting(10, 8, 8, 1);
        float[] first = changed(images, ALL, 1, 2, 3);
        assertArrayEquals(first, changed(images, ALL, 1, 2, 3));
        assertFalse(Arrays.equals(first, changed(images, ALL, 2, 2, 3)));
        assertFalse(Arrays.equals(first, changed(images, ALL, 1, 3, 3)));
        assertFalse(Arrays.equals(first, changed(images, ALL, 1, 2, 4)));
        assertNotEquals(Augmentation.NONE, ALL);
    }

    @Test
    void halfOfTheImagesAreMirrored() {
        ImageSet images = counting(1, 2, 3, 2);
        float[] plain = Made.pixels(images, 0);
        float[] mirrored = new float[12];
        for (int i = 0; i < 12; i++) {
            mirrored[i] = plain[i / 6 * 6 + (2 - i / 2 % 3) * 2 + i % 2];
        }
        Augmentation flip = new Augmentation(true, 0, false, false);
        int count = 0;
        for (int epoch = 0; epoch < 1000; epoch++) {
            float[] x = changed(images, flip, 1, epoch, 0);
            boolean turned = Arrays.equals(x, mirrored);
            assertTrue(turned || Arrays.equals(x, plain), Arrays.toString(x));
            count += turned ? 1 : 0;
        }
        assertEquals(500, count, 80); // 5 standard deviations
    }

    @Test
    void everyShiftComesAboutEquallyOften() {
        ImageSet images = counting(1, 3, 4, 2);
        float[] plain = Made.pixels(images, 0);
        int[] counts = new int[9];
        Augmentation pad = new Augmentation(false, 1, false, false);
        for (int epoch = 0; epoch < 1800; epoch++) {
            float[] x = changed(images, pad, 1, epoch, 0);
            int found = -1;
            for (int shift = 0; shift < 9; shift++) {
                float[] expected = new float[24];
                for (int i = 0; i < 24; i++) {
                    int row = i / 8 - (shift / 3 - 1);
                    int column = i / 2 % 4 - (shift % 3 - 1);
                    boolean inside = row >= 0 && row < 3 && column >= 0 && column < 4;
                    expected[i] = inside ? plain[row * 8 + column * 2 + i % 2] : 0;
                }
                found = Arrays.equals(x, expected) ? shift : found;
            }
            assertTrue(found >= 0, Arrays.toString(x));
            counts[found]++;
        }
        for (int count : counts) {
            assertEquals(200, count, 67, Arrays.toString(counts)); // 5 standard deviations
        }
        // More than the image is wide: it may leave it whole.
        Augmentation far = new Augmentation(false, 20, false, false);
        for (int epoch = 0; epoch < 200; epoch++) {
            changed(images, far, 1, epoch, 0);
        }
    }

    @Test
    void binarizedValuesHaveTheRightMeanAndDequantizedOnesTheRightRange() {
        float[] row = new float[20_000];
        Arrays.fill(row, 0, 10_000, 0.3f);
        Arrays.fill(row, 10_000, 20_000, 51 / 255f);
        ImageSet images =
                new StoredImages("x", new ImageShape(1, row.length, 1), new Object[] {row}, null);
        float[] bits = changed(images, new Augmentation(false, 0, false, true), 1, 1, 0);
        double ones = 0;
        for (int i = 0; i < 10_000; i++) {
            assertTrue(bits[i] == 0 || bits[i] == 1);
            ones += bits[i];
        }
        assertEquals(0.3, ones / 10_000, 0.023); // 5 standard deviations
        float[] noisy = changed(images, new Augmentation(false, 0, true, false), 1, 1, 0);
        double sum = 0;
        for (int i = 10_000; i < 20_000; i++) {
            assertTrue(noisy[i] >= 51 / 256f && noisy[i] < 52 / 256f, "" + noisy[i]);
            sum += noisy[i];
        }
        assertEquals(51.5 / 256, sum / 10_000, 0.015 / 256);
        row[3] = -0.1f;
        Made.fails(
                () -> changed(images, new Augmentation(false, 0, true, false), 1, 1, 0),
                "image 0 of x",
                "outside [0, 1]",
                "dequantized");
    }

    @Test
    void changesThatMeanNothingAreRefused() {
        assertThrows(
                IllegalArgumentException.class, () -> new Augmentation(false, -1, false, false));
        assertThrows(IllegalArgumentException.class, () -> new Augmentation(false, 0, true, true));
    }
}
