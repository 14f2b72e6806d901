#include "elementwise.h"

#include "launch.h"

namespace jlatent::JL_TABLE {
namespace {

// One thread, four neighbouring elements.
__device__ inline int64_t quad_start() {
    return 4 * (blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x);
}
// 0 past the end: loads and stores of no elements touch nothing.
__device__ inline int quad_count(int64_t start, int64_t count) {
    const int64_t left = count - start;
    return left >= 4 ? 4 : left > 0 ? static_cast<int>(left) : 0;
}
unsigned quad_grid(int64_t count) { return static_cast<unsigned>((count + 4 * kBlock - 1) / (4 * kBlock)); }

template <class F>
__global__ void forward_kernel(const float* __restrict__ x, float* __restrict__ y, int64_t count) {
    const int64_t i = quad_start();
    const int n = quad_count(i, count);
    Quad q = load_quad(x, i, n);
    JL_UNROLL
    for (int k = 0; k < 4; ++k) q.v[k] = F::value(q.v[k]);
    store_quad(y, i, n, q);
}

template <class F>
__global__ void backward_kernel(const float* __restrict__ saved, const float* __restrict__ dy,
                                float* __restrict__ dx, int64_t count) {
    const int64_t i = quad_start();
    const int n = quad_count(i, count);
    const Quad s = load_quad(saved, i, n);
    Quad d = load_quad(dy, i, n);
    JL_UNROLL
    for (int k = 0; k < 4; ++k) d.v[k] *= F::derivative(s.v[k]);
    store_quad(dx, i, n, d);
}

// out may be a or b.
__global__ void add_kernel(const float* a, const float* b, float* out, int64_t count) {
    const int64_t i = quad_start();
    const int n = quad_count(i, count);
    Quad q = load_quad(a, i, n);
    const Quad r = load_quad(b, i, n);
    JL_UNROLL
    for (int k = 0; k < 4; ++k) q.v[k] += r.v[k];
    store_quad(out, i, n, q);
}

// out may be x.
__global__ void scale_kernel(const float* x, const float* __restrict__ factor, float* out, int64_t count) {
    const int64_t i = quad_start();
    const int n = quad_count(i, count);
    const float by = *factor;
    Quad q = load_quad(x, i, n);
    JL_UNROLL
    for (int k = 0; k < 4; ++k) q.v[k] *= by;
    store_quad(out, i, n, q);
}

__global__ void fill_kernel(float* __restrict__ out, float value, int64_t count) {
    const int64_t i = quad_start();
    store_quad(out, i, quad_count(i, count), {{value, value, value, value}});
}

// A block sums one split of the rows for 32 columns: 8 warps take every 8th row, then their sums meet in
// shared memory.
constexpr int kSumWarps = 8;
constexpr int64_t kMostSplits = 64;

__host__ __device__ inline int64_t row_splits(int64_t rows) {
    const int64_t splits = (rows + 255) / 256;
    return splits < 1 ? 1 : splits < kMostSplits ? splits : kMostSplits;
}

// partial [splits, columns]; with one split, `partial` is `out` itself.
__global__ void sum_rows_kernel(const float* __restrict__ x, float* __restrict__ out,
                                float* __restrict__ partial, unsigned* counter, int64_t rows,
                                int64_t columns) {
    JL_SHARED(float, sums, [kSumWarps][kWarp]);
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    const int64_t splits = gridDim.y, column = blockIdx.x * static_cast<int64_t>(kWarp) + lane;
    const int64_t each = (rows + splits - 1) / splits, start = blockIdx.y * each;
    const int64_t end = start + each < rows ? start + each : rows;
    float sum = 0.0f;
    if (column < columns)
        for (int64_t r = start + warp; r < end; r += kSumWarps) sum += x[r * columns + column];
    sums[warp][lane] = sum;
    __syncthreads();
    if (warp == 0 && column < columns) {
        float total = 0.0f;
        JL_UNROLL
        for (int w = 0; w < kSumWarps; ++w) total += sums[w][lane];
        partial[blockIdx.y * columns + column] = total;
    }
    if (splits == 1 || !last_block(counter)) return;
    for (int64_t c = threadIdx.x; c < columns; c += blockDim.x) {
        float total = 0.0f;
        for (int64_t s = 0; s < splits; ++s) total += __ldcg(partial + s * columns + c);
        out[c] = total;
    }
}

}  // namespace

jl_status activation_forward(int32_t activation, const float* x, float* y, int64_t count, jl_stream stream) {
    if (const jl_status status = check_elementwise("activation_forward", count, x, y)) return status;
    if (count == 0) return JL_OK;
    return with_activation(activation, [=](auto f) {
        return launch("activation_forward", quad_grid(count), kBlock, 0, stream, forward_kernel<decltype(f)>,
                      x, y, count);
    });
}

jl_status activation_backward(int32_t activation, const float* saved, const float* dy, float* dx,
                              int64_t count, jl_stream stream) {
    if (const jl_status status = check_elementwise("activation_backward", count, saved, dx)) return status;
    if (const jl_status status = check_elementwise("activation_backward", count, dy, dx)) return status;
    if (count == 0) return JL_OK;
    return with_activation(activation, [=](auto f) {
        return launch("activation_backward", quad_grid(count), kBlock, 0, stream,
                      backward_kernel<decltype(f)>, saved, dy, dx, count);
    });
}

jl_status add(const float* a, const float* b, float* out, int64_t count, jl_stream stream) {
    if (const jl_status status = check_elementwise("add", count, a, out)) return status;
    if (const jl_status status = check_elementwise("add", count, b, out)) return status;
    if (count == 0) return JL_OK;
    return launch("add", quad_grid(count), kBlock, 0, stream, add_kernel, a, b, out, count);
}

jl_status scale(const float* x, const float* factor, float* out, int64_t count, jl_stream stream) {
    if (const jl_status status = check_elementwise("scale", count, x, out)) return status;
    JL_REQUIRE(factor != nullptr, "scale: factor is null");
    if (count == 0) return JL_OK;
    return launch("scale", quad_grid(count), kBlock, 0, stream, scale_kernel, x, factor, out, count);
}

jl_status fill(float* out, float value, int64_t count, jl_stream stream) {
    if (const jl_status status = check_elementwise("fill", count, out, out)) return status;
    if (count == 0) return JL_OK;
    return launch("fill", quad_grid(count), kBlock, 0, stream, fill_kernel, out, value, count);
}

size_t sum_rows_workspace(int64_t rows, int64_t columns) {
    return kWorkspaceHeader + static_cast<size_t>(row_splits(rows) * columns) * sizeof(float);
}

jl_status sum_rows(const float* x, float* out, int64_t rows, int64_t columns, jl_workspace workspace,
                   jl_stream stream) {
    if (const jl_status status = check_sum_rows(x, out, rows, columns, workspace)) return status;
    if (columns == 0) return JL_OK;
    const int64_t splits = row_splits(rows);
    const dim3 grid(static_cast<unsigned>((columns + kWarp - 1) / kWarp), static_cast<unsigned>(splits));
    return launch("sum_rows", grid, kSumWarps * kWarp, 0, stream, sum_rows_kernel, x, out,
                  splits == 1 ? out : workspace_floats(workspace), workspace_counter(workspace), rows,
                  columns);
}

}  // namespace jlatent::JL_TABLE
