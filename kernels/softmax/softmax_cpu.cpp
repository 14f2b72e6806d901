#include "softmax.h"

#include "lanes.h"
#include "parallel.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int64_t kTile = 4096;  // elements a task, at least a row

constexpr int64_t kShortRow = 64;

int64_t rows_a_task(int64_t columns) { return columns < kTile ? kTile / columns : 1; }

// body(first row, end) for all rows, in tasks of about kTile elements.
template <class Body>
void for_rows(int64_t rows, int64_t columns, Body body) {
    if (columns == 0) return;
    const int64_t group = rows_a_task(columns);
    parallel_for((rows + group - 1) / group, rows * columns, [=](int64_t task) {
        body(task * group, (task + 1) * group < rows ? (task + 1) * group : rows);
    });
}

void subtract_and_exp(const float* x, float* y, float most, int64_t count) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) y[i] = fast_exp(x[i] - most);
}

void long_row(bool log, const float* x, float* y, int64_t columns) {
    const float most = lane_max(x, columns);
    if (log) {
        const float sum = lane_sum(columns, [=](int64_t c) { return fast_exp(x[c] - most); });
        const float log_sum = std::log(sum);  // not fast_log: the sum of a NaN is NaN
#pragma omp simd
        for (int64_t c = 0; c < columns; ++c) y[c] = x[c] - most - log_sum;
        return;
    }
    subtract_and_exp(x, y, most, columns);
    const float by = 1.0f / lane_sum(columns, [=](int64_t c) { return y[c]; });
#pragma omp simd
    for (int64_t c = 0; c < columns; ++c) y[c] *= by;
}

// Rows too short to fill vectors: the exponentials, which cost most, are taken across them. At most kTile elements.
void short_rows(bool log, const float* x, float* y, int64_t rows, int64_t columns) {
    float shifted[kTile], power[kTile];
    for (int64_t r = 0; r < rows; ++r) {
        const float* in = x + r * columns;
        float most = -INFINITY;
        for (int64_t c = 0; c < columns; ++c) most = in[c] > most ? in[c] : most;
        for (int64_t c = 0; c < columns; ++c) shifted[r * columns + c] = in[c] - most;
    }
    subtract_and_exp(shifted, power, 0.0f, rows * columns);
    for (int64_t r = 0; r < rows; ++r) {
        const int64_t at = r * columns;
        float sum = 0.0f;
        for (int64_t c = 0; c < columns; ++c) sum += power[at + c];
        if (log) {
            const float log_sum = std::log(sum);
            for (int64_t c = 0; c < columns; ++c) y[at + c] = shifted[at + c] - log_sum;
        } else {
            const float by = 1.0f / sum;
            for (int64_t c = 0; c < columns; ++c) y[at + c] = by * power[at + c];
        }
    }
}

// dx may be dy.
void backward_row(bool log, const float* y, const float* dy, float* dx, int64_t columns) {
    if (log) {
        const float sum = lane_sum(columns, [=](int64_t c) { return dy[c]; });
#pragma omp simd
        for (int64_t c = 0; c < columns; ++c) dx[c] = dy[c] - fast_exp(y[c]) * sum;
        return;
    }
    const float sum = lane_sum(columns, [=](int64_t c) { return y[c] * dy[c]; });
#pragma omp simd
    for (int64_t c = 0; c < columns; ++c) dx[c] = y[c] * (dy[c] - sum);
}

}  // namespace

jl_status softmax_forward(int32_t log, const float* x, float* y, int64_t rows, int64_t columns, jl_stream) {
    if (const jl_status status = check_softmax("softmax_forward", x, y, y, rows, columns)) return status;
    for_rows(rows, columns, [=](int64_t first, int64_t end) {
        if (columns < kShortRow) {
            short_rows(log != 0, x + first * columns, y + first * columns, end - first, columns);
            return;
        }
        for (int64_t r = first; r < end; ++r) long_row(log != 0, x + r * columns, y + r * columns, columns);
    });
    return JL_OK;
}

jl_status softmax_backward(int32_t log, const float* y, const float* dy, float* dx, int64_t rows,
                           int64_t columns, jl_stream) {
    if (const jl_status status = check_softmax("softmax_backward", y, dy, dx, rows, columns)) return status;
    for_rows(rows, columns, [=](int64_t first, int64_t end) {
        for (int64_t r = first; r < end; ++r)
            backward_row(log != 0, y + r * columns, dy + r * columns, dx + r * columns, columns);
    });
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE
