package org.jlatent.bench;

import static org.bytedeco.pytorch.global.torch.conv2d;
import static org.bytedeco.pytorch.global.torch.conv_transpose2d;
import static org.bytedeco.pytorch.global.torch.relu;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;

/** {@link ConvVaeStepBenchmark} in libtorch, channels-last as it is fastest there too. */
public class ConvVaeStepPeer extends VaeStepPeer {
    private static final long[] ONE = {1, 1};
    private static final long[] TWO = {2, 2};
    private static final long[] NONE = {0, 0};

    @Override
    VaeStepBenchmark ours() {
        return new ConvVaeStepBenchmark();
    }

    private Tensor halve(Tensor in, int i) {
        return conv2d(in, parameter(i), new TensorOptional(parameter(i + 1)), TWO, ONE, ONE, 1);
    }

    private Tensor twice(Tensor in, int i) {
        TensorOptional bias = new TensorOptional(parameter(i + 1));
        return conv_transpose2d(in, parameter(i), bias, TWO, ONE, NONE, 1, ONE);
    }

    @Override
    Tensor encode(Tensor in) {
        Tensor h = relu(halve(relu(halve(in.reshape(-1, 1, 28, 28), 0)), 2));
        return layer(relu(layer(h.permute(0, 2, 3, 1).reshape(-1, 7 * 7 * 64), 4)), 6);
    }

    @Override
    Tensor decode(Tensor z) {
        Tensor h = relu(layer(relu(layer(z, 8)), 10)).reshape(-1, 7, 7, 64).permute(0, 3, 1, 2);
        return twice(relu(twice(h, 12)), 14).reshape(-1, 784);
    }
}
