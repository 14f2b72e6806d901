package org.example.consumer;

import java.util.Locale;
import java.util.SplittableRandom;
import org.jlatent.Device;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.nn.Init;
import org.jlatent.nn.Likelihoods;
import org.jlatent.nn.Linear;
import org.jlatent.train.Adam;

/** A training loop of one's own: a tape, a loss, Adam. It finds the line behind noisy points. */
final class OwnLoop {
    private static final int POINTS = 64;

    private OwnLoop() {}

    static void run() {
        try (Device device = Device.cpu();
                Scope owned = new Scope(device);
                Scope scratch = new Scope(device)) {
            Linear line = new Linear(new Init(owned, 1), 1, 1);
            Adam adam =
                    new Adam(
                            owned,
                            line.parameters(),
                            Adam.Options.defaults().withLearningRate(0.05f));
            Tensor weight = owned.scalar(1.0f / POINTS);
            SplittableRandom random = new SplittableRandom(1);
            for (int step = 0; step < 400; step++) {
                scratch.clear(); // the last step's tensors go, their memory stays
                float[] x = new float[POINTS];
                float[] y = new float[POINTS];
                for (int i = 0; i < POINTS; i++) {
                    x[i] = (float) random.nextDouble(-1, 1);
                    y[i] = (float) (3 * x[i] - 2 + random.nextGaussian(0, 0.01));
                }
                Tape tape = new Tape(scratch);
                line.watch(tape);
                Tensor guess = line.forward(tape, scratch.of(Shape.of(POINTS, 1), x));
                Tensor loss =
                        Likelihoods.gaussian(1)
                                .loss(tape, guess, scratch.of(Shape.of(POINTS, 1), y), weight)
                                .total();
                tape.backward(loss);
                adam.step(tape);
            }
            float slope = line.parameters().get("weight").item();
            float offset = line.parameters().get("bias").item();
            Main.check(Math.abs(slope - 3) < 0.05, "slope 3, got " + slope);
            Main.check(Math.abs(offset + 2) < 0.05, "offset -2, got " + offset);
            System.out.printf(Locale.ROOT, "loop: y = %.2f x %+.2f%n", slope, offset);
        }
    }
}
