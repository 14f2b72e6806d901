#include "likelihood_levels.h"

#include "lanes.h"
#include "mixture_nll.h"
#include "parallel.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int64_t kTile = 4096;        // parameters a task, about; sums of tasks are added in order
constexpr int64_t kShortRow = 64;      // levels: fewer do not fill vectors by themselves
constexpr int64_t kMixtureLanes = 16;  // pixels a vector

int64_t units_a_task(const jl_likelihood_levels& s) {
    if (is_mixture(s)) return 4 * kMixtureLanes;
    return s.levels < kTile ? kTile / (s.levels < 1 ? 1 : s.levels) : 1;
}

int64_t tasks_a_row(const jl_likelihood_levels& s) {
    return (units_a_row(s) + units_a_task(s) - 1) / units_a_task(s);
}

// A value's loss. Not fast_log: the sum of a NaN is NaN.
float categorical_loss(float largest, float sum, float own) { return std::log(sum) - (own - largest); }

// g[k] = e^(logit - largest) becomes the gradient.
void categorical_gradient(float sum, float weight, int32_t x, int32_t levels, float* g) {
    const float by = weight / sum;
#pragma omp simd
    for (int32_t k = 0; k < levels; ++k) g[k] *= by;
    g[x] -= weight;
}

// Many levels. g may be the logits, or null.
float long_value(const float* logits, int32_t x, int32_t levels, float weight, float* g) {
    const float largest = lane_max(logits, levels), own = logits[x];  // before it is overwritten
    if (g == nullptr) {
        const float sum = lane_sum(levels, [=](int64_t k) { return fast_exp(logits[k] - largest); });
        return categorical_loss(largest, sum, own);
    }
#pragma omp simd
    for (int32_t k = 0; k < levels; ++k) g[k] = fast_exp(logits[k] - largest);
    const float sum = lane_sum(levels, [=](int64_t k) { return g[k]; });
    categorical_gradient(sum, weight, x, levels, g);
    return categorical_loss(largest, sum, own);
}

// Few levels: the exponentials, which cost most, are taken across values. At most kTile parameters.
float short_values(const float* logits, const int32_t* x, int64_t count, int32_t levels, float weight,
                   float* g) {
    float power[kTile], largest[kTile];
    for (int64_t i = 0; i < count; ++i) {
        const float* own = logits + i * levels;
        float most = -INFINITY;
        for (int32_t k = 0; k < levels; ++k) most = own[k] > most ? own[k] : most;
        for (int32_t k = 0; k < levels; ++k) power[i * levels + k] = own[k] - most;
        largest[i] = most;
    }
#pragma omp simd
    for (int64_t i = 0; i < count * levels; ++i) power[i] = fast_exp(power[i]);
    float total = 0.0f;
    for (int64_t i = 0; i < count; ++i) {
        float sum = 0.0f;
        for (int32_t k = 0; k < levels; ++k) sum += power[i * levels + k];
        total += categorical_loss(largest[i], sum, logits[i * levels + x[i]]);
        if (g == nullptr) continue;
        memcpy(g + i * levels, power + i * levels, static_cast<size_t>(levels) * sizeof(float));
        categorical_gradient(sum, weight, x[i], levels, g + i * levels);
    }
    return total;
}

float categorical(const jl_likelihood_levels& s, const float* logits, const int32_t* x, int64_t count,
                  float weight, float* g) {
    if (s.levels < kShortRow) return short_values(logits, x, count, s.levels, weight, g);
    float total = 0.0f;
    for (int64_t i = 0; i < count; ++i)
        total += long_value(logits + i * s.levels, x[i], s.levels, weight,
                            g == nullptr ? nullptr : g + i * s.levels);
    return total;
}

// kMixtureLanes pixels at a time, turned so that a parameter's are neighbours.
template <bool kGradient>
float mixture(const jl_likelihood_levels& s, const float* parameters, const int32_t* x, int64_t count,
              float weight, float* g) {
    constexpr int W = kMixtureLanes;
    const MixtureLayout at = {s.components, s.channels};
    const int size = at.size();
    float p[kMostMixture * W], nll[W], total = 0.0f;
    int32_t levels[kMostChannels * W];
    for (int64_t first = 0; first < count; first += W) {
        const int n = count - first < W ? static_cast<int>(count - first) : W;
        for (int l = 0; l < W; ++l) {  // past the end the last pixel again
            const int64_t pixel = first + (l < n ? l : n - 1);
            for (int i = 0; i < size; ++i) p[i * W + l] = parameters[pixel * size + i];
            for (int c = 0; c < s.channels; ++c) levels[c * W + l] = x[pixel * s.channels + c];
        }
        mixture_nll<W, kGradient>(at, s.levels, levels, weight, p, nll);
        for (int l = 0; l < n; ++l) {
            total += nll[l];
            for (int i = 0; kGradient && i < size; ++i) g[(first + l) * size + i] = p[i * W + l];
        }
    }
    return total;
}

