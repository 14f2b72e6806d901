#include "elementwise.h"

#include "lanes.h"
#include "parallel.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int64_t kTile = 4096;      // elements a task
constexpr int64_t kColumnTile = 64;  // columns a task of sum_axis
// What a task of sum_axis adds up: fixed, so that the sum's order is.
constexpr int64_t kRowSplit = 1024;
constexpr int64_t kFlatSplit = 32 * 1024;  // with inner = 1

// out[i] = f(i) for i in [0, count)
template <class T, class F>
jl_status map(T* out, int64_t count, F f) {
    parallel_for((count + kTile - 1) / kTile, count, [=](int64_t tile) {
        const int64_t start = tile * kTile, end = start + kTile < count ? start + kTile : count;
#pragma omp simd
        for (int64_t i = start; i < end; ++i) out[i] = f(i);
    });
    return JL_OK;
}

float float_of(float x) { return x; }
float float_of(uint16_t x) { return float_of_bf16(x); }
void store(float* y, float x) { *y = x; }
void store(uint16_t* y, float x) { *y = bf16_of_float(x); }

int64_t tiles(int64_t columns) { return (columns + kColumnTile - 1) / kColumnTile; }

// Into how many parts the n terms of a sum are cut.
int64_t splits(int64_t n, int64_t inner) {
    const int64_t each = inner == 1 ? kFlatSplit : kRowSplit;
    return n <= each ? 1 : (n + each - 1) / each;
}

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

// out[o, i] = sum of x[o, j, i] over j: `parts` tasks for each o and tile of i, whose sums are out [outer, parts,
// inner].
void sum_parts(const float* x, float* out, int64_t outer, int64_t n, int64_t inner, int64_t parts) {
    const int64_t each = inner == 1 ? kFlatSplit : kRowSplit, across = tiles(inner);
    parallel_for(outer * parts * across, outer * n * inner, [=](int64_t task) {
        const int64_t o = task / across / parts, part = task / across % parts,
                      first = task % across * kColumnTile;
        const int64_t start = parts == 1 ? 0 : part * each;
        const int64_t end = parts == 1 || start + each > n ? n : start + each;
        const float* block = x + o * n * inner;
        float* sums = out + (o * parts + part) * inner;
        if (inner == 1) {
            *sums = lane_sum(end - start, [=](int64_t j) { return block[start + j]; });
            return;
        }
        const int64_t width = inner - first < kColumnTile ? inner - first : kColumnTile;
        sum_tile(block, sums, start, end, inner, first, width);
    });
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

size_t sum_axis_workspace(int64_t outer, int64_t n, int64_t inner) {
    return kWorkspaceHeader + static_cast<size_t>(outer * splits(n, inner) * inner) * sizeof(float);
}

jl_status sum_axis(const float* x, float* out, int64_t outer, int64_t n, int64_t inner,
                   jl_workspace workspace, jl_stream) {
    if (const jl_status status = check_sum_axis(x, out, outer, n, inner, workspace)) return status;
    const int64_t parts = splits(n, inner);
    sum_parts(x, parts == 1 ? out : workspace_floats(workspace), outer, n, inner, parts);
    if (parts > 1) sum_parts(workspace_floats(workspace), out, outer, parts, inner, 1);
    return JL_OK;
}

jl_status multiply(const float* a, const float* b, float* out, int64_t count, jl_stream) {
    if (const jl_status status = check_elementwise("multiply", count, a, out)) return status;
    if (const jl_status status = check_elementwise("multiply", count, b, out)) return status;
    return map(out, count, [=](int64_t i) { return a[i] * b[i]; });
}

jl_status to_bf16(const float* x, uint16_t* out, int64_t count, jl_stream) {
    if (const jl_status status = check_elementwise("to_bf16", count, x, out)) return status;
    return map(out, count, [=](int64_t i) { return bf16_of_float(x[i]); });
}

jl_status from_bf16(const uint16_t* x, float* out, int64_t count, jl_stream) {
    if (const jl_status status = check_elementwise("from_bf16", count, x, out)) return status;
    return map(out, count, [=](int64_t i) { return float_of_bf16(x[i]); });
}

jl_status copy_blocks(const float* x, int64_t x_stride, float* out, int64_t out_stride, int64_t rows,
                      int64_t columns, jl_stream) {
    if (const jl_status status = check_copy_blocks(x, x_stride, out, out_stride, rows, columns))
        return status;
    if (columns == 0) return JL_OK;
    // A task is a tile of a long row, or as many short rows as make one.
    const int64_t across = (columns + kTile - 1) / kTile, group = columns < kTile ? kTile / columns : 1;
    parallel_for((rows + group - 1) / group * across, rows * columns, [=](int64_t task) {
        const int64_t first = task % across * kTile, start = task / across * group;
        const int64_t width = columns - first < kTile ? columns - first : kTile;
        const int64_t end = start + group < rows ? start + group : rows;
        for (int64_t r = start; r < end; ++r)
            memcpy(out + r * out_stride + first, x + r * x_stride + first,
                   static_cast<size_t>(width) * sizeof(float));
    });
    return JL_OK;
}

jl_status bias_activation(int32_t activation, int32_t x_dtype, const void* x, const float* bias,
                          int32_t y_dtype, void* y, int64_t rows, int64_t columns, jl_stream) {
    if (const jl_status status = check_bias_activation(x, y, rows, columns)) return status;
    return with_activation(activation, [=](auto f) {
        return with_types(x_dtype, y_dtype, [=](auto* from, auto* to) {
            using To = std::remove_cv_t<std::remove_pointer_t<decltype(to)>>;
            parallel_for(rows, rows * columns, [=](int64_t r) {
                const auto* in = static_cast<decltype(from)>(x) + r * columns;
                To* out = static_cast<To*>(y) + r * columns;
#pragma omp simd
                for (int64_t c = 0; c < columns; ++c)
                    store(out + c, f.value(float_of(in[c]) + (bias != nullptr ? bias[c] : 0.0f)));
            });
            return JL_OK;
        });
    });
}

}  // namespace jlatent::JL_TABLE
