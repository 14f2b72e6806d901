// norm: layer, group, instance and batch normalization, forward and backward
// [Ioffe, Szegedy 2015; Ba et al. 2016; Ulyanov et al. 2016; Wu, He 2018]
//
// x is [outer, spatial, groups, channels]; each of its outer groups items is normalized over spatial and channels,
// n = spatial channels values. Which normalization it is lies in the shape alone:
//   layer     [rows, 1, 1, D]            of a matrix [rows, D]
//   group     [N, H W, groups, C/groups] of images [N, H, W, C]
//   instance  [N, H W, C, 1]
//   batch     [1, N H W, C, 1]
//
// With m and v the mean and the (biased) variance of an item, r = 1 / sqrt(v + epsilon), and c running over the
// C = groups channels of gamma and beta:
//   y     = gamma[c] (x - m) r + beta[c]
//   running_mean     = (1 - momentum) running_mean     + momentum m
//   running_variance = (1 - momentum) running_variance + momentum v n / (n - 1)      n = 1: v, which is 0
// An item whose m or v is not finite leaves its running statistics alone.
//
// norm_inference takes mean and variance as given:
//   y = gamma[c] (x - mean) / sqrt(variance + epsilon) + beta[c]
//
// Backward, with xhat = (x - m) r, g = dy gamma and means over an item:
//   dx       = r (g - mean(g) - xhat mean(g xhat))
//   d_gamma  = sum of dy xhat over outer and spatial       d_beta = sum of dy over outer and spatial
//
// gamma, beta, d_gamma, d_beta                           [C]; gamma null: 1, beta null: 0
// statistics                                             [3, outer groups]: m rounded to f32, what that rounding left
//                                                        off, r. Two floats a mean: one, of values near 1e4 with a
//                                                        deviation of 1e-2, would be off by a twentieth of it
// running_mean, running_variance, mean, variance         [outer groups]; the running two are both given or both null
//
// overwritten     y, statistics, dx, d_gamma, d_beta; none may overlap another array. Every output may be null.
// workspace       forward and backward: norm_workspace(shape) bytes
// precision       tiles of rows are summed in f32 around their own first row, and joined in fp64: a large mean costs
//                 no digits; a tile that begins with an outlier loses at most log2(its rows) bits of the variance.
//                 NaN and infinity stay in their item (and in d_gamma, d_beta of its channels).
// deterministic   yes: sums in a fixed order that depends on the shape alone
// bytes           of count = outer spatial C values: forward 12 count, backward 20 count, inference 8 count. CPU:
//                 forward 8 and backward 12 where what one core works on stays in its cache
#pragma once
#include "host_device.h"
#include "jlatent.h"
#include "status.h"

