// norm by items, on the CPU: a task takes whole items, which stay in its cache between passes.
#pragma once
#include "columns_cpu.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int64_t kChunk = 1024;  // values summed in f32 at a time
constexpr int64_t kBlock = 256;   // rows that add to the same d_gamma and d_beta, at most

// What stands for gamma or beta where there is none; a piece is never wider.
struct Constant {
    alignas(64) float v[kChunk];
    explicit Constant(float value) {
        for (float& f : v) f = value;
    }
};
inline const float* parameter(const float* given, int64_t channel, const Constant& otherwise) {
    return given == nullptr ? otherwise.v : given + channel;
}
const Constant kOnes(1.0f), kZeros(0.0f);

// f(offset into x, first channel, width) for the contiguous pieces of an item, in order.
template <class F>
void for_pieces(const jl_norm& s, int64_t item, F f) {
    const int64_t outer = item / s.groups, channel = item % s.groups * s.channels, columns = columns_of(s);
    for (int64_t r = 0; r < s.spatial; ++r)
        for (int64_t c = 0; c < s.channels; c += kChunk)
            f((outer * s.spatial + r) * columns + channel + c, channel + c, at_most(kChunk, s.channels - c));
}

Statistics item_statistics(const jl_norm& s, int64_t item, const float* x, float* statistics,
                           float* running_mean, float* running_variance) {
    double count = 0.0, mean = 0.0, squares = 0.0;
    for_pieces(s, item, [&](int64_t offset, int64_t, int64_t width) {
        const float* v = x + offset;
        const float first = v[0];
        float d = 0.0f, q = 0.0f;
#pragma omp simd reduction(+ : d, q)
        for (int64_t c = 0; c < width; ++c) {
            const float away = v[c] - first;
            d += away;
            q += away * away;
        }
        const float n = static_cast<float>(width);
        // [Chan et al. 1979]
        const double away = static_cast<double>(first) + d / n - mean, joined = count + width;
        mean += away * width / joined;
        squares += deviations(d, q, n) + away * away * count * width / joined;
        count = joined;
    });
    return finish_item(s, item, mean, squares, statistics, running_mean, running_variance);
}

void normalize_item(const jl_norm& s, int64_t item, const Statistics& of, const float* x, const float* gamma,
                    const float* beta, float* y) {
    for_pieces(s, item, [&](int64_t offset, int64_t channel, int64_t width) {
        const float* v = x + offset;
        const float *by = parameter(gamma, channel, kOnes), *shift = parameter(beta, channel, kZeros);
        float* out = y + offset;
#pragma omp simd
        for (int64_t c = 0; c < width; ++c) out[c] = by[c] * of.normalized(v[c]) + shift[c];
    });
}

// dx of one item; adds its parts of d_gamma and d_beta to sums [2, C].
void item_gradient(const jl_norm& s, int64_t item, const Statistics& of, const float* x, const float* gamma,
                   const float* dy, float* dx, float* sums) {
    const int64_t columns = columns_of(s);
    double sum_scaled = 0.0, sum_plain = 0.0;
    for_pieces(s, item, [&](int64_t offset, int64_t channel, int64_t width) {
        const float *v = x + offset, *d = dy + offset, *by = parameter(gamma, channel, kOnes);
        float *d_gamma = sums + channel, *d_beta = d_gamma + columns;
        float scaled = 0.0f, plain = 0.0f;
#pragma omp simd reduction(+ : scaled, plain)
        for (int64_t c = 0; c < width; ++c) {
            const float g = d[c] * by[c];
            const float xhat = of.normalized(v[c]);
            scaled += g * xhat;
            plain += g;
            d_gamma[c] += d[c] * xhat;
            d_beta[c] += d[c];
        }
        sum_scaled += scaled;
        sum_plain += plain;
    });
    if (dx == nullptr) return;
    const double n = static_cast<double>(s.spatial * s.channels);
    const float mean_scaled = static_cast<float>(sum_scaled / n),
                mean_plain = static_cast<float>(sum_plain / n);
    for_pieces(s, item, [&](int64_t offset, int64_t channel, int64_t width) {
        const float *v = x + offset, *d = dy + offset, *by = parameter(gamma, channel, kOnes);
        float* out = dx + offset;
#pragma omp simd
        for (int64_t c = 0; c < width; ++c) {
            const float g = d[c] * by[c];
            out[c] = of.scale * (g - mean_plain - of.normalized(v[c]) * mean_scaled);
        }
    });
}

// Of outer, each with sums of its own: enough for many cores, small enough to add in f32.
int64_t outer_blocks(const jl_norm& s) { return at_most(s.outer, 64 + s.outer * s.spatial / kBlock); }

}  // namespace
}  // namespace jlatent::JL_TABLE
