// pixel_sampler's attention on CUDA: a block takes one pixel and head. Its warps share the keys, a few at a time; lanes are dims.
#pragma once
#include "launch.h"
#include "math.h"
#include "program.h"

namespace jlatent::JL_TABLE {

// A head of the step's map at (y, x), from that of `in`, in the memory of one image of that width. A sum's order depends on the
// pixel alone. Other blocks wrote the input: it is read past the first-level cache.
template <int kWarps>
__device__ inline void attend(const Step& step, const Step& in, int64_t width, float* memory, int64_t y,
                              int64_t x, int64_t head) {
    constexpr int kKeys = 4, kChunks = kMostHeadDims / kWarp;
    JL_SHARED(float, all_most, [kWarps]);
    JL_SHARED(float, all_sum, [kWarps]);
    JL_SHARED(float, all_o, [kWarps * kMostHeadDims]);
    const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
    const int64_t heads = step.node.groups, dims = step.node.channels / heads, last = y * width + x;
    const float scale = attention_scale(dims);
    // Part 0 to 2 of pixel j: its query, key or value.
    const auto part = [&](int64_t j, int64_t which) {
        return memory + in.at(width, j / width, j % width) + (which * heads + head) * dims;
    };
    float q[kChunks], o[kChunks] = {}, most = -INFINITY, sum = 0.0f;
    JL_UNROLL
    for (int c = 0; c < kChunks; ++c)
        q[c] = lane + c * kWarp < dims ? __ldcg(part(last, 0) + lane + c * kWarp) : 0.0f;
    for (int64_t first = warp * kKeys; first <= last; first += kWarps * kKeys) {
        float s[kKeys];
        JL_UNROLL
        for (int k = 0; k < kKeys; ++k) {
            s[k] = 0.0f;
            JL_UNROLL
            for (int c = 0; c < kChunks; ++c)
                if (first + k <= last && lane + c * kWarp < dims)
                    s[k] += q[c] * __ldcg(part(first + k, 1) + lane + c * kWarp);
        }
        float larger = most;
        JL_UNROLL
        for (int k = 0; k < kKeys; ++k) {
            s[k] = first + k <= last ? scale * warp_sum(s[k]) : -INFINITY;
            larger = s[k] > larger ? s[k] : larger;
        }
        const float shift = larger == -INFINITY ? 0.0f : larger, shrink = fast_exp(most - shift);
        most = larger;
        sum *= shrink;
        JL_UNROLL
        for (int c = 0; c < kChunks; ++c) o[c] *= shrink;
        JL_UNROLL
        for (int k = 0; k < kKeys; ++k) {
            if (first + k > last) continue;
            const float p = fast_exp(s[k] - shift);
            sum += p;
            JL_UNROLL
            for (int c = 0; c < kChunks; ++c)
                if (lane + c * kWarp < dims) o[c] += p * __ldcg(part(first + k, 2) + lane + c * kWarp);
        }
    }
    if (lane == 0) all_most[warp] = most, all_sum[warp] = sum;
    JL_UNROLL
    for (int c = 0; c < kChunks; ++c) all_o[warp * kMostHeadDims + lane + c * kWarp] = o[c];
    __syncthreads();
    const int d = static_cast<int>(threadIdx.x);
    if (d < dims) {
        float largest = -INFINITY, total = 0.0f, of_all = 0.0f;
        for (int w = 0; w < kWarps; ++w) largest = all_most[w] > largest ? all_most[w] : largest;
        for (int w = 0; w < kWarps; ++w) {
            const float weight = fast_exp(all_most[w] - (largest == -INFINITY ? 0.0f : largest));
            total += weight * all_sum[w];
            of_all += weight * all_o[w * kMostHeadDims + d];
        }
        memory[step.at(width, y, x) + head * dims + d] = of_all / total;
    }
    __syncthreads();  // before the block's next pixel or head
}

}  // namespace jlatent::JL_TABLE
