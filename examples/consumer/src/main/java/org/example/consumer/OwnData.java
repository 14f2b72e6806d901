package org.example.consumer;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jlatent.Device;
import org.jlatent.Scope;
import org.jlatent.data.ImageSet;
import org.jlatent.data.ImageShape;
import org.jlatent.models.Vae;
import org.jlatent.models.VaeConfig;
import org.jlatent.nn.Init;
import org.jlatent.train.Adam;
import org.jlatent.train.Callback;
import org.jlatent.train.Progress;
import org.jlatent.train.Trainer;

/** A model of the library, trained on images from a source of one's own. */
final class OwnData {
    private OwnData() {}

    /** A white bar on black, somewhere; made when asked for. */
    record Bars(int size, int side) implements ImageSet {
        @Override
        public String name() {
            return "bars";
        }

        @Override
        public ImageShape shape() {
            return new ImageShape(side, side, 1);
        }

        @Override
        public void read(int index, float[] destination, int offset) {
            for (int i = 0; i < dimensions(); i++) {
                destination[offset + i] = i % side == index % side ? 1 : 0;
            }
        }
    }

    static void run() {
        List<Double> losses = new ArrayList<>();
        try (Device device = Device.cpu();
                Scope scope = new Scope(device)) {
            VaeConfig config = VaeConfig.defaults().withHidden(32).withLatent(2);
            Bars bars = new Bars(512, 8);
            Vae vae = new Vae(new Init(scope, 1), bars.shape(), config, 1);
            Trainer.of(vae)
                    .data(bars)
                    .batchSize(64)
                    .epochs(10)
                    .optimizer(Adam.Options.defaults().withLearningRate(1e-2f))
                    .callback(
                            new Callback() {
                                @Override
                                public void onEpoch(Progress progress) {
                                    losses.add(progress.metrics().get("loss"));
                                }
                            })
                    .train();
            try (Scope scratch = new Scope(device)) {
                Main.check(vae.sample(scratch, 3, 1).length == 3 * 64, "three samples");
            }
        }
        double first = losses.get(0);
        double last = losses.get(losses.size() - 1);
        Main.check(last < first / 2, "the loss falls: " + losses);
        System.out.printf(
                Locale.ROOT, "data: loss from %.1f to %.1f nats on bars%n", first, last);
    }
}
