package org.jlatent.nn;

import org.jlatent.JlatentException;
import org.jlatent.Tape;
import org.jlatent.Tensor;

/**
 * How a decoder's output becomes a distribution over pixels. {@link Likelihoods} has the usual
 * ones. Immutable.
 */
public interface Likelihood {

    /** For messages and configuration: {@code "bernoulli"}. */
    String name();

    /**
     * Decoder outputs for a pixel.
     *
     * @param channels of an image
     * @throws IllegalArgumentException if it takes images of other channels
     */
    int parametersPerPixel(int channels);

    /**
     * What a row of parameters looks like. 1: pixel by pixel, as a network's last layer writes
     * them. 2: the first parameters of all values, then the second ones.
     */
    int planes();

    /**
     * Levels that a value can have; 0: any number.
     *
     * <p>With levels, losses are negative logarithms of probabilities, which sum to 1, and {@code
     * loss / (dims log 2)} are bits a dimension. Without, they are those of densities: of images of
     * {@code n} levels, dequantized to [0, 1], {@code loss / (dims log 2) + log2(n)} bounds what
     * the levels take [Theis et al. 2016]; without dequantization it is no bound.
     */
    default int levels() {
        return 0;
    }

    /**
     * Negative log-likelihood.
     *
     * @param parameters {@code [rows, parametersPerPixel pixels]}: the decoder's output
     * @param x {@code [rows / samples, dims]}: row r is held against row r / samples
     * @param weight one element that multiplies the total
     */
    Loss loss(Tape tape, Tensor parameters, Tensor x, Tensor weight);

    /**
     * Looks at values that are to be explained.
     *
     * @throws JlatentException if there are some that it gives no probability
     */
    default void check(float[] x) {}

    /**
     * What losses are divided by where they are weighed against something else, such as a
     * codebook's loss: 1 for nats, the data's variance for squared errors, its root for absolute
     * ones. So their share does not depend on the data's scale.
     *
     * @param variance of the data, positive
     */
    default double unit(double variance) {
        return 1;
    }

    /**
     * The mean of each pixel.
     *
     * @param parameters one or more rows of the decoder's output
     * @param dims values a row of x
     * @return {@code rows dims} values
     */
    float[] mean(float[] parameters, int dims);

    /**
     * What {@link #loss} gives.
     *
     * @param rows {@code [rows]}, nats an image, unweighted
     * @param total {@code [1]}, the weighted sum, recorded on the tape
     */
    record Loss(Tensor rows, Tensor total) {}
}
