package org.jlatent;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jlatent.spi.Backend;
import org.junit.jupiter.api.Test;

/**
 * Public operations with arguments drawn at random, legal and not: each gives a result of the shape
 * that its documentation promises, or throws what it documents. The same call twice, on memory that
 * held something else before, gives the same; what lies behind the results, and the operands, stay
 * as they were.
 *
 * <p>{@code -Dfuzz.calls=1000000 -Dfuzz.seed=7} for more.
 */
@OnEveryDevice
final class OpsFuzzTest {
    private static final int CALLS = Integer.getInteger("fuzz.calls", 6_000);
    private static final long SEED = Long.getLong("fuzz.seed", 1);
    private static final int ARENA = 1 << 18; // elements

    private static final long MEMORY = 64 << 20; // bytes at a time, as if there were no more

    /** A result of a call and the shape that it should have. */
    record Made(Tensor tensor, Shape expected) {}

    /** Where tensors are: those that an operation takes, and those that it should refuse. */
    static final class Places implements AutoCloseable {
        final Device device = small();
        final Scope cleared = new Scope(device);
        final Device other = small();
        final Scope there = new Scope(other);
        private final List<Scope> left = new ArrayList<>();

        Tensor stale(Shape shape) {
            Tensor tensor = cleared.empty(shape);
            cleared.clear();
            return tensor;
        }

        Random staleRandom() {
            Random random = new Random(cleared, 1);
            cleared.clear();
            return random;
        }

        Scope closed() {
            Scope scope = new Scope(device);
            scope.close();
            return scope;
        }

        Scope onClosedDevice() {
            Device gone = small();
            Scope scope = new Scope(gone);
            gone.close();
            left.add(scope);
            return scope;
        }

        @Override
        public void close() {
            left.forEach(Scope::close);
            cleared.close();
            there.close();
            other.close();
            device.close();
        }
    }

    /** Of little memory: filling gigabytes would only take time. */
    private static Device small() {
        Device device = TestDevice.open();
        Backend backend = device.backend();
        InvocationHandler handler =
                (proxy, method, arguments) -> {
                    if (List.of("allocate", "workspace").contains(method.getName())
                            && (long) arguments[0] > MEMORY) {
                        throw new DeviceException("out of memory: " + arguments[0]);
                    }
                    if (method.getName().equals("close")) {
                        device.close();
                        return null;
                    }
                    try {
                        return method.invoke(backend, arguments);
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                };
        return Device.of(
                device.kind(),
                (Backend)
                        Proxy.newProxyInstance(
                                Backend.class.getClassLoader(),
                                new Class<?>[] {Backend.class},
                                handler));
    }

    @Test
    void everyCallGivesWhatItPromisesOrThrowsWhatItDocuments() {
        Map<String, int[]> counts = new TreeMap<>();
        Map<String, AssertionError> failures = new TreeMap<>(); // the first of each kind
        boolean refuses; // bad values
        try (Places places = new Places()) {
            refuses = TestDevice.refusesBadValues(places.device);
            List<Map.Entry<String, FuzzedCalls.Call>> calls = FuzzedCalls.all();
            for (int i = 0; i < CALLS; i++) {
                Map.Entry<String, FuzzedCalls.Call> call = calls.get(i % calls.size());
                long seed = SEED * 1_000_003 + i;
                try {
                    String first = run(places, call.getValue(), seed, 0x7FC0BEEF);
                    String second = run(places, call.getValue(), seed, 0x42F6E979);
                    assertEquals(first, second, "another result the second time");
                    counts.computeIfAbsent(call.getKey(), k -> new int[2])[
                            first.startsWith("[") ? 0 : 1]++;
                } catch (AssertionError e) {
                    String kind = call.getKey() + ": " + e.getMessage();
                    failures.putIfAbsent(
                            kind, new AssertionError(kind + ", seed " + SEED + ", call " + i, e));
                }
            }
        }
        failures.values().forEach(Throwable::printStackTrace);
        assertTrue(failures.isEmpty(), () -> "failures: " + failures.keySet());
        // A test whose calls were all refused, or none, would test nothing. A GPU marks bad values
        // instead, and on stubs the calls are few: there some kind may meet nothing to refuse.
        counts.forEach(
                (name, n) ->
                        assertTrue(
                                n[0] > 0 && (n[1] > 0 || !refuses),
                                name + ": " + Arrays.toString(n)));
        assertTrue(counts.values().stream().mapToInt(n -> n[1]).sum() > CALLS / 10);
        if (Boolean.getBoolean("fuzz.counts")) {
            counts.forEach((name, n) -> System.err.println(name + " " + Arrays.toString(n)));
        }
    }

    /**
     * @return the results, or the exception's class
     */
    private static String run(Places places, FuzzedCalls.Call call, long seed, int poison) {
        places.there.clear();
        try (Scope scope = new Scope(places.device)) {
            int[] filling = new int[ARENA];
            Arrays.fill(filling, poison);
            Tensor arena = scope.ofInts(Shape.of(ARENA), filling);
            long start = arena.address();
            scope.clear();
            Fuzz fuzz = new Fuzz(seed, scope, places);
            String outcome;
            try {
                StringBuilder results = new StringBuilder("[");
                for (Made made : call.run(fuzz)) {
                    if (made.tensor == null) {
                        results.append("null ");
                        continue;
                    }
                    if (!made.tensor.shape().equals(made.expected)) {
                        throw new AssertionError(
                                "shape " + made.tensor.shape() + ", not " + made.expected);
                    }
                    results.append(Arrays.hashCode(words(made.tensor))).append(' ');
                }
                outcome = results.toString();
                if (outcome.equals("[")) {
                    throw new AssertionError("no result");
                }
            } catch (ShapeException
                    | DeviceException
                    | IllegalStateException
                    | IllegalArgumentException e) {
                assertTrue(
                        e.getMessage() != null && !e.getMessage().contains("\n"),
                        () -> "no clear message: " + e);
                outcome = e.getClass().getSimpleName();
            } catch (RuntimeException | Error e) {
                throw new AssertionError(e.toString(), e);
            }
            fuzz.checkOperands();
            checkBehind(scope, start, poison);
            return outcome;
        }
    }

    /** What the call's tensors left of the arena holds what it held. */
    private static void checkBehind(Scope scope, long start, int poison) {
        long end = start + 4L * ARENA;
        long used = scope.empty(Shape.of(1)).address();
        if (used < start || used >= end) {
            return; // the arena was too small for the call
        }
        int count = (int) ((end - used) / 4);
        Tensor rest =
                Tensor.wrap(scope.device(), used, end - used, Shape.of(count), DType.I32, null);
        for (int word : rest.toIntArray()) {
            assertTrue(word == poison, "wrote past its results");
        }
    }

    /** The bits of a tensor's values; all NaN alike. */
    static int[] words(Tensor tensor) {
        if (tensor.dtype() == DType.I32) {
            return tensor.toIntArray();
        }
        float[] values = tensor.toFloatArray();
        int[] words = new int[values.length];
        for (int i = 0; i < words.length; i++) {
            words[i] = Float.floatToIntBits(values[i]);
        }
        return words;
    }
}
