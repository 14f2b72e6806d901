#include "elementwise.h"

#include "parallel.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int64_t kTile = 4096;      // elements a task
constexpr int64_t kColumnTile = 64;  // columns a task of sum_rows
constexpr int64_t kRowSplit = 1024;  // rows a task of sum_rows: fixed, so that the sum's order is

// out[i] = f(i) for i in [0, count)
template <class F>
jl_status map(float* out, int64_t count, F f) {
    parallel_for((count + kTile - 1) / kTile, count, [=](int64_t tile) {
        const int64_t start = tile * kTile, end = start + kTile < count ? start + kTile : count;
#pragma omp simd
        for (int64_t i = start; i < end; ++i) out[i] = f(i);
    });
    return JL_OK;
}

int64_t row_splits(int64_t rows) { return rows <= kRowSplit ? 1 : (rows + kRowSplit - 1) / kRowSplit; }

// out[c] = sum of x[r, c] over rows [start, end), columns [first, first + width)
void sum_tile(const float* x, float* out, int64_t start, int64_t end, int64_t columns, int64_t first,
              int64_t width) {
    float sum[kColumnTile] = {};
    for (int64_t r = start; r < end; ++r) {
        const float* row = x + r * columns + first;
#pragma omp simd
        for (int64_t c = 0; c < width; ++c) sum[c] += row[c];
    }
    for (int64_t c = 0; c < width; ++c) out[first + c] = sum[c];
}

}  // namespace

jl_status activation_forward(int32_t activation, const float* x, float* y, int64_t count, jl_stream) {
    if (const jl_status status = check_elementwise("activation_forward", count, x, y)) return status;
    return with_activation(activation,
                           [=](auto f) { return map(y, count, [=](int64_t i) { return f.value(x[i]); }); });
}

jl_status activation_backward(int32_t activation, const float* saved, const float* dy, float* dx,
                              int64_t count, jl_stream) {
    if (const jl_status status = check_elementwise("activation_backward", count, saved, dx)) return status;
    if (const jl_status status = check_elementwise("activation_backward", count, dy, dx)) return status;
    return with_activation(activation, [=](auto f) {
        return map(dx, count, [=](int64_t i) { return dy[i] * f.derivative(saved[i]); });
    });
}

jl_status add(const float* a, const float* b, float* out, int64_t count, jl_stream) {
    if (const jl_status status = check_elementwise("add", count, a, out)) return status;
    if (const jl_status status = check_elementwise("add", count, b, out)) return status;
    return map(out, count, [=](int64_t i) { return a[i] + b[i]; });
}

jl_status scale(const float* x, const float* factor, float* out, int64_t count, jl_stream) {
    if (const jl_status status = check_elementwise("scale", count, x, out)) return status;
    JL_REQUIRE(factor != nullptr, "scale: factor is null");
    const float by = *factor;
    return map(out, count, [=](int64_t i) { return by * x[i]; });
}

jl_status fill(float* out, float value, int64_t count, jl_stream) {
    if (const jl_status status = check_elementwise("fill", count, out, out)) return status;
    return map(out, count, [=](int64_t) { return value; });
}

size_t sum_rows_workspace(int64_t rows, int64_t columns) {
    return kWorkspaceHeader + static_cast<size_t>(row_splits(rows) * columns) * sizeof(float);
}

jl_status sum_rows(const float* x, float* out, int64_t rows, int64_t columns, jl_workspace workspace,
                   jl_stream) {
    if (const jl_status status = check_sum_rows(x, out, rows, columns, workspace)) return status;
    const int64_t splits = row_splits(rows), tiles = (columns + kColumnTile - 1) / kColumnTile;
    float* partial = splits == 1 ? out : workspace_floats(workspace);
    parallel_for(splits * tiles, rows * columns, [=](int64_t task) {
        const int64_t split = task / tiles, first = task % tiles * kColumnTile;
        const int64_t start = split * kRowSplit, end = start + kRowSplit < rows ? start + kRowSplit : rows;
        const int64_t width = columns - first < kColumnTile ? columns - first : kColumnTile;
        sum_tile(x, partial + split * columns, start, end, columns, first, width);
    });
    if (splits > 1)
        parallel_for(tiles, splits * columns, [=](int64_t tile) {
            const int64_t first = tile * kColumnTile;
            sum_tile(partial, out, 0, splits, columns, first,
                     columns - first < kColumnTile ? columns - first : kColumnTile);
        });
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE
