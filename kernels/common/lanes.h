// Sums and maxima along contiguous elements on the CPU: the same order on every instruction set and at every
// number of threads.
#pragma once
#include "host_device.h"

namespace jlatent::JL_TABLE {

constexpr int64_t kSumLanes = 32;    // two vectors of AVX-512, so that additions overlap
constexpr int64_t kSumChunk = 8192;  // elements added in f32; chunks meet in fp64

// Sum of f(i) for i in [0, count): lane l of a chunk takes every 32nd element, then lanes fold in halves. Short
// sums are plain ones.
template <class F>
inline float lane_sum(int64_t count, F f) {
    if (count < kSumLanes) {
        float sum = 0.0f;
        for (int64_t i = 0; i < count; ++i) sum += f(i);
        return sum;
    }
    double total = 0.0;
    for (int64_t start = 0; start < count; start += kSumChunk) {
        const int64_t end = start + kSumChunk < count ? start + kSumChunk : count;
        float lane[kSumLanes] = {};
        int64_t i = start;
        for (; i + kSumLanes <= end; i += kSumLanes) {
#pragma omp simd
            for (int64_t l = 0; l < kSumLanes; ++l) lane[l] += f(i + l);
        }
        for (int64_t l = 0; i + l < end; ++l) lane[l] += f(i + l);
        for (int64_t width = kSumLanes / 2; width > 0; width /= 2)
            for (int64_t l = 0; l < width; ++l) lane[l] += lane[l + width];
        total += lane[0];
    }
    return static_cast<float>(total);
}

// The largest x[i], -infinity where there is none; NaN is passed over.
inline float lane_max(const float* x, int64_t count) {
    float lane[kSumLanes];
    for (float& l : lane) l = -INFINITY;
    int64_t i = 0;
    for (; i + kSumLanes <= count; i += kSumLanes) {
#pragma omp simd
        for (int64_t l = 0; l < kSumLanes; ++l) lane[l] = x[i + l] > lane[l] ? x[i + l] : lane[l];
    }
    for (int64_t l = 0; i + l < count; ++l) lane[l] = x[i + l] > lane[l] ? x[i + l] : lane[l];
    for (int64_t width = kSumLanes / 2; width > 0; width /= 2)
        for (int64_t l = 0; l < width; ++l) lane[l] = lane[l + width] > lane[l] ? lane[l + width] : lane[l];
    return lane[0];
}

}  // namespace jlatent::JL_TABLE
