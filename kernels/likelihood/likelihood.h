// likelihood: negative log-likelihood of x and its gradient, from a decoder's output, in one pass
//
// Row r of the parameters is held against row r / samples of x.
// With w[r] = row_weight[r] (1 where null) and W = *weight (1 where null):
//   nll_rows[r]       = -sum_d log p(x[d] | parameters[r,.,d])         nats, unweighted
//   nll_total         = W sum_r w[r] nll_rows[r]
//   d_parameters[r]   = W w[r] d nll_rows[r] / d parameters[r]
//
//   Bernoulli   logit a = parameters[r,0,d]              softplus(a) - x a, x in [0, 1]
//   Gaussian    m = parameters[r,0,d], s = log var       1/2 (log 2 pi + s + (x - m)^2 e^-s)
//   Laplace     m = parameters[r,0,d], s = log b         log 2 + s + |x - m| e^-s
// s = parameters[r,1,d] with learned_scale, else shape->log_scale. The gradient of |x - m| at 0 is 0.
// Grey values as Bernoulli probabilities: [Kingma, Welling 2014, app. C.1]. That x lies in [0, 1] is the
// caller's business and not checked. NaN reaches every output it has a part in.
//
// parameters, d_parameters   [rows, 1 or 2 (learned_scale), dims]
// x [rows / samples, dims]   nll_rows, row_weight [rows]   nll_total, weight [1]
//
// overwritten     every output that is not null; d_parameters may be parameters itself (in place)
// workspace       likelihood_workspace(shape) bytes
// deterministic   yes: sums in a fixed order
// bytes           12 rows dims with the gradient (Bernoulli, one sample), 8 rows dims without
#pragma once
#include "host_device.h"
#include "jlatent.h"
#include "math.h"
#include "status.h"

namespace jlatent::JL_TABLE {

constexpr float kLog2Pi = 1.8378770664093453f;
constexpr float kLog2 = 0.6931471805599453f;

// A value's negative log-likelihood with its gradients for location m and log scale s.
struct Nll {
    float value, d_location, d_scale;
};

// Each has nll(location, log scale, x), and says whether there is a scale to learn.

struct Bernoulli {
    static constexpr bool kHasScale = false;
    static JL_HOST_DEVICE Nll nll(float a, float, float x) {
        // softplus(a) and sigmoid(a) from one exponential; `tail` is sigmoid(-|a|)
        const float e = fast_exp(-fabsf(a)), u = 1.0f + e;
        const float log1p = u == 1.0f ? e : fast_log(u) * (e / (u - 1.0f));
        const float tail = e / u;
        // max(a, 0) - x a and the step at 0 less x, formed first: softplus(a) - x a and sigmoid(a) - x would
        // cancel at large a and x near 1.
        const float rest = a > 0.0f ? 1.0f - x : -x;
        return {a * rest + log1p, a > 0.0f ? rest - tail : rest + tail, 0.0f};
    }
};

struct Gaussian {
    static constexpr bool kHasScale = true;
    static JL_HOST_DEVICE Nll nll(float m, float s, float x) {
        const float precision = fast_exp(-s), difference = m - x;
        const float square = difference * difference * precision;
        return {0.5f * (kLog2Pi + s + square), difference * precision, 0.5f * (1.0f - square)};
    }
};

struct Laplace {
    static constexpr bool kHasScale = true;
    static JL_HOST_DEVICE Nll nll(float m, float s, float x) {
        const float inverse = fast_exp(-s), difference = m - x;
        const float distance = fabsf(difference) * inverse;
        const float sign = difference > 0.0f   ? 1.0f
                           : difference < 0.0f ? -1.0f
                                               : difference;  // 0 at 0, NaN stays
        return {kLog2 + s + distance, sign * inverse, 1.0f - distance};
    }
};

// Calls f with the functor of the shape's distribution.
template <class F>
jl_status with_distribution(const jl_likelihood& shape, F f) {
    switch (shape.distribution) {
        case JL_BERNOULLI:
            return f(Bernoulli{});
        case JL_GAUSSIAN:
            return f(Gaussian{});
        case JL_LAPLACE:
            return f(Laplace{});
        default:
            return fail(JL_BAD_ARGUMENT, "likelihood: unknown distribution %d", shape.distribution);
    }
}

size_t likelihood_workspace(const jl_likelihood* shape);

// What every table refuses.
inline jl_status check_likelihood(const jl_likelihood* shape, const float* parameters, const float* x,
                                  jl_workspace workspace) {
    JL_REQUIRE(shape != nullptr, "likelihood: shape is null");
    JL_REQUIRE(shape->rows >= 0 && shape->dims >= 1,
               "likelihood: rows >= 0 and dims >= 1 are needed, got %lld and %lld",
               static_cast<long long>(shape->rows), static_cast<long long>(shape->dims));
    JL_REQUIRE(fits({shape->rows, shape->dims, 2}),
               "likelihood: at most 2^37 values are possible, got %lld rows of %lld",
               static_cast<long long>(shape->rows), static_cast<long long>(shape->dims));
    JL_REQUIRE(shape->samples >= 1 && shape->rows % shape->samples == 0,
               "likelihood: samples must divide rows, got %lld and %lld",
               static_cast<long long>(shape->samples), static_cast<long long>(shape->rows));
    JL_REQUIRE(!shape->learned_scale || shape->distribution != JL_BERNOULLI,
               "likelihood: Bernoulli has no scale to learn");
    JL_REQUIRE(shape->rows == 0 || (parameters != nullptr && x != nullptr),
               "likelihood: parameters and x must not be null");
    JL_REQUIRE(workspace.data != nullptr && workspace.bytes >= likelihood_workspace(shape),
               "likelihood: the workspace has %zu bytes, %zu are needed", workspace.bytes,
               likelihood_workspace(shape));
    return JL_OK;
}

jl_status likelihood(const jl_likelihood* shape, const float* parameters, const float* x,
                     const float* row_weight, const float* weight, float* nll_rows, float* nll_total,
                     float* d_parameters, jl_workspace workspace, jl_stream stream);

}  // namespace jlatent::JL_TABLE
