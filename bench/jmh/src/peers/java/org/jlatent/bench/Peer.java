package org.jlatent.bench;

import static org.bytedeco.pytorch.global.torch.set_num_threads;

import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.bytedeco.pytorch.AbstractTensor;
import org.bytedeco.pytorch.Tensor;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** What benchmarks in libtorch have in common: settings as in {@link OperationBenchmark}. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(2)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public abstract class Peer {
    private int next;

    Peer() {
        set_num_threads(Runtime.getRuntime().availableProcessors());
    }

    /** Which input has its turn. */
    final int turn() {
        return next++ % OperationBenchmark.INPUTS;
    }

    /** Keeps what a PointerScope would free. */
    static Tensor keep(Tensor tensor) {
        tensor.retainReference();
        return tensor;
    }

    /** With images and filters as channels-last memory, which jlatent's is. */
    static Tensor copy(org.jlatent.Tensor value) {
        Tensor tensor = AbstractTensor.create(value.toFloatArray(), value.shape().toArray());
        return keep(value.shape().rank() == 4 ? tensor.permute(0, 3, 1, 2).detach() : tensor);
    }

    static Tensor[] copies(org.jlatent.Tensor... values) {
        return Stream.of(values).map(Peer::copy).toArray(Tensor[]::new);
    }

    /** Copies that gradients are asked for. */
    static Tensor[] leaves(org.jlatent.Tensor... values) {
        return Stream.of(values).map(v -> copy(v).requires_grad_(true)).toArray(Tensor[]::new);
    }

    /**
     * That what {@link #copy} has made the same of computes the same.
     *
     * @throws IllegalStateException if not
     */
    static void require(String what, long terms, org.jlatent.Tensor ours, Tensor theirs) {
        boolean images = theirs.ndimension() == 4;
        Comparison.require(what, terms, ours, images ? theirs.permute(0, 2, 3, 1) : theirs);
    }
}