// The first of count that is wrong, or count.
template <class Wrong>
int64_t first_wrong(int64_t count, Wrong wrong) {
    uint32_t any = 0;
#pragma omp simd reduction(| : any)
    for (int64_t i = 0; i < count; ++i) any |= wrong(i) ? 1u : 0u;
    int64_t i = any == 0 ? count : 0;
    while (i < count && !wrong(i)) ++i;
    return i;
}

}  // namespace

size_t likelihood_levels_workspace(const jl_likelihood_levels* shape) {
    return kWorkspaceHeader + static_cast<size_t>(shape->rows * tasks_a_row(*shape)) * sizeof(float);
}

jl_status likelihood_levels(const jl_likelihood_levels* shape, const float* parameters, const int32_t* x,
                            const float* row_weight, const float* weight, float* nll_rows, float* nll_total,
                            float* d_parameters, jl_workspace workspace, jl_stream) {
    if (const jl_status status = check_likelihood_levels(shape, parameters, x, workspace)) return status;
    const jl_likelihood_levels s = *shape;
    const int64_t all = s.rows / s.samples * s.pixels * s.channels,
                  odd = first_wrong(all, [=](int64_t i) {
                      return static_cast<uint32_t>(x[i]) >= static_cast<uint32_t>(s.levels);
                  });
    if (odd < all)
        return fail(JL_BAD_ARGUMENT, "likelihood_levels: x[%lld] is %d, but there are %d levels, from 0 on",
                    static_cast<long long>(odd), x[odd], s.levels);
    const float total_weight = weight == nullptr ? 1.0f : *weight;
    const int64_t n = tasks_a_row(s), units = units_a_row(s), size = parameters_a_unit(s),
                  values = s.pixels * s.channels / units;  // a unit's
    float* partial = workspace_floats(workspace);
    parallel_for(s.rows * n, s.rows * units * size, [&](int64_t task) {
        const int64_t row = task / n, start = task % n * units_a_task(s),
                      count = units - start < units_a_task(s) ? units - start : units_a_task(s);
        const float w = total_weight * (row_weight == nullptr ? 1.0f : row_weight[row]);
        const int64_t at = (row * units + start) * size;
        float* g = d_parameters == nullptr ? nullptr : d_parameters + at;
        const auto part = !is_mixture(s) ? categorical : g == nullptr ? mixture<false> : mixture<true>;
        partial[task] = part(s, parameters + at, x + (row / s.samples * units + start) * values, count, w, g);
    });
    double total = 0.0;
    for (int64_t row = 0; row < s.rows; ++row) {
        const float nll = ordered_sum(partial + row * n, n);
        if (nll_rows != nullptr) nll_rows[row] = nll;
        total += static_cast<double>(row_weight == nullptr ? 1.0f : row_weight[row]) * nll;
    }
    if (nll_total != nullptr) *nll_total = static_cast<float>(total_weight * total);
    return JL_OK;
}

jl_status levels_of_values(const float* values, int64_t count, int32_t levels, int32_t* x, jl_stream) {
    if (const jl_status status = check_levels_of_values(values, count, levels, x)) return status;
    const float last = static_cast<float>(levels - 1);
    const int64_t odd = first_wrong(count, [=](int64_t i) { return level_of_value(values[i], last) < 0; });
    if (odd < count)
        return fail(JL_BAD_ARGUMENT,
                    "levels_of_values: values[%lld] is %g; levels are made of values in [0, 1]",
                    static_cast<long long>(odd), values[odd]);
    parallel_for((count + kTile - 1) / kTile, count, [=](int64_t tile) {
        const int64_t end = (tile + 1) * kTile < count ? (tile + 1) * kTile : count;
#pragma omp simd
        for (int64_t i = tile * kTile; i < end; ++i) x[i] = level_of_value(values[i], last);
    });
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE
