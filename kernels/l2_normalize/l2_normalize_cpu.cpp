#include "l2_normalize.h"

#include "parallel.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int64_t kTile = 4096;  // elements a task, at least a row

double dot(const float* a, const float* b, int64_t count) {
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    return sum;
}

// body(row's first element) for all rows.
template <class Body>
void for_rows(int64_t rows, int64_t dims, Body body) {
    if (dims == 0) return;
    const int64_t group = dims < kTile ? kTile / dims : 1;
    parallel_for((rows + group - 1) / group, rows * dims, [=](int64_t task) {
        const int64_t end = (task + 1) * group < rows ? (task + 1) * group : rows;
        for (int64_t r = task * group; r < end; ++r) body(r * dims);
    });
}

}  // namespace

jl_status l2_normalize_forward(const float* x, float* y, int64_t rows, int64_t dims, float epsilon,
                               jl_stream) {
    if (const jl_status status = check_l2_normalize("l2_normalize_forward", x, y, y, rows, dims, epsilon))
        return status;
    for_rows(rows, dims, [=](int64_t at) {
        const double factor = l2_factor(dot(x + at, x + at, dims), epsilon);
#pragma omp simd
        for (int64_t d = 0; d < dims; ++d) y[at + d] = static_cast<float>(factor * x[at + d]);
    });
    return JL_OK;
}

jl_status l2_normalize_backward(const float* x, const float* dy, float* dx, int64_t rows, int64_t dims,
                                float epsilon, jl_stream) {
    if (const jl_status status = check_l2_normalize("l2_normalize_backward", x, dy, dx, rows, dims, epsilon))
        return status;
    for_rows(rows, dims, [=](int64_t at) {
        const L2Gradient g = l2_gradient(dot(x + at, x + at, dims), dot(x + at, dy + at, dims), epsilon);
#pragma omp simd
        for (int64_t d = 0; d < dims; ++d)
            dx[at + d] = static_cast<float>(g.factor * (dy[at + d] - g.along * x[at + d]));
    });
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE
