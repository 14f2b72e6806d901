#include "l2_normalize.h"

#include "launch.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int64_t kShortRow = 512;  // rows up to here are a warp's work, longer ones a block's

// What all threads of a row's group get: a warp's, or a block's.
template <bool kWarpPerRow>
__device__ inline double group_sum(double v) {
    if (kWarpPerRow) return warp_sum(v);
    JL_SHARED(double, total, [1]);
    v = block_sum(v);
    if (threadIdx.x == 0) total[0] = v;
    __syncthreads();
    return total[0];  // block_sum's first barrier keeps the next call from overwriting it too early
}

// A warp or a block takes a row; blocks walk the rows in grid strides: f(row's first element, first column, threads).
// All threads of a group come along, past the last row too, where no column is left.
template <bool kWarpPerRow, class F>
__device__ inline void each_row(int64_t rows, int64_t dims, F f) {
    constexpr int kThreads = kWarpPerRow ? kWarp : kBlock, kRows = kBlock / kThreads;
    for (int64_t first = blockIdx.x * static_cast<int64_t>(kRows); first < rows;
         first += gridDim.x * static_cast<int64_t>(kRows)) {
        const int64_t row = first + threadIdx.x / kThreads;
        f(row * dims, row < rows ? static_cast<int64_t>(threadIdx.x % kThreads) : dims, kThreads);
    }
}

// y may be x.
template <bool kWarpPerRow>
__global__ void __launch_bounds__(kBlock)
    forward_kernel(const float* x, float* y, int64_t rows, int64_t dims, float epsilon) {
    each_row<kWarpPerRow>(rows, dims, [&](int64_t at, int64_t start, int threads) {
        double square = 0.0;
        for (int64_t d = start; d < dims; d += threads) {
            const double v = x[at + d];
            square += v * v;
        }
        const double factor = l2_factor(group_sum<kWarpPerRow>(square), epsilon);
        for (int64_t d = start; d < dims; d += threads) y[at + d] = static_cast<float>(factor * x[at + d]);
    });
}

// dx may be dy.
template <bool kWarpPerRow>
__global__ void __launch_bounds__(kBlock)
    backward_kernel(const float* __restrict__ x, const float* dy, float* dx, int64_t rows, int64_t dims,
                    float epsilon) {
    each_row<kWarpPerRow>(rows, dims, [&](int64_t at, int64_t start, int threads) {
        double square = 0.0, product = 0.0;
        for (int64_t d = start; d < dims; d += threads) {
            const double v = x[at + d];
            square += v * v;
            product += v * dy[at + d];
        }
        square = group_sum<kWarpPerRow>(square);
        const L2Gradient g = l2_gradient(square, group_sum<kWarpPerRow>(product), epsilon);
        for (int64_t d = start; d < dims; d += threads)
            dx[at + d] = static_cast<float>(g.factor * (dy[at + d] - g.along * x[at + d]));
    });
}

unsigned grid(int64_t rows, int64_t dims) {
    const int64_t a_block = dims <= kShortRow ? kBlock / kWarp : 1;
    return fixed_grid((rows + a_block - 1) / a_block);
}

}  // namespace

jl_status l2_normalize_forward(const float* x, float* y, int64_t rows, int64_t dims, float epsilon,
                               jl_stream stream) {
    constexpr const char* kName = "l2_normalize_forward";
    if (const jl_status status = check_l2_normalize(kName, x, y, y, rows, dims, epsilon)) return status;
    if (rows == 0 || dims == 0) return JL_OK;
    const auto kernel = dims <= kShortRow ? forward_kernel<true> : forward_kernel<false>;
    return launch(kName, grid(rows, dims), kBlock, 0, stream, kernel, x, y, rows, dims, epsilon);
}

jl_status l2_normalize_backward(const float* x, const float* dy, float* dx, int64_t rows, int64_t dims,
                                float epsilon, jl_stream stream) {
    constexpr const char* kName = "l2_normalize_backward";
    if (const jl_status status = check_l2_normalize(kName, x, dy, dx, rows, dims, epsilon)) return status;
    if (rows == 0 || dims == 0) return JL_OK;
    const auto kernel = dims <= kShortRow ? backward_kernel<true> : backward_kernel<false>;
    return launch(kName, grid(rows, dims), kBlock, 0, stream, kernel, x, dy, dx, rows, dims, epsilon);
}

}  // namespace jlatent::JL_TABLE
