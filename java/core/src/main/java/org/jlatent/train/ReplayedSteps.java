package org.jlatent.train;

import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jlatent.DeviceException;
import org.jlatent.Precision;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.models.Model;
import org.jlatent.models.Model.Objective;
import org.jlatent.spi.Graph;
import org.jlatent.spi.Graphs;

/**
 * Steps recorded once and replayed: copies, forward, backward, clipping, Adam and noise of a step
 * are one launch. A batch size's first step is done as it comes, so that memory is there and
 * libraries have made their choices; its second is recorded. Two steps are under way at a time:
 * while one is computed the next is put into page-locked memory. A step with a value that is not
 * finite changes no weight, nor does any after it; when its turn comes it is done again eagerly,
 * and that says what is wrong. The results are those of eager steps, bit for bit.
 */
final class ReplayedSteps implements Steps {
    private static final System.Logger LOG = System.getLogger(Trainer.class.getName());
    private static final int UNDER_WAY = 2;

    private final Model model;
    private final Adam adam;
    private final Precision precision;
    private final Listener listener;
    private final EagerSteps eager;
    private final Graphs graphs;
    private final Map<Integer, Recorded> recorded = new HashMap<>(); // by batch size
    private final ArrayDeque<UnderWay> underWay = new ArrayDeque<>();
    private boolean inVain; // recording has failed, and would again

    ReplayedSteps(
            Model model,
            Adam adam,
            Precision precision,
            EagerSteps eager,
            Listener listener,
            Graphs graphs) {
        this.model = model;
        this.adam = adam;
        this.precision = precision;
        this.eager = eager;
        this.listener = listener;
        this.graphs = graphs;
        adam.stopWhenSkipped();
    }

    /** The graphs of one batch size, used in turns, and the memory that they share. */
    private static final class Recorded {
        final Scope scope;
        final Slot[] slots = new Slot[UNDER_WAY];
        int turn;

        Recorded(Scope scope) {
            this.scope = scope;
        }
    }

    /** A graph with its own page-locked memory: the batch, the learning rate, and the results. */
    private static final class Slot {
        final ByteBuffer memory;
        final FloatBuffer images;
        final FloatBuffer learningRate;
        final FloatBuffer adam;
        final Map<String, FloatBuffer> values = new LinkedHashMap<>();
        Graph graph; // null: none yet

        /**
         * @param counts of the values, by name
         */
        Slot(Graphs graphs, int images, Map<String, Integer> counts) {
            int results = counts.values().stream().mapToInt(Integer::intValue).sum();
            memory = graphs.hostMemory((images + 1 + Adam.STATE_WORDS + results) * Float.BYTES);
            FloatBuffer all = memory.asFloatBuffer();
            this.images = all.slice(0, images);
            learningRate = all.slice(images, 1);
            adam = all.slice(images + 1, Adam.STATE_WORDS);
            int next = images + 1 + Adam.STATE_WORDS;
            for (Map.Entry<String, Integer> value : counts.entrySet()) {
                values.put(value.getKey(), all.slice(next, value.getValue()));
                next += value.getValue();
            }
        }

        Map<String, float[]> read() {
            Map<String, float[]> read = new LinkedHashMap<>();
            values.forEach((name, from) -> read.put(name, floats(from)));
            return read;
        }
    }

    private record UnderWay(
            long number, int[] labels, float learningRate, Scope scope, Slot slot) {}

    @Override
    public void step(long number, float[] images, int[] labels, float learningRate) {
        int size = labels.length;
        Recorded known = recorded.get(size);
        boolean first = known == null;
        if (first) {
            known = new Recorded(new Scope(model.device()));
            recorded.put(size, known);
        }
        if (first || inVain) {
            finish();
            Objective done = eager.run(known.scope, number, images, labels, learningRate);
            Map<String, float[]> values = EagerSteps.values(done);
            if (first) {
                makeSlots(known, images.length, values);
            }
            listener.done(size, values);
            return;
        }
        if (underWay.size() == UNDER_WAY) {
            finishOldest();
        }
        Slot slot = known.slots[known.turn];
        known.turn = (known.turn + 1) % UNDER_WAY;
        if (!record(known.scope, slot, size)) {
            step(number, images, labels, learningRate);
            return;
        }
        slot.images.put(0, images, 0, images.length);
        slot.learningRate.put(0, learningRate);
        slot.graph.replay();
        underWay.add(new UnderWay(number, labels.clone(), learningRate, known.scope, slot));
    }

    private void makeSlots(Recorded known, int images, Map<String, float[]> values) {
        Map<String, Integer> counts = new LinkedHashMap<>();
        values.forEach((name, of) -> counts.put(name, of.length));
        for (int i = 0; i < UNDER_WAY; i++) {
            known.slots[i] = new Slot(graphs, images, counts);
        }
    }

    /** Sees to it that the slot has a graph that can be replayed; false: there can be none. */
    private boolean record(Scope scope, Slot slot, int size) {
        if (slot.graph != null && slot.graph.isCurrent()) {
            return true;
        }
        finish();
        if (slot.graph != null) {
            slot.graph.close();
            slot.graph = null;
        }
        scope.clear(); // asks for all the memory that the step will use, in one piece
        try {
            slot.graph = graphs.record(() -> queue(scope, slot, size));
        } catch (DeviceException e) {
            inVain = true;
            LOG.log(Level.INFO, "training step by step, without a graph: {0}", e.getMessage());
        }
        return slot.graph != null;
    }

    /** As {@link EagerSteps#run}, with all that changes from step to step in the slot's memory. */
    private void queue(Scope scope, Slot slot, int size) {
        scope.clear();
        Tape tape = new Tape(scope, precision);
        model.watch(tape);
        Tensor x = scope.empty(Shape.of(size, slot.images.capacity() / size));
        x.copyFrom(slot.images);
        Objective objective = model.objective(tape, x);
        tape.backward(objective.loss());
        adam.setLearningRate(slot.learningRate);
        adam.step(tape);
        model.random().advance();
        objective.loss().copyTo(slot.values.get("loss"));
        objective.metrics().forEach((name, metric) -> metric.copyTo(slot.values.get(name)));
        adam.copyState(slot.adam);
    }

    private void finishOldest() {
        UnderWay oldest = underWay.peek();
        oldest.slot.graph.await();
        Map<String, float[]> values = oldest.slot.read();
        if (!Float.isFinite(values.get("loss")[0]) || Adam.skippedSteps(oldest.slot.adam) > 0) {
            repeat(oldest);
        }
        underWay.remove();
        listener.done(oldest.labels.length, values);
    }

    /** A step that went wrong, with the noise that it had: eagerly, to say what is not finite. */
    private void repeat(UnderWay step) {
        Random random = model.random();
        random.set(random.seed(), random.step() - underWay.size());
        underWay.clear();
        eager.run(
                step.scope, step.number, floats(step.slot.images), step.labels, step.learningRate);
        throw new TrainingException(
                "the loss or a gradient was not finite at step "
                        + step.number
                        + "; lower the learning rate or look at the data");
    }

    private static float[] floats(FloatBuffer from) {
        float[] values = new float[from.capacity()];
        from.get(0, values);
        return values;
    }

    @Override
    public void finish() {
        while (!underWay.isEmpty()) {
            finishOldest();
        }
    }

    @Override
    public void close() {
        for (Recorded known : recorded.values()) {
            for (Slot slot : known.slots) {
                if (slot != null && slot.graph != null) {
                    slot.graph.close();
                }
                if (slot != null) {
                    graphs.free(slot.memory);
                }
            }
            known.scope.close();
        }
    }
}
