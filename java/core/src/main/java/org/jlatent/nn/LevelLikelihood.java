package org.jlatent.nn;

import org.jlatent.DType;
import org.jlatent.JlatentException;
import org.jlatent.LikelihoodLevelsOps;
import org.jlatent.LikelihoodLevelsOps.Distribution;
import org.jlatent.LikelihoodLevelsOps.Options;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/** A likelihood of values that are one of a few levels. */
record LevelLikelihood(String name, Options options) implements Likelihood {
    private static final double OFF = 0.01; // what rounding may move a level by

    @Override
    public int parametersPerPixel(int channels) {
        if (options.distribution() == Distribution.CATEGORICAL) {
            return channels * options.levels();
        }
        if (channels != options.channels()) {
            throw new IllegalArgumentException(
                    "a logistic mixture of "
                            + options.channels()
                            + " channels does not fit images of "
                            + channels);
        }
        return options.parametersPerPixel();
    }

    @Override
    public int planes() {
        return 1;
    }

    @Override
    public int levels() {
        return options.levels();
    }

    @Override
    public Loss loss(Tape tape, Tensor parameters, Tensor x, Tensor weight) {
        Tensor levels =
                x.dtype() == DType.I32
                        ? x
                        : LikelihoodLevelsOps.ofValues(tape.scope(), x, options.levels());
        return Likelihoods.recorded(
                tape,
                name,
                parameters,
                weight,
                (rows, all, gradient) ->
                        LikelihoodLevelsOps.nll(
                                tape.scope(), options, parameters, levels, rows, all, gradient));
    }

    @Override
    public void check(float[] x) {
        int last = options.levels() - 1;
        for (float value : x) {
            double place = (double) value * last;
            double level = Math.rint(place);
            if (!(Math.abs(place - level) <= OFF && level >= 0 && level <= last)) {
                throw new JlatentException(
                        "a "
                                + name
                                + " likelihood of "
                                + options.levels()
                                + " levels takes values k / "
                                + last
                                + " in [0, 1], the images hold "
                                + value
                                + "; 8-bit images have 256 levels, unless they are dequantized");
            }
        }
    }

    /** Of a mixture: with each component's mean cut off at the ends of the range. */
    @Override
    public float[] mean(float[] parameters, int dims) {
        int size = options.parametersPerPixel();
        float[] mean = new float[parameters.length / size * options.channels()];
        for (int pixel = 0; pixel < parameters.length / size; pixel++) {
            if (options.distribution() == Distribution.CATEGORICAL) {
                double[] weights = softmax(parameters, pixel * size, options.levels());
                for (int k = 0; k < weights.length; k++) {
                    mean[pixel] += (float) (weights[k] * k / (weights.length - 1));
                }
            } else {
                mixtureMean(parameters, pixel * size, mean, pixel * options.channels());
            }
        }
        return mean;
    }

    private void mixtureMean(float[] p, int at, float[] mean, int to) {
        int channels = options.channels();
        int count = options.components();
        double[] weights = softmax(p, at, count);
        for (int m = 0; m < count; m++) {
            double[] value = new double[channels]; // in [-1, 1]
            int coupling = at + (1 + 2 * channels) * count + m;
            for (int c = 0; c < channels; c++) {
                value[c] = p[at + (1 + c) * count + m];
                for (int j = 0; j < c; j++) {
                    value[c] += Math.tanh(p[coupling]) * value[j];
                    coupling += count;
                }
                value[c] = Math.max(-1, Math.min(1, value[c]));
                mean[to + c] += (float) (weights[m] * (value[c] + 1) / 2);
            }
        }
    }

    private static double[] softmax(float[] logits, int at, int count) {
        double largest = Double.NEGATIVE_INFINITY;
        for (int k = 0; k < count; k++) {
            largest = Math.max(largest, logits[at + k]);
        }
        double[] weights = new double[count];
        double sum = 0;
        for (int k = 0; k < count; k++) {
            weights[k] = Math.exp(logits[at + k] - largest);
            sum += weights[k];
        }
        for (int k = 0; k < count; k++) {
            weights[k] /= sum;
        }
        return weights;
    }
}
