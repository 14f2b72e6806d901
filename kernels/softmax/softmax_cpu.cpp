#include "softmax.h"

#include "lanes.h"
#include "parallel.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int64_t kTile = 4096;  // elements a task, at least a row

// body(row) for every row, in tasks of about kTile elements.
template <class Body>
void for_rows(int64_t rows, int64_t columns, Body body) {
    if (columns == 0) return;
    const int64_t group = columns < kTile ? kTile / columns : 1;
    parallel_for((rows + group - 1) / group, rows * columns, [=](int64_t task) {
        const int64_t end = (task + 1) * group < rows ? (task + 1) * group : rows;
        for (int64_t r = task * group; r < end; ++r) body(r);
    });
}

}  // namespace

jl_status softmax_forward(int32_t log, const float* x, float* y, int64_t rows, int64_t columns, jl_stream) {
    if (const jl_status status = check_softmax("softmax_forward", x, y, y, rows, columns)) return status;
    for_rows(rows, columns, [=](int64_t row) {
        const float* in = x + row * columns;
        float* out = y + row * columns;
        const float most = lane_max(in, columns);
        if (log) {
            const float sum = lane_sum(columns, [=](int64_t c) { return fast_exp(in[c] - most); });
            const float log_sum = std::log(sum);  // not fast_log: the sum of a NaN is NaN
#pragma omp simd
            for (int64_t c = 0; c < columns; ++c) out[c] = in[c] - most - log_sum;
            return;
        }
#pragma omp simd
        for (int64_t c = 0; c < columns; ++c) out[c] = fast_exp(in[c] - most);
        const float by = 1.0f / lane_sum(columns, [=](int64_t c) { return out[c]; });
#pragma omp simd
        for (int64_t c = 0; c < columns; ++c) out[c] *= by;
    });
    return JL_OK;
}

jl_status softmax_backward(int32_t log, const float* y, const float* dy, float* dx, int64_t rows,
                           int64_t columns, jl_stream) {
    if (const jl_status status = check_softmax("softmax_backward", y, dy, dx, rows, columns)) return status;
    for_rows(rows, columns, [=](int64_t row) {
        const float *p = y + row * columns, *d = dy + row * columns;
        float* out = dx + row * columns;
        if (log) {
            const float sum = lane_sum(columns, [=](int64_t c) { return d[c]; });
#pragma omp simd
            for (int64_t c = 0; c < columns; ++c) out[c] = d[c] - fast_exp(p[c]) * sum;
            return;
        }
        const float sum = lane_sum(columns, [=](int64_t c) { return p[c] * d[c]; });
#pragma omp simd
        for (int64_t c = 0; c < columns; ++c) out[c] = p[c] * (d[c] - sum);
    });
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE
