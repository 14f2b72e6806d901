package org.jlatent.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

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
    }
}
