package org.jlatent.models;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jlatent.Activation;
import org.jlatent.GaussianOps;
import org.jlatent.Ops;
import org.jlatent.Posterior;
import org.jlatent.Random;
import org.jlatent.Scope;
import org.jlatent.Shape;
import org.jlatent.Tape;
import org.jlatent.Tensor;
import org.jlatent.nn.GaussianSample;
import org.jlatent.nn.Init;
import org.jlatent.nn.Layer;
import org.jlatent.nn.Likelihood;
import org.jlatent.nn.Linear;
import org.jlatent.nn.Sequential;

/**
 * Variational autoencoder with a diagonal Gaussian posterior and a standard normal prior [Kingma,
 * Welling 2014]; with {@code beta} other than 1 a beta-VAE [Higgins et al. 2017].
 *
 * <p>Loss, a mean over the batch in nats: {@code -log p(x|z) + beta KL(q(z|x) || p(z))}, with free
 * bits if asked for. Parameters: {@code encoder.*}, whose last layer gives mu and logVar side by
 * side, and {@code decoder.*}.
 */
public final class Vae extends Model {
    private static final int NOISE = 1; // the site of the posterior's noise
    private static final int PRIOR = 2; // the site of samples from the prior

    private final VaeConfig config;
    private final Random random;
    private final Sequential encoder;
    private final Sequential decoder;
    private final GaussianOps.Options posterior;

    /**
     * A model with fresh parameters.
     *
     * @param init owns the parameters
     * @param dims values of an image
     * @param seed of the noise
     */
    public Vae(Init init, int dims, VaeConfig config, long seed) {
        this.config = config;
        this.random = new Random(init.scope(), seed);
        int[] hidden = config.hidden();
        int[] mirrored = new int[hidden.length];
        for (int i = 0; i < hidden.length; i++) {
            mirrored[i] = hidden[hidden.length - 1 - i];
        }
        encoder =
                child("encoder", mlp(init, dims, hidden, 2 * config.latent(), config.activation()));
        decoder =
                child(
                        "decoder",
                        mlp(
                                init,
                                config.latent(),
                                mirrored,
                                dims * config.likelihood().parametersPerValue(),
                                config.activation()));
        posterior =
                GaussianOps.Options.plain()
                        .withSite(NOISE)
                        .withSamples(config.samples())
                        .withFreeBits(config.freeBits());
    }

    private static Sequential mlp(Init init, int in, int[] hidden, int out, Activation activation) {
        Layer[] layers = new Layer[hidden.length + 1];
        int width = in;
        for (int i = 0; i < hidden.length; i++) {
            layers[i] = new Linear(init, width, hidden[i], activation);
            width = hidden[i];
        }
        layers[hidden.length] = new Linear(init, width, out);
        return new Sequential(layers);
    }

    /** What the model was made from. */
    public VaeConfig config() {
        return config;
    }

    @Override
    public Random random() {
        return random;
    }

    /**
     * q(z|x).
     *
     * @param x {@code [batch, dims]}
     */
    public Posterior encode(Tape tape, Tensor x) {
        return Posterior.packed(encoder.forward(tape, x));
    }

    /**
     * The parameters of p(x|z).
     *
     * @param z {@code [rows, latent]}
     */
    public Tensor decode(Tape tape, Tensor z) {
        return decoder.forward(tape, z);
    }

    @Override
    public Objective objective(Tape tape, Tensor x) {
        Scope scope = tape.scope();
        long batch = x.shape().get(0);
        Tensor klWeight = scope.scalar(config.beta() / batch);
        Tensor weight = scope.scalar(1.0f / (batch * config.samples()));
        GaussianOps.Result q =
                new GaussianSample(random, posterior).forward(tape, encode(tape, x), klWeight);
        Likelihood.Loss reconstruction =
                config.likelihood().loss(tape, decode(tape, q.z()), x, weight);
        Tensor loss = sum(tape, reconstruction.total(), q.klTotal());
        Map<String, Tensor> metrics = new LinkedHashMap<>();
        metrics.put("reconstruction", reconstruction.rows());
        metrics.put("kl", q.klRows());
        return new Objective(loss, metrics);
    }

    private static Tensor sum(Tape tape, Tensor a, Tensor b) {
        Tensor out = Ops.add(tape.scope(), a, b);
        tape.record(
                "loss",
                java.util.List.of(a, b),
                java.util.List.of(out),
                () -> {
                    tape.accumulate(a, tape.gradient(out));
                    tape.accumulate(b, tape.gradient(out));
                });
        return out;
    }

    /**
     * Means of p(x|z) for {@code count} draws of z from the prior, {@code count dims} values; the
     * same for the same seed.
     */
    public float[] sample(Scope scope, int count, long seed) {
        Random prior = new Random(scope, seed);
        Tensor z = Ops.randomNormal(scope, Shape.of(count, config.latent()), prior, PRIOR);
        return means(decode(Tape.inference(scope), z));
    }

    /** Means of p(x|z) at the mean of q(z|x), {@code batch dims} values. */
    public float[] reconstruct(Scope scope, Tensor x) {
        Tape tape = Tape.inference(scope);
        Posterior q = encode(tape, x);
        Tensor z = scope.of(Shape.of(q.rows(), q.dims()), q.meanToArray());
        return means(decode(tape, z));
    }

    private float[] means(Tensor parameters) {
        int dims =
                Math.toIntExact(
                        parameters.shape().get(1) / config.likelihood().parametersPerValue());
        return config.likelihood().mean(parameters.toFloatArray(), dims);
    }
}
