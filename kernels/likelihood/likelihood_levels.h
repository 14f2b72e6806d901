// likelihood_levels: negative log-likelihood of integer levels, or codes, and its gradient in one pass; draws of them
//
// A row has `pixels` pixels of `channels` values, each one of 0 .. levels - 1. With w[r] = row_weight[r] (1 where null) and
// W = *weight (1 where null), row r of the parameters held against row r / samples of x:
//   nll_rows[r]       = -log P(x[r / samples] | parameters[r])        nats, unweighted
//   nll_total         = W sum_r w[r] nll_rows[r]
//   d_parameters[r]   = W w[r] d nll_rows[r] / d parameters[r]
//
//   categorical        logits [rows, pixels, channels, levels]             log sum_k e^logit[k] - logit[x], each value
//   logistic mixture   [rows, pixels, parameters of a pixel: mixture.h]    -log sum_m softmax(logits)[m] prod_c P(x[c] | m)
// So both stand as the last layer of an NHWC network writes them. The probabilities of all levels sum to 1: in bits a
// dimension this is nats / (pixels channels log 2), of discrete values.
//
// Parameters of any size up to 1e30: nothing overflows. Logits of -inf are masks; where there is NaN, +inf or nothing but
// -inf, the loss and every gradient of this value (of a mixture: of this pixel) are NaN. A level that is none of
// 0 .. levels - 1: the CPU refuses it; CUDA cannot know without waiting, and makes the same NaN.
//
// likelihood_draw     x[r] ~ P(. | parameters[r]), as draw.h says; samples is ignored, NaN gives -1
//   categorical, Bernoulli (logits [rows, pixels, channels], levels 2)   value e of all by draw_word(e, 0)
//   logistic mixture                                                     the same, and pixel i's component by draw_word(i, 1)
// levels_of_values    x = round((levels - 1) value): what an image's values in [0, 1] are as levels; others the CPU refuses,
//                     CUDA makes -1 of them
//
// x [rows / samples, pixels, channels] int32      nll_rows, row_weight [rows]      nll_total, weight [1]
//
// overwritten     every output that is not null; d_parameters may be parameters itself (in place)
// workspace       likelihood_levels_workspace(shape) bytes
// deterministic   yes: sums in a fixed order. Draws from categorical and Bernoulli: the same bits on every table
// bytes           8 a parameter with the gradient, 4 without; CUDA reads a categorical's up to three times, mostly from its caches
#pragma once
#include "host_device.h"
#include "jlatent.h"
#include "mixture.h"
#include "status.h"