namespace jlatent::JL_TABLE {

// Two ways through the data. By columns: sums over rows for every channel, then over the channels of a group. By
// items: each is read as a whole; for few rows of many channels, such as layer normalization.
inline bool by_columns(const jl_norm& s) { return s.spatial >= 8 || s.channels < 16; }

inline int64_t columns_of(const jl_norm& s) { return s.groups * s.channels; }
inline int64_t items_of(const jl_norm& s) { return s.outer * s.groups; }
inline int64_t count_of(const jl_norm& s) { return s.outer * s.spatial * columns_of(s); }

// Squared deviations from the mean, of n values whose differences from some value sum to d, and their squares to q.
JL_HOST_DEVICE float deviations(float d, float q, float n) {
    const float m2 = q - d * d / n;
    return m2 < 0.0f ? 0.0f : m2;  // NaN stays NaN
}

struct Statistics {
    float mean, rest, scale;  // scale: r
    JL_HOST_DEVICE float normalized(float x) const { return (x - mean - rest) * scale; }
};

JL_HOST_DEVICE Statistics load_statistics(const float* statistics, int64_t items, int64_t i) {
    return {statistics[i], statistics[items + i], statistics[2 * items + i]};
}

// From mean and summed squared deviations of item i; also writes what is asked for.
JL_HOST_DEVICE Statistics finish_item(const jl_norm& s, int64_t i, double mean, double deviations,
                                      float* statistics, float* running_mean, float* running_variance) {
    const int64_t items = s.outer * s.groups;
    const double n = static_cast<double>(s.spatial * s.channels);
    const float rounded = static_cast<float>(mean);
    const Statistics result = {rounded, static_cast<float>(mean - rounded),
                               static_cast<float>(1.0 / sqrt(deviations / n + s.epsilon))};
    if (statistics != nullptr) {
        statistics[i] = result.mean;
        statistics[items + i] = result.rest;
        statistics[2 * items + i] = result.scale;
    }
    if (running_mean != nullptr && mean - mean == 0.0 && deviations - deviations == 0.0) {
        const double variance = deviations / (n > 1.0 ? n - 1.0 : 1.0), by = s.momentum;
        running_mean[i] = static_cast<float>((1.0 - by) * running_mean[i] + by * mean);
        running_variance[i] = static_cast<float>((1.0 - by) * running_variance[i] + by * variance);
    }
    return result;
}

size_t norm_workspace(const jl_norm* shape);

// What every table refuses.
inline jl_status check_norm(const char* operation, const jl_norm* shape) {
    JL_REQUIRE(shape != nullptr, "%s: shape is null", operation);
    const jl_norm& s = *shape;
    JL_REQUIRE(
        s.outer >= 0 && s.spatial >= 1 && s.groups >= 1 && s.channels >= 1,
        "%s: outer >= 0 and spatial, groups and channels >= 1 are needed, got %lld, %lld, %lld and %lld",
        operation, static_cast<long long>(s.outer), static_cast<long long>(s.spatial),
        static_cast<long long>(s.groups), static_cast<long long>(s.channels));
    JL_REQUIRE(s.channels < (int64_t{1} << 31) / s.groups,
               "%s: groups channels must be below 2^31, got %lld x %lld", operation,
               static_cast<long long>(s.groups), static_cast<long long>(s.channels));
    JL_REQUIRE(fits({s.outer, s.spatial, s.groups, s.channels}),
               "%s: at most 2^38 elements are possible, got %lld x %lld x %lld x %lld", operation,
               static_cast<long long>(s.outer), static_cast<long long>(s.spatial),
               static_cast<long long>(s.groups), static_cast<long long>(s.channels));
    JL_REQUIRE(s.epsilon > 0.0f && s.epsilon < INFINITY, "%s: epsilon must be positive and finite, got %g",
               operation, static_cast<double>(s.epsilon));
    return JL_OK;
}

inline jl_status check_norm_workspace(const char* operation, const jl_norm* shape, jl_workspace workspace) {
    JL_REQUIRE(workspace.data != nullptr && workspace.bytes >= norm_workspace(shape),
               "%s: the workspace has %zu bytes, %zu are needed", operation, workspace.bytes,
               norm_workspace(shape));
    return JL_OK;
}

inline jl_status check_norm_forward(const jl_norm* shape, const float* x, const float* running_mean,
                                    const float* running_variance, jl_workspace workspace) {
    if (const jl_status status = check_norm("norm_forward", shape)) return status;
    JL_REQUIRE(shape->outer == 0 || x != nullptr, "norm_forward: x is null");
    JL_REQUIRE((running_mean == nullptr) == (running_variance == nullptr),
               "norm_forward: running_mean and running_variance must both be given, or both be null");
    JL_REQUIRE(running_mean == nullptr || (shape->momentum >= 0.0f && shape->momentum <= 1.0f),
               "norm_forward: momentum must be in [0, 1], got %g", static_cast<double>(shape->momentum));
    return check_norm_workspace("norm_forward", shape, workspace);
}

inline jl_status check_norm_inference(const jl_norm* shape, const float* x, const float* mean,
                                      const float* variance, const float* y) {
    if (const jl_status status = check_norm("norm_inference", shape)) return status;
    JL_REQUIRE(shape->outer == 0 || (x != nullptr && mean != nullptr && variance != nullptr && y != nullptr),
               "norm_inference: an array is null");
    return JL_OK;
}

inline jl_status check_norm_backward(const jl_norm* shape, const float* x, const float* statistics,
                                     const float* dy, jl_workspace workspace) {
    if (const jl_status status = check_norm("norm_backward", shape)) return status;
    JL_REQUIRE(shape->outer == 0 || (x != nullptr && statistics != nullptr && dy != nullptr),
               "norm_backward: x, statistics and dy must not be null");
    return check_norm_workspace("norm_backward", shape, workspace);
}

jl_status norm_forward(const jl_norm* shape, const float* x, const float* gamma, const float* beta, float* y,
                       float* statistics, float* running_mean, float* running_variance,
                       jl_workspace workspace, jl_stream stream);
jl_status norm_inference(const jl_norm* shape, const float* x, const float* gamma, const float* beta,
                         const float* mean, const float* variance, float* y, jl_stream stream);
jl_status norm_backward(const jl_norm* shape, const float* x, const float* gamma, const float* statistics,
                        const float* dy, float* dx, float* d_gamma, float* d_beta, jl_workspace workspace,
                        jl_stream stream);

}  // namespace jlatent::JL_TABLE
