package org.jlatent.models;

import java.util.List;
import org.jlatent.Device;
import org.jlatent.Scope;
import org.jlatent.Tensor;
import org.jlatent.data.ImageShape;
import org.jlatent.nn.Likelihood;

/**
 * A model that makes maps of codes of an image and the image again of them: the first stage of a
 * {@link TwoStageModel}. A {@link VqVae} has one map; a hierarchical one has several.
 */
public interface CodedModel {

    /** The images that it takes. */
    ImageShape image();

    /** What values of an image mean. */
    Likelihood likelihood();

    /** Where its parameters are. */
    Device device();

    /**
     * The maps of an image's codes, in the order in which a prior draws them: the coarsest first,
     * whose sides divide those of all that follow.
     */
    List<CodeMap> codeMaps();

    /**
     * The codes of images. Not recorded.
     *
     * @param x {@code [batch, values]}
     * @return i32, {@code [batch, height, width, books]}, for each of {@link #codeMaps}
     */
    List<Tensor> encodeMaps(Scope scope, Tensor x);

    /**
     * Means of p(x|codes).
     *
     * @param codes as {@link #encodeMaps} gives them
     * @return {@code batch values} numbers
     * @throws org.jlatent.JlatentException on the CPU, if there is no such code
     */
    float[] decodeMaps(Scope scope, List<Tensor> codes);
}
