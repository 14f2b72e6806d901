package org.jlatent.models;

import java.util.List;
import java.util.stream.LongStream;
import org.jlatent.Scope;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;
import org.jlatent.nn.Quantizer;
import org.jlatent.nn.Quantizer.Quantized;

/**
 * How well a {@link QuantizedModel} gives images back, and how well its codes are used. Means over
 * values; with several books, means over them.
 *
 * @param squaredError of a value
 * @param normalizedError squared error / variance of these images: 1 is as bad as the mean value
 *     everywhere
 * @param reconstruction the likelihood's loss of a value: nats, or errors as they are
 * @param maps how each map's codes are used
 * @param bitsPerValue what the codes take, log2 of their number each, for a value of the images
 */
public record VqVaeEvaluation(
        double squaredError,
        double normalizedError,
        double reconstruction,
        List<Use> maps,
        double bitsPerValue) {
    /**
     * Of a map's codes.
     *
     * @param perplexity exp of the entropy of all codes, in [1, codes]
     * @param usage part of the codes that occurred
     */
    public record Use(double perplexity, double usage) {}

    /** Of the only map, or the mean over maps. */
    public double perplexity() {
        return maps.stream().mapToDouble(Use::perplexity).average().orElseThrow();
    }

    /** Of the only map, or the mean over maps. */
    public double usage() {
        return maps.stream().mapToDouble(Use::usage).average().orElseThrow();
    }

    /**
     * Goes over all images once.
     *
     * @throws IllegalArgumentException if there are no images, or not of the size the model was
     *     made for
     */
    public static VqVaeEvaluation of(QuantizedModel model, ImageSet images, int batchSize) {
        model.requireMeasurable(images, batchSize);
        ReconstructionErrors errors = new ReconstructionErrors();
        List<Histograms> histograms = model.quantizers().stream().map(Histograms::new).toList();
        double loss = 0;
        try (Scope scope = new Scope(model.device())) {
            for (int first = 0; first < images.size(); first += batchSize) {
                scope.clear();
                int count = Math.min(batchSize, images.size() - first);
                Tensor x = LatentModel.batch(scope, images, first, count);
                Tape tape = Tape.inference(scope);
                List<Quantized> z = model.quantize(tape, x, images.shape());
                for (int map = 0; map < z.size(); map++) {
                    histograms.get(map).add(z.get(map).codes().toIntArray());
                }
                Tensor parameters = model.decodeVectors(tape, QuantizedModel.q(z));
                for (float row :
                        model.likelihood().loss(tape, parameters, x, null).rows().toFloatArray()) {
                    loss += row;
                }
                errors.add(
                        x.toFloatArray(),
                        model.likelihood().mean(parameters.toFloatArray(), images.dimensions()));
            }
        }
        return new VqVaeEvaluation(
                errors.squared() / errors.values(),
                errors.normalized(),
                loss / errors.values(),
                histograms.stream().map(h -> new Use(h.perplexity(), h.usage())).toList(),
                model.bits(images.shape()) / images.dimensions());
    }

    /** How often each code of each book occurred. */
    private static final class Histograms {
        private final long[][] counts; // [books][codes]

        Histograms(Quantizer quantizer) {
            int codes = Math.toIntExact(quantizer.codes());
            counts = new long[(int) quantizer.books().elements()][codes];
        }

        void add(int[] codes) {
            for (int i = 0; i < codes.length; i++) {
                counts[i % counts.length][codes[i]]++;
            }
        }

        double perplexity() {
            double mean = 0;
            for (long[] book : counts) {
                long total = LongStream.of(book).sum();
                double entropy = 0;
                for (long count : book) {
                    double p = (double) count / total;
                    entropy -= count == 0 ? 0 : p * Math.log(p);
                }
                mean += Math.exp(entropy) / counts.length;
            }
            return mean;
        }

        double usage() {
            double used = 0;
            for (long[] book : counts) {
                for (long count : book) {
                    used += count > 0 ? 1 : 0;
                }
            }
            return used / counts.length / counts[0].length;
        }
    }
}
