// norm by items, on CUDA: a group of lanes, or a block where items are large, reads its own two or three times; after
// the first they come from the caches.
#pragma once
#include "columns_cuda.h"

namespace jlatent::JL_TABLE {
namespace {

struct Items {
    int64_t quads;  // of a row of the item
    int lanes;
    explicit Items(const jl_norm& s) : quads((s.channels + 3) / 4), lanes(1) {
        while (lanes < kWarp && lanes < quads * s.spatial) lanes *= 2;
        if (s.channels * s.spatial > 2048) lanes = kBlock;
    }
    int64_t grid(const jl_norm& s) const {
        const int64_t each = kBlock / lanes;
        return (items_of(s) + each - 1) / each;
    }
};

// The sum over an item's lanes, in all of them.
__device__ inline float item_sum(float v, int lanes) {
    if (lanes <= kWarp) return warp_sum(v, lanes);
    JL_SHARED(float, total, [1]);
    v = block_sum(v);
    if (threadIdx.x == 0) total[0] = v;
    __syncthreads();
    return total[0];  // block_sum() waits before it lets anyone write it again
}

// f(offset into x, first channel, how many) for this thread's quads.
template <class F>
__device__ inline void for_quads(const jl_norm& s, const Items& t, int64_t item, F f) {
    if (item >= s.outer * s.groups) return;
    const int64_t outer = item / s.groups, columns = s.groups * s.channels;
    const int64_t channel = (item - outer * s.groups) * s.channels,
                  start = outer * s.spatial * columns + channel;
    for (int64_t q = threadIdx.x % t.lanes; q < t.quads * s.spatial; q += t.lanes) {
        const int64_t row = s.spatial == 1 ? 0 : q / t.quads, c = 4 * (q - row * t.quads),
                      left = s.channels - c;
        f(start + row * columns + c, channel + c, left < 4 ? static_cast<int>(left) : 4);
    }
}

__device__ inline int64_t item_of(const Items& t) {
    return blockIdx.x * static_cast<int64_t>(kBlock / t.lanes) + threadIdx.x / t.lanes;
}

__global__ void __launch_bounds__(kBlock)
    item_forward_kernel(jl_norm s, Items t, const float* __restrict__ x, const float* __restrict__ gamma,
                        const float* __restrict__ beta, float* __restrict__ y, float* statistics,
                        float* running_mean, float* running_variance) {
    const int64_t item = item_of(t);
    const bool live = item < s.outer * s.groups;  // a warp goes together: the sums below need all of it
    const float n = static_cast<float>(s.spatial * s.channels);
    float around = 0.0f, d = 0.0f, q = 0.0f;
    // First around the first value, then around the mean of that.
    if (live) around = x[item / s.groups * s.spatial * s.groups * s.channels + item % s.groups * s.channels];
    for (int pass = 0; pass < 2; ++pass) {
        d = q = 0.0f;
        for_quads(s, t, item, [&](int64_t offset, int64_t, int count) {
            const Quad v = load_cached(x, offset, count);
            JL_UNROLL
            for (int k = 0; k < 4; ++k)
                if (k < count) {
                    const float away = v.v[k] - around;
                    d += away;
                    q += away * away;
                }
        });
        d = item_sum(d, t.lanes);
        if (pass == 0) around += d / n;
    }
    q = item_sum(q, t.lanes);
    if (!live) return;
    const bool writes = threadIdx.x % t.lanes == 0;
    const Statistics of =
        finish_item(s, item, static_cast<double>(around) + d / n, deviations(d, q, n),
                    writes ? statistics : nullptr, writes ? running_mean : nullptr, running_variance);
    if (y == nullptr) return;
    for_quads(s, t, item, [&](int64_t offset, int64_t channel, int count) {
        Quad v = load_cached(x, offset, count);
        const Quad by = load_parameter(gamma, channel, count, 1.0f);
        const Quad shift = load_parameter(beta, channel, count, 0.0f);
        JL_UNROLL
        for (int k = 0; k < 4; ++k) v.v[k] = by.v[k] * of.normalized(v.v[k]) + shift.v[k];
        store_quad(y, offset, count, v);
    });
}

__global__ void __launch_bounds__(kBlock)
    item_backward_kernel(jl_norm s, Items t, const float* __restrict__ x, const float* __restrict__ gamma,
                         const float* __restrict__ statistics, const float* __restrict__ dy,
                         float* __restrict__ dx) {
    const int64_t item = item_of(t);
    const float n = static_cast<float>(s.spatial * s.channels);
    Statistics of = {0.0f, 0.0f, 0.0f};
    if (item < s.outer * s.groups) of = load_statistics(statistics, s.outer * s.groups, item);
    float scaled = 0.0f, plain = 0.0f;
    for_quads(s, t, item, [&](int64_t offset, int64_t channel, int count) {
        const Quad v = load_cached(x, offset, count), d = load_cached(dy, offset, count);
        const Quad by = load_parameter(gamma, channel, count, 1.0f);
        JL_UNROLL
        for (int k = 0; k < 4; ++k)
            if (k < count) {
                const float g = d.v[k] * by.v[k];
                scaled += g * of.normalized(v.v[k]);
                plain += g;
            }
    });
    scaled = item_sum(scaled, t.lanes) / n;
    plain = item_sum(plain, t.lanes) / n;
    for_quads(s, t, item, [&](int64_t offset, int64_t channel, int count) {
        const Quad v = load_cached(x, offset, count);
        Quad d = load_cached(dy, offset, count);
        const Quad by = load_parameter(gamma, channel, count, 1.0f);
        JL_UNROLL
        for (int k = 0; k < 4; ++k)
            d.v[k] = of.scale * (d.v[k] * by.v[k] - plain - of.normalized(v.v[k]) * scaled);
        store_quad(dx, offset, count, d);
    });
}

}  // namespace
}  // namespace jlatent::JL_TABLE
