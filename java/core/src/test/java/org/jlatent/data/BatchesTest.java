package org.jlatent.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

final class BatchesTest {

    private static int[] epoch(Batches batches, long epoch) {
        return IntStream.range(0, batches.count())
                .flatMap(i -> Arrays.stream(batches.batch(epoch, i)))
                .toArray();
    }

    @Test
    void everyEpochIsAnotherPermutation() {
        Batches batches = new Batches(103, 10, 5);
        assertEquals(11, batches.count());
        assertEquals(3, batches.batch(1, 10).length);
        int[] first = epoch(batches, 1);
        assertArrayEquals(
                IntStream.range(0, 103).toArray(), Arrays.stream(first).sorted().toArray());
        assertFalse(Arrays.equals(first, epoch(batches, 2)));
        assertFalse(Arrays.equals(first, epoch(new Batches(103, 10, 6), 1)));
    }

    @Test
    void theOrderDependsOnSeedAndEpochAlone() {
        Batches straight = new Batches(50, 7, 1);
        epoch(straight, 1);
        epoch(straight, 2);
        assertArrayEquals(straight.batch(3, 4), new Batches(50, 7, 1).batch(3, 4));
    }

    @Test
    void badArgumentsAreNamed() {
        assertThrows(IllegalArgumentException.class, () -> new Batches(0, 1, 1));
        assertThrows(IllegalArgumentException.class, () -> new Batches(1, 0, 1));
        Batches two = new Batches(11, 6, 1);
        assertThrows(IndexOutOfBoundsException.class, () -> two.batch(0, 2));
        assertThrows(IndexOutOfBoundsException.class, () -> two.batch(0, -1));
    }

    @Test
    void wholeAndPartBatchesAreCounted() {
        assertEquals(2, new Batches(10, 5, 1).count());
        assertEquals(3, new Batches(11, 5, 1).count());
        assertEquals(1, new Batches(3, 5, 1).count());
        assertEquals(21_474_837, new Batches(Integer.MAX_VALUE, 100, 1).count());
    }

    /** Each position takes each value about equally often: a chi-square test over epochs. */
    @Test
    void ordersAreUniform() {
        int size = 6;
        int epochs = 6000;
        Batches batches = new Batches(size, size, 3);
        int[][] counts = new int[size][size];
        for (int epoch = 0; epoch < epochs; epoch++) {
            int[] order = batches.batch(epoch, 0);
            for (int position = 0; position < size; position++) {
                counts[position][order[position]]++;
            }
        }
        double expected = (double) epochs / size;
        for (int[] position : counts) {
            double chiSquare =
                    IntStream.of(position).mapToDouble(n -> (n - expected) * (n - expected)).sum()
                            / expected;
            assertTrue(
                    chiSquare < 20.5, Arrays.toString(position)); // 5 degrees of freedom, p 0.001
        }
    }
}
