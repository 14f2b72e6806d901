package org.jlatent.models;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.DoubleStream;
import org.jlatent.Scope;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;

/**
 * How well a {@link CodePrior} knows the codes of a set of images: exactly, nothing is drawn.
 *
 * @param bitsPerCode -log2 p(code given those before it), the mean over codes and images
 * @param histogramBitsPerCode the same with a code's frequency among the training images in place
 *     of the prior, the same everywhere in a map, each book's for itself: {@code (count + 1) /
 *     (total + codes)}, so that one that never occurred has a probability, too. What a prior has
 *     learned of images is the difference
 * @param maps both of each map's codes alone
 */
public record CodePriorEvaluation(
        double bitsPerCode, double histogramBitsPerCode, List<OfMap> maps) {
    /**
     * Of the codes of one map, given those of the maps above.
     *
     * @param bitsPerCode as of all
     * @param histogramBitsPerCode as of all
     */
    public record OfMap(double bitsPerCode, double histogramBitsPerCode) {}

    /**
     * Goes over all codes once.
     *
     * @param codes a {@link CodeSet}
     * @throws IllegalArgumentException if there are none, or they are not such as the prior takes
     */
    public static CodePriorEvaluation of(CodePrior prior, ImageSet codes, int batchSize) {
        Networks.require(batchSize >= 1, "batchSize must be at least 1", batchSize);
        Networks.require(codes.size() >= 1, "there must be codes to evaluate on", codes.size());
        prior.check(codes);
        double[] bits = new double[prior.maps().size()];
        try (Scope scope = new Scope(prior.device())) {
            for (int first = 0; first < codes.size(); first += batchSize) {
                scope.clear();
                int count = Math.min(batchSize, codes.size() - first);
                Tensor x = ImageModel.batch(scope, codes, first, count);
                prior.check(x.toFloatArray());
                int[] labels = new int[count];
                for (int i = 0; i < count; i++) {
                    labels[i] = codes.label(first + i).orElse(-1);
                }
                List<Tensor> rows = prior.bits(scope, x, labels);
                for (int m = 0; m < bits.length; m++) {
                    for (float row : rows.get(m).toFloatArray()) {
                        bits[m] += row;
                    }
                }
            }
        }
        return of(prior, bits, histogramBits(prior, codes), codes.size());
    }

    /** Of the sums over codes and images. */
    private static CodePriorEvaluation of(
            CodePrior prior, double[] bits, double[] histogramBits, int images) {
        List<OfMap> maps = new ArrayList<>();
        for (int m = 0; m < bits.length; m++) {
            double codes = (double) images * prior.maps().get(m).shape().values();
            maps.add(new OfMap(bits[m] / codes, histogramBits[m] / codes));
        }
        double codes = (double) images * CodeMap.length(prior.maps());
        return new CodePriorEvaluation(sum(bits) / codes, sum(histogramBits) / codes, maps);
    }

    private static double sum(double[] values) {
        return DoubleStream.of(values).sum();
    }

    private static double[] histogramBits(CodePrior prior, ImageSet codes) {
        List<double[]> bits = new ArrayList<>();
        for (int m = 0; m < prior.maps().size(); m++) {
            bits.add(bits(prior.histograms().get(m), prior.maps().get(m).codes()));
        }
        double[] sums = new double[bits.size()];
        float[] values = new float[codes.dimensions()];
        for (int i = 0; i < codes.size(); i++) {
            codes.read(i, values, 0);
            prior.forEach(values, (m, place) -> sums[m] += bits.get(m)[place]);
        }
        return sums;
    }

    /** What a code takes by its frequency; {@code counts [books, codes]}. */
    private static double[] bits(int[] counts, int codes) {
        double[] bits = new double[counts.length];
        for (int book = 0; book < counts.length; book += codes) {
            double total = codes;
            for (int i = 0; i < codes; i++) {
                total += counts[book + i];
            }
            for (int i = 0; i < codes; i++) {
                bits[book + i] = Math.log(total / (counts[book + i] + 1.0)) / Math.log(2);
            }
        }
        return bits;
    }
}
