package org.jlatent;

import static org.jlatent.Checks.address;
import static org.jlatent.Checks.floats;
import static org.jlatent.Checks.integers;
import static org.jlatent.Checks.require;

import org.jlatent.internal.PixelSamplerKernels;
import org.jlatent.internal.PixelSamplerKernels.SamplerShape;

/**
 * Draws images pixel by pixel from a network of masked convolutions, whole ones in a single call: a
 * pixel costs its own column of every feature map, where naive sampling pays for a forward pass
 * over all of them. Formulas in kernels/pixel_sampler/pixel_sampler.h.
 */
public final class PixelSamplerOps {
    private PixelSamplerOps() {}

    /**
     * How levels are drawn.
     *
     * @param likelihood what the program's last node gives
     * @param groups of channels, drawn one after the other, as masks of the program see them; 1: a
     *     pixel's channels together
     * @param temperature divides logits and multiplies scales: below 1 likelier levels, above 1
     *     others
     * @param topK only the most likely so many levels of a categorical; 0: all
     * @param site which random draw of the model this is
     * @param firstImage number of the batch's first image: image n is the same in any batch
     */
    public record Options(
            LikelihoodLevelsOps.Options likelihood,
            int groups,
            float temperature,
            int topK,
            int site,
            long firstImage) {

        /** From the distribution itself, from image number 0 on, in one group, at site 0. */
        public static Options of(LikelihoodLevelsOps.Options likelihood) {
            return new Options(likelihood, 1, 1.0f, 0, 0, 0);
        }

        /** Channels in so many groups that see each other in their order. */
        public Options withGroups(int count) {
            return new Options(likelihood, count, temperature, topK, site, firstImage);
        }

        /** At another temperature. */
        public Options withTemperature(float value) {
            return new Options(likelihood, groups, value, topK, site, firstImage);
        }

        /** Of the most likely so many levels; 0: of all. */
        public Options withTopK(int count) {
            return new Options(likelihood, groups, temperature, count, site, firstImage);
        }

        /** With the noise of another site. */
        public Options withSite(int number) {
            return new Options(likelihood, groups, temperature, topK, number, firstImage);
        }

        /** With the noise of the images from this number on. */
        public Options withFirstImage(long number) {
            return new Options(likelihood, groups, temperature, topK, site, number);
        }

        private SamplerShape shape(Shape image) {
            return new SamplerShape(
                    image.get(0),
                    image.get(1),
                    image.get(2),
                    image.get(3),
                    firstImage,
                    likelihood.levels(),
                    groups,
                    switch (likelihood.distribution()) {
                        case BERNOULLI -> 0;
                        case CATEGORICAL -> 3;
                        case LOGISTIC_MIXTURE -> 4;
                    },
                    topK,
                    temperature,
                    site);
        }
    }

    /**
     * @param image levels, i32, {@code [batch, height, width, channels]}; -1 where parameters are
     *     no distribution
     * @param parameters of every pixel, {@code [batch, height, width, channels of the last node]};
     *     null where they were not asked for. With the image, {@link LikelihoodLevelsOps#nll} makes
     *     log-probabilities of them
     * @param margins how near a pixel's noise came to an edge between two levels, in probability,
     *     {@code [batch, height, width]}: naive sampling sums in another order, and may draw
     *     another level where this is within rounding
     */
    public record Result(Tensor image, Tensor parameters, Tensor margins) {}

    /**
     * Draws images.
     *
     * <p>A given level that there is not: the CPU throws {@link DeviceException} and names it. A
     * GPU cannot know without waiting; there it becomes -1, as does what depends on it.
     *
     * @param image shape of the result, {@code [batch, height, width, channels]}
     * @param given levels of that shape, i32: at least 0 they are taken, below 0 drawn; null: all
     *     are drawn
     * @param random state of the noise; words are those of {@link LikelihoodLevelsOps#draw}
     * @param parameters whether they are wanted
     * @throws ShapeException when a shape or type does not fit or tensors live on different devices
     * @throws DeviceException when the program cannot be drawn from, with the reason, or the device
     *     fails
     */
    public static Result sample(
            Scope scope,
            SamplerProgram program,
            Shape image,
            Options options,
            Tensor given,
            Random random,
            boolean parameters) {
        if (image.rank() != 4) {
            throw new ShapeException(
                    "pixel sampler: images must be [batch, height, width, channels], got " + image);
        }
        program.check(image, options.likelihood.levels());
        floats("pixel sampler", scope, program.tensors());
        floats("pixel sampler", scope, random.state());
        if (given != null) {
            require("pixel sampler", "given", given, image);
            integers("pixel sampler", "given", scope, given);
        }
        Tensor drawn = scope.empty(image, DType.I32);
        Tensor margins = scope.empty(image.withoutLast());
        Tensor last = null;
        if (parameters && program.size() > 0) {
            long channels = program.channels(program.size() - 1);
            last = scope.empty(image.withoutLast().withLast(channels));
        }
        PixelSamplerKernels.sample(
                scope.device().backend(),
                options.shape(image),
                program.nodes(),
                address(given),
                address(random),
                drawn.address(),
                address(last),
                margins.address());
        return new Result(drawn, last, margins);
    }
}