namespace jlatent::JL_TABLE {

JL_HOST_DEVICE bool is_mixture(const jl_likelihood_levels& s) {
    return s.distribution == JL_LOGISTIC_MIXTURE;
}

// What has a likelihood of its own: a value, or a mixture's pixel.
JL_HOST_DEVICE int64_t units_a_row(const jl_likelihood_levels& s) {
    return is_mixture(s) ? s.pixels : s.pixels * s.channels;
}
JL_HOST_DEVICE int64_t parameters_a_unit(const jl_likelihood_levels& s) {
    return is_mixture(s)                      ? MixtureLayout{s.components, s.channels}.size()
           : s.distribution == JL_CATEGORICAL ? s.levels
                                              : 1;
}

size_t likelihood_levels_workspace(const jl_likelihood_levels* shape);

inline jl_status check_levels(const char* operation, const jl_likelihood_levels* shape,
                              const float* parameters, const void* x) {
    JL_REQUIRE(shape != nullptr, "%s: shape is null", operation);
    JL_REQUIRE(shape->rows >= 0 && shape->pixels >= 1 && shape->channels >= 1,
               "%s: rows >= 0, pixels >= 1 and channels >= 1 are needed, got %lld, %lld and %d", operation,
               static_cast<long long>(shape->rows), static_cast<long long>(shape->pixels), shape->channels);
    JL_REQUIRE(shape->levels >= 2 && shape->levels <= 1 << 24, "%s: levels must be in [2, 2^24], got %d",
               operation, shape->levels);
    if (is_mixture(*shape)) {
        JL_REQUIRE(shape->components >= 1 && shape->components <= kMostMixture &&
                       shape->channels <= kMostMixture &&
                       MixtureLayout({shape->components, shape->channels}).floats() <= kMostMixture,
                   "%s: at least 1 component is needed, and (2 + 2 channels + channels (channels - 1) / 2) "
                   "components at most %d, got %d of %d channels",
                   operation, kMostMixture, shape->components, shape->channels);
    }
    JL_REQUIRE(fits({shape->rows, shape->pixels, shape->channels, parameters_a_unit(*shape)}),
               "%s: at most 2^38 parameters are possible, got %lld rows of %lld pixels", operation,
               static_cast<long long>(shape->rows), static_cast<long long>(shape->pixels));
    JL_REQUIRE(shape->rows == 0 || (parameters != nullptr && x != nullptr),
               "%s: parameters and x must not be null", operation);
    return JL_OK;
}

// What every table refuses.
inline jl_status check_likelihood_levels(const jl_likelihood_levels* shape, const float* parameters,
                                         const int32_t* x, jl_workspace workspace) {
    if (const jl_status status = check_levels("likelihood_levels", shape, parameters, x)) return status;
    JL_REQUIRE(shape->distribution == JL_CATEGORICAL || is_mixture(*shape),
               "likelihood_levels: unknown distribution %d", shape->distribution);
    JL_REQUIRE(shape->samples >= 1 && shape->rows % shape->samples == 0,
               "likelihood_levels: samples must divide rows, got %lld and %lld",
               static_cast<long long>(shape->samples), static_cast<long long>(shape->rows));
    JL_REQUIRE(workspace.data != nullptr && workspace.bytes >= likelihood_levels_workspace(shape),
               "likelihood_levels: the workspace has %zu bytes, %zu are needed", workspace.bytes,
               likelihood_levels_workspace(shape));
    return JL_OK;
}

inline jl_status check_likelihood_draw(const jl_likelihood_levels* shape, const float* parameters,
                                       const jl_random* random, float temperature, int32_t top_k,
                                       const int32_t* x) {
    if (const jl_status status = check_levels("likelihood_draw", shape, parameters, x)) return status;
    JL_REQUIRE(shape->distribution == JL_CATEGORICAL || is_mixture(*shape) ||
                   (shape->distribution == JL_BERNOULLI && shape->levels == 2),
               "likelihood_draw: unknown distribution %d of %d levels", shape->distribution, shape->levels);
    JL_REQUIRE(random != nullptr, "likelihood_draw: random must not be null");
    JL_REQUIRE(temperature > 0.0f && temperature < INFINITY,
               "likelihood_draw: the temperature must be positive and finite, got %g", temperature);
    JL_REQUIRE(
        top_k >= 0 && top_k <= shape->levels && (top_k == 0 || shape->distribution == JL_CATEGORICAL),
        "likelihood_draw: top_k must be in [1, levels], and 0 for all and for other distributions than a "
        "categorical, got %d of %d levels",
        top_k, shape->levels);
    JL_REQUIRE(shape->rows * shape->pixels * shape->channels <= int64_t{1} << 34,
               "likelihood_draw: at most 2^34 values are possible, got %lld rows of %lld pixels",
               static_cast<long long>(shape->rows), static_cast<long long>(shape->pixels));
    return JL_OK;
}

inline jl_status check_levels_of_values(const float* values, int64_t count, int32_t levels,
                                        const int32_t* x) {
    JL_REQUIRE(count >= 0 && fits({count}), "levels_of_values: count must be in [0, 2^38], got %lld",
               static_cast<long long>(count));
    JL_REQUIRE(levels >= 2 && levels <= 1 << 24, "levels_of_values: levels must be in [2, 2^24], got %d",
               levels);
    JL_REQUIRE(count == 0 || (values != nullptr && x != nullptr), "levels_of_values: an array is null");
    return JL_OK;
}

JL_HOST_DEVICE int32_t level_of_value(float value, float last) {
    const float place = rintf(value * last);
    return place >= 0.0f && place <= last ? static_cast<int32_t>(place) : -1;
}

jl_status likelihood_levels(const jl_likelihood_levels* shape, const float* parameters, const int32_t* x,
                            const float* row_weight, const float* weight, float* nll_rows, float* nll_total,
                            float* d_parameters, jl_workspace workspace, jl_stream stream);
jl_status likelihood_draw(const jl_likelihood_levels* shape, const float* parameters, const jl_random* random,
                          uint32_t site, float temperature, int32_t top_k, int32_t* x, jl_stream stream);
jl_status levels_of_values(const float* values, int64_t count, int32_t levels, int32_t* x, jl_stream stream);

}  // namespace jlatent::JL_TABLE
