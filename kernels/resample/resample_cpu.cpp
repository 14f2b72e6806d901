#include "resample.h"

#include <algorithm>

#include "parallel.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int64_t kTile = 4096;  // elements of y a task, at least a row

// to[w j c] = from[w, c], a pixel repeated `factor` times.
void repeat_pixels(const float* from, float* to, int64_t width, int64_t channels, int64_t factor) {
    if (factor == 1) {
        memcpy(to, from, static_cast<size_t>(width * channels) * sizeof(float));
        return;
    }
    if (channels == 1) {
        for (int64_t w = 0; w < width; ++w)
            for (int64_t j = 0; j < factor; ++j) *to++ = from[w];
        return;
    }
    for (int64_t w = 0; w < width; ++w, from += channels)
        for (int64_t j = 0; j < factor; ++j, to += channels)
#pragma omp simd
            for (int64_t c = 0; c < channels; ++c) to[c] = from[c];
}

// to[w, c] += sum of from[w j c] over the `factor` copies j of a pixel, left to right.
void add_pixels(const float* from, float* to, int64_t width, int64_t channels, int64_t factor) {
    if (channels == 1) {
        for (int64_t w = 0; w < width; ++w) {
            float sum = to[w];
            for (int64_t j = 0; j < factor; ++j) sum += *from++;
            to[w] = sum;
        }
        return;
    }
    for (int64_t w = 0; w < width; ++w, to += channels)
        for (int64_t j = 0; j < factor; ++j, from += channels)
#pragma omp simd
            for (int64_t c = 0; c < channels; ++c) to[c] += from[c];
}

}  // namespace

jl_status upsample_forward(const jl_upsample* shape, const float* x, float* y, jl_stream) {
    if (const jl_status status = check_upsample("upsample_forward", shape, x, y)) return status;
    const jl_upsample s = *shape;
    if (small_elements(s) == 0) return JL_OK;  // the other extents may be any
    const int64_t in = s.width * s.channels, row = in * s.factor_x;
    // A task is some of the copies of one row of x.
    const int64_t copies = row < kTile ? kTile / row : 1, parts = (s.factor_y + copies - 1) / copies;
    parallel_for(s.images * s.height * parts, small_elements(s) * s.factor_y * s.factor_x, [=](int64_t task) {
        const int64_t from = task / parts, first = task % parts * copies;
        const int64_t count = s.factor_y - first < copies ? s.factor_y - first : copies;
        float* to = y + (from * s.factor_y + first) * row;
        if (row == 1) {
            std::fill(to, to + count, x[from]);
            return;
        }
        repeat_pixels(x + from * in, to, s.width, s.channels, s.factor_x);
        for (int64_t i = 1; i < count; ++i)
            memcpy(to + i * row, to, static_cast<size_t>(row) * sizeof(float));
    });
    return JL_OK;
}

jl_status upsample_backward(const jl_upsample* shape, const float* dy, float* dx, jl_stream) {
    if (const jl_status status = check_upsample("upsample_backward", shape, dx, dy)) return status;
    const jl_upsample s = *shape;
    if (small_elements(s) == 0) return JL_OK;
    const int64_t in = s.width * s.channels, row = in * s.factor_x;
    parallel_for(s.images * s.height, small_elements(s) * s.factor_y * s.factor_x, [=](int64_t to) {
        float* sums = dx + to * in;
        for (int64_t e = 0; e < in; ++e) sums[e] = 0.0f;
        for (int64_t i = 0; i < s.factor_y; ++i)
            add_pixels(dy + (to * s.factor_y + i) * row, sums, s.width, s.channels, s.factor_x);
    });
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE
