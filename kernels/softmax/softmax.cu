#include "softmax.h"

#include "launch.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int64_t kShortRow = 512;  // rows up to here are a warp's work, longer ones a block's

// What all threads of a row's group get: a warp's, or a block's.
template <bool kWarpPerRow>
__device__ inline float group_sum(float v) {
    if (kWarpPerRow) return warp_sum(v);
    JL_SHARED(float, total, [1]);
    v = block_sum(v);
    if (threadIdx.x == 0) total[0] = v;
    __syncthreads();
    return total[0];  // block_sum's first barrier keeps the next call from overwriting it too early
}

template <bool kWarpPerRow>
__device__ inline float group_max(float v) {
    for (int offset = kWarp / 2; offset > 0; offset /= 2) {
        const float other = __shfl_xor_sync(0xffffffffu, v, offset);
        v = other > v ? other : v;
    }
    if (kWarpPerRow) return v;
    JL_SHARED(float, partial, [kBlock / kWarp]);
    // group_sum's barriers lie between a row's readers and the next row's writers.
    if (threadIdx.x % kWarp == 0) partial[threadIdx.x / kWarp] = v;
    __syncthreads();
    v = partial[0];
    JL_UNROLL
    for (int w = 1; w < kBlock / kWarp; ++w) v = partial[w] > v ? partial[w] : v;
    return v;
}

// A group's share of a row, four neighbouring elements at a time: f(first element, how many).
template <int kThreads, class F>
__device__ inline void each_quad(bool live, int64_t columns, F f) {
    for (int64_t c = 4 * (threadIdx.x % kThreads); live && c < columns; c += 4 * kThreads)
        f(c, columns - c < 4 ? static_cast<int>(columns - c) : 4);
}

// A warp or a block takes a row; blocks walk the rows in grid strides. y may be x.
template <bool kLog, bool kWarpPerRow>
__global__ void __launch_bounds__(kBlock)
    forward_kernel(const float* x, float* y, int64_t rows, int64_t columns) {
    constexpr int kThreads = kWarpPerRow ? kWarp : kBlock, kRows = kBlock / kThreads;
    for (int64_t first = blockIdx.x * static_cast<int64_t>(kRows); first < rows;
         first += gridDim.x * static_cast<int64_t>(kRows)) {
        const int64_t row = first + threadIdx.x / kThreads;
        const bool live = row < rows;
        const float* in = x + row * columns;
        float most = -INFINITY, sum = 0.0f;
        each_quad<kThreads>(live, columns, [&](int64_t c, int n) {
            const Quad q = load_quad(in, c, n);
            JL_UNROLL
            for (int k = 0; k < 4; ++k)
                if (k < n && q.v[k] > most) most = q.v[k];
        });
        most = group_max<kWarpPerRow>(most);
        each_quad<kThreads>(live, columns, [&](int64_t c, int n) {
            const Quad q = load_quad(in, c, n);
            JL_UNROLL
            for (int k = 0; k < 4; ++k)
                if (k < n) sum += fast_exp(q.v[k] - most);
        });
        sum = group_sum<kWarpPerRow>(sum);
        const float by = 1.0f / sum, log_sum = logf(sum);
        each_quad<kThreads>(live, columns, [&](int64_t c, int n) {
            Quad q = load_quad(in, c, n);
            JL_UNROLL
            for (int k = 0; k < 4; ++k)
                q.v[k] = kLog ? q.v[k] - most - log_sum : by * fast_exp(q.v[k] - most);
            store_quad(y + row * columns, c, n, q);
        });
    }
}

// dx may be dy.
template <bool kLog, bool kWarpPerRow>
__global__ void __launch_bounds__(kBlock)
    backward_kernel(const float* __restrict__ y, const float* dy, float* dx, int64_t rows, int64_t columns) {
    constexpr int kThreads = kWarpPerRow ? kWarp : kBlock, kRows = kBlock / kThreads;
    for (int64_t first = blockIdx.x * static_cast<int64_t>(kRows); first < rows;
         first += gridDim.x * static_cast<int64_t>(kRows)) {
        const int64_t row = first + threadIdx.x / kThreads, at = row * columns;
        const bool live = row < rows;
        float sum = 0.0f;
        each_quad<kThreads>(live, columns, [&](int64_t c, int n) {
            Quad d = load_quad(dy + at, c, n);
            if (!kLog) {
                const Quad p = load_quad(y + at, c, n);
                JL_UNROLL
                for (int k = 0; k < 4; ++k) d.v[k] *= p.v[k];
            }
            sum += (d.v[0] + d.v[1]) + (d.v[2] + d.v[3]);
        });
        sum = group_sum<kWarpPerRow>(sum);
        each_quad<kThreads>(live, columns, [&](int64_t c, int n) {
            const Quad p = load_quad(y + at, c, n);
            Quad d = load_quad(dy + at, c, n);
            JL_UNROLL
            for (int k = 0; k < 4; ++k)
                d.v[k] = kLog ? d.v[k] - fast_exp(p.v[k]) * sum : p.v[k] * (d.v[k] - sum);
            store_quad(dx + at, c, n, d);
        });
    }
}

unsigned grid(int64_t rows, int64_t columns) {
    const int64_t a_block = columns <= kShortRow ? kBlock / kWarp : 1;
    return fixed_grid((rows + a_block - 1) / a_block);
}

}  // namespace

jl_status softmax_forward(int32_t log, const float* x, float* y, int64_t rows, int64_t columns,
                          jl_stream stream) {
    if (const jl_status status = check_softmax("softmax_forward", x, y, y, rows, columns)) return status;
    if (rows == 0 || columns == 0) return JL_OK;
    const bool warp = columns <= kShortRow;
    const auto kernel = log ? (warp ? forward_kernel<true, true> : forward_kernel<true, false>)
                            : (warp ? forward_kernel<false, true> : forward_kernel<false, false>);
    return launch("softmax_forward", grid(rows, columns), kBlock, 0, stream, kernel, x, y, rows, columns);
}

jl_status softmax_backward(int32_t log, const float* y, const float* dy, float* dx, int64_t rows,
                           int64_t columns, jl_stream stream) {
    if (const jl_status status = check_softmax("softmax_backward", y, dy, dx, rows, columns)) return status;
    if (rows == 0 || columns == 0) return JL_OK;
    const bool warp = columns <= kShortRow;
    const auto kernel = log ? (warp ? backward_kernel<true, true> : backward_kernel<true, false>)
                            : (warp ? backward_kernel<false, true> : backward_kernel<false, false>);
    return launch("softmax_backward", grid(rows, columns), kBlock, 0, stream, kernel, y, dy, dx, rows,
                  columns);
}

}  // namespace jlatent::JL_TABLE
