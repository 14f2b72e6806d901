package org.example.consumer;

import java.util.Arrays;
import org.jlatent.Device;
import org.jlatent.GaussianOps;
import org.jlatent.Posterior;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tensor;

/** One operation, arrays in and arrays out: no tape, no model, no trainer. */
final class PlainArrays {
    private PlainArrays() {}

    static void run() {
        float[] mu = {0, 1, -1, 2};
        float[] logVar = {0, 0, 0, 0};
        try (Device device = Device.cpu();
                Scope scope = new Scope(device)) {
            Shape rows = Shape.of(2, 2);
            Tensor m = scope.of(rows, mu);
            Tensor v = scope.of(rows, logVar);
            GaussianOps.Result result =
                    GaussianOps.forward(
                            scope,
                            Posterior.of(m, v),
                            GaussianOps.Options.plain(),
                            new Random(scope, 1),
                            null,
                            null);
            float[] kl = result.klRows().toFloatArray(); // |mu|^2 / 2 at unit variance
            Main.check(Arrays.equals(kl, new float[] {0.5f, 2.5f}), Arrays.toString(kl));
            System.out.println("arrays: KL of two posteriors " + Arrays.toString(kl) + " nats");
        }
    }
}
