package org.jlatent.models;

import org.jlatent.GaussianOps;
import org.jlatent.Posterior;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.data.ImageSet;

/**
 * How well a {@link Vae} or {@link PixelVae} explains a set of images. Means over images, in nats
 * an image.
 *
 * @param elbo lower bound on log p(x), {@code -(reconstruction + kl)}
 * @param nll importance-weighted estimate of -log p(x) [Burda et al. 2016, eq. 8], never above
 *     -elbo but for noise
 * @param reconstruction -log p(x|z), z drawn from q(z|x)
 * @param kl KL(q(z|x) || p(z)), in closed form
 * @param activeUnits latent dimensions whose mean varies over the images by more than 0.01 [Burda
 *     et al. 2016]
 * @param normalizedError squared error of the reconstruction at the posterior's mean, drawn if it
 *     is a {@link PixelVae}'s, / variance of the data
 * @param bitsPerDim {@code nll} in bits a value, for a {@linkplain org.jlatent.nn.Likelihood#levels
 *     likelihood of levels} and for images of zeros and ones; NaN for others
 */
public record VaeEvaluation(
        double elbo,
        double nll,
        double reconstruction,
        double kl,
        int activeUnits,
        double normalizedError,
        double bitsPerDim) {
    private static final int SITE = 3; // of the evaluation's noise
    private static final double ACTIVE = 0.01;

    /**
     * Goes over all images once; the same seed gives the same figures.
     *
     * @param samples of z for each image, for {@code nll} and {@code reconstruction}
     * @throws IllegalArgumentException if there are no images, or not of the size the model takes
     */
    public static VaeEvaluation of(
            VariationalModel vae, ImageSet images, int samples, int batchSize, long seed) {
        vae.requireMeasurable(images, batchSize);
        try (Scope owned = new Scope(vae.device());
                Scope scope = new Scope(owned.device())) {
            Accumulator sums = new Accumulator(vae, images, samples, new Random(owned, seed));
            for (int first = 0; first < images.size(); first += batchSize) {
                scope.clear();
                sums.add(scope, first, Math.min(batchSize, images.size() - first));
            }
            return sums.result();
        }
    }

    private static final class Accumulator {
        private final VariationalModel vae;
        private final ImageSet images;
        private final int samples;
        private final Random random;
        private final double[] meanSum;
        private final double[] meanSquare;
        private double reconstruction;
        private double kl;
        private double nll;
        private final ReconstructionErrors errors = new ReconstructionErrors();
        private boolean binary = true;

        Accumulator(VariationalModel vae, ImageSet images, int samples, Random random) {
            this.vae = vae;
            this.images = images;
            this.samples = samples;
            this.random = random;
            this.meanSum = new double[vae.latent()];
            this.meanSquare = new double[vae.latent()];
        }

        void add(Scope scope, int first, int count) {
            Tensor x = LatentModel.batch(scope, images, first, count);
            float[] pixels = x.toFloatArray();
            vae.check(pixels);
            Tape tape = Tape.inference(scope);
            Posterior q = vae.encode(tape, x);
            GaussianOps.Options options =
                    GaussianOps.Options.plain()
                            .withSamples(samples)
                            .withSite(SITE)
                            .withDensities(true);
            GaussianOps.Result r = GaussianOps.forward(scope, q, options, random, null, null);
            addBounds(
                    vae.nll(scope, r.z(), x),
                    r.klRows().toFloatArray(),
                    r.logQ().toFloatArray(),
                    r.logP().toFloatArray());
            addUnits(q.meanToArray());
            addPixels(pixels, vae.reconstruct(scope, x));
            random.advance();
        }

        private void addBounds(float[] rows, float[] klRows, float[] logQ, float[] logP) {
            for (int image = 0; image < klRows.length; image++) {
                kl += klRows[image];
                double largest = Double.NEGATIVE_INFINITY;
                double[] logWeights = new double[samples];
                for (int s = 0; s < samples; s++) {
                    int at = image * samples + s;
                    reconstruction += (double) rows[at] / samples;
                    logWeights[s] = -(double) rows[at] + logP[at] - logQ[at];
                    largest = Math.max(largest, logWeights[s]);
                }
                double sum = 0;
                for (double logWeight : logWeights) {
                    sum += Math.exp(logWeight - largest);
                }
                nll -= largest + Math.log(sum / samples);
            }
        }

        private void addUnits(float[] means) {
            for (int i = 0; i < means.length; i++) {
                meanSum[i % meanSum.length] += means[i];
                meanSquare[i % meanSum.length] += (double) means[i] * means[i];
            }
        }

        private void addPixels(float[] pixels, float[] reconstructed) {
            errors.add(pixels, reconstructed);
            for (float pixel : pixels) {
                binary &= pixel == 0.0f || pixel == 1.0f;
            }
        }

        VaeEvaluation result() {
            int n = images.size();
            boolean discrete = binary || vae.likelihood().levels() > 0;
            int active = 0;
            for (int d = 0; d < meanSum.length; d++) {
                double mean = meanSum[d] / n;
                active += meanSquare[d] / n - mean * mean > ACTIVE ? 1 : 0;
            }
            return new VaeEvaluation(
                    -(reconstruction + kl) / n,
                    nll / n,
                    reconstruction / n,
                    kl / n,
                    active,
                    errors.normalized(),
                    discrete ? nll / n / images.dimensions() / Math.log(2) : Double.NaN);
        }
    }
}
