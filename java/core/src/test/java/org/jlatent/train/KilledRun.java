package org.jlatent.train;

import java.nio.file.Files;
import java.nio.file.Path;
import org.jlatent.Device;
import org.jlatent.Scope;
import org.jlatent.data.ImageSet;
import org.jlatent.data.Sprites;
import org.jlatent.models.Vae;
import org.jlatent.models.VaeConfig;
import org.jlatent.nn.Init;

/** A run that {@link KillTest} kills: goes on from its checkpoint, prints every step. */
final class KilledRun {
    static final int STEPS = 400;

    private KilledRun() {}

    /**
     * @param args the checkpoint, and every how many steps it is written
     */
    public static void main(String[] args) {
        Path file = Path.of(args[0]);
        ImageSet images = new Sprites(16).range(0, 200);
        try (Device device = Device.cpu().threads(1);
                Scope scope = new Scope(device)) {
            VaeConfig config = VaeConfig.defaults().withHidden(200).withLatent(4);
            Trainer trainer =
                    Trainer.of(new Vae(new Init(scope, 1), images.shape(), config, 1))
                            .data(images.range(0, 180))
                            .validation(images.range(180, 200))
                            .batchSize(8)
                            .steps(STEPS)
                            .schedule(Schedule.cosine())
                            .checkpoint(file, Integer.parseInt(args[1]));
            if (Files.exists(file)) {
                trainer.resume(Checkpoint.read(file));
            }
            trainer.callback(
                            new Callback() {
                                @Override
                                public void onStep(Progress progress) {
                                    System.out.println(progress.step());
                                }
                            })
                    .train();
        }
    }
}
