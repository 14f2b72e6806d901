package org.jlatent.nn;

import org.jlatent.PoolOps;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/** Maxima or means of windows over NHWC images. */
public record Pool2d(PoolOps.Options options) implements Layer {

    /**
     * @param x {@code [batch, height, width, channels]}
     * @return {@code [batch, outHeight, outWidth, channels]}
     */
    @Override
    public Tensor forward(Tape tape, Tensor x) {
        PoolOps.Result r = PoolOps.forward(tape.scope(), x, options, tape.tracks(x));
        return tape.record(
                "pooling",
                x,
                r.y(),
                dy -> PoolOps.backward(tape.scope(), dy, r.winners(), x.shape(), options));
    }
}
