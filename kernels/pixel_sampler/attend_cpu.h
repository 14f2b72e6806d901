// pixel_sampler's attention on the CPU: one pixel's query against the keys of all pixels up to it.
#pragma once
#include "math.h"
#include "program.h"

namespace jlatent::JL_TABLE {

// Pixels whose scores are known before any is weighed; those of a block lie in one row.
constexpr int64_t kAttended = 64;

// Sums of a head over the pixels so far.
struct Attended {
    float most = -INFINITY, sum = 0.0f, o[kMostHeadDims] = {};

    // `count` pixels more, `stride` floats apart.
    void add(const float* q, const float* k, const float* v, int64_t stride, int64_t count, int64_t dims,
             float scale) {
        float p[kAttended], larger = most;
        for (int64_t j = 0; j < count; ++j) {
            float sum_ = 0.0f;
#pragma omp simd reduction(+ : sum_)
            for (int64_t d = 0; d < dims; ++d) sum_ += q[d] * k[j * stride + d];
            p[j] = scale * sum_;
            larger = p[j] > larger ? p[j] : larger;
        }
        const float shift = larger == -INFINITY ? 0.0f : larger, shrink = fast_exp(most - shift);
        most = larger;
#pragma omp simd
        for (int64_t j = 0; j < count; ++j) p[j] = fast_exp(p[j] - shift);
        sum *= shrink;
        for (int64_t j = 0; j < count; ++j) sum += p[j];
#pragma omp simd
        for (int64_t d = 0; d < dims; ++d) o[d] *= shrink;
        for (int64_t j = 0; j < count; ++j) {
#pragma omp simd
            for (int64_t d = 0; d < dims; ++d) o[d] += p[j] * v[j * stride + d];
        }
    }
};

// The step's map at (y, x), from that of `in`, in the memory of one image of that width.
inline void attend(const Step& step, const Step& in, int64_t width, float* memory, int64_t y, int64_t x) {
    const int64_t heads = step.node.groups, dims = step.node.channels / heads;
    const float scale = attention_scale(dims);
    for (int64_t h = 0; h < heads; ++h) {
        const float* q = memory + in.at(width, y, x) + h * dims;
        Attended a;
        for (int64_t row = 0; row <= y; ++row) {
            const int64_t end = row < y ? width : x + 1;
            for (int64_t at = 0; at < end; at += kAttended) {
                const float* k = memory + in.at(width, row, at) + (heads + h) * dims;
                a.add(q, k, k + heads * dims, in.node.channels, end - at < kAttended ? end - at : kAttended,
                      dims, scale);
            }
        }
        float* to = memory + step.at(width, y, x) + h * dims;
        for (int64_t d = 0; d < dims; ++d) to[d] = a.o[d] / a.sum;
    }
}

}  // namespace jlatent::JL_TABLE
