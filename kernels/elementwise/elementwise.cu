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

// out may be a or b.
__global__ void multiply_kernel(const float* a, const float* b, float* out, int64_t count) {
    const int64_t i = quad_start();
    const int n = quad_count(i, count);
    Quad q = load_quad(a, i, n);
    const Quad r = load_quad(b, i, n);
    JL_UNROLL
    for (int k = 0; k < 4; ++k) q.v[k] *= r.v[k];
    store_quad(out, i, n, q);
}

// Between f32 and bf16.
template <class From, class To>
__global__ void convert_kernel(const From* __restrict__ x, To* __restrict__ out, int64_t count) {
    const int64_t i = quad_start();
    const int n = quad_count(i, count);
    store_quad(out, i, n, load_quad(x, i, n));
}

// y may be x.
template <class F, class From, class To>
__global__ void bias_activation_kernel(const From* x, const float* __restrict__ bias, To* y, int64_t count,
                                       int64_t columns) {
    const int64_t i = quad_start();
    const int n = quad_count(i, count);
    Quad q = load_quad(x, i, n);
    int64_t c = i % columns;
    JL_UNROLL
    for (int k = 0; k < 4; ++k) {
        if (bias != nullptr) q.v[k] += bias[c];
        c = c + 1 == columns ? 0 : c + 1;
        q.v[k] = F::value(q.v[k]);
    }
    store_quad(y, i, n, q);
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

// A thread copies kWide neighbouring elements: 4 where rows, strides and addresses allow it, else 1.
template <int kWide>
__global__ void copy_blocks_kernel(const float* __restrict__ x, int64_t x_stride, float* __restrict__ out,
                                   int64_t out_stride, int64_t rows, int64_t columns) {
    const int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x, across = columns / kWide;
    if (i >= rows * across) return;
    const int64_t r = i / across, c = i % across * kWide;
    if (kWide == 4)
        store_quad(out, r * out_stride + c, 4, load_quad(x, r * x_stride + c, 4));
    else
        out[r * out_stride + c] = x[r * x_stride + c];
}

constexpr int kSumWarps = 8;
constexpr int64_t kMostSplits = 64;

// How the sums are shared out. inner > 1: a block sums one split of n for 32 neighbouring i, and its 8 warps take
// every 8th j. inner = 1: a warp sums a short row, a block one split of a long one.
struct SumPlan {
    int64_t tiles;   // blocks side by side: tiles of i for every o, or rows
    int64_t splits;  // parts that n is cut into
    bool warps;      // a warp a row
};

constexpr int64_t kShortRow = 512;  // rows up to here are a warp's work

inline SumPlan sum_plan(int64_t outer, int64_t n, int64_t inner) {
    const bool rows = inner == 1;
    if (rows && n <= kShortRow) return {(outer + kSumWarps - 1) / kSumWarps, 1, true};
    const int64_t tiles = outer * ((inner + kWarp - 1) / kWarp), each = rows ? 4096 : 256;
    int64_t splits = (n + each - 1) / each;
    if (splits > kMostSplits) splits = kMostSplits;
    const int64_t enough = outer == 1 ? kMostSplits : 8 * kMultiprocessors / (tiles < 1 ? 1 : tiles);
    if (splits > enough) splits = enough;
    return {tiles, splits < 1 ? 1 : splits, false};
}

// The last block adds the splits' sums, partial [outer, splits, inner].
__device__ inline void sum_splits(float* out, const float* partial, unsigned* counter, int64_t outer,
                                  int64_t splits, int64_t inner) {
    if (splits == 1 || !last_block(counter)) return;
    for (int64_t c = threadIdx.x; c < outer * inner; c += blockDim.x) {
        const float* sums = partial + c / inner * splits * inner + c % inner;
        float total = 0.0f;
        for (int64_t s = 0; s < splits; ++s) total += __ldcg(sums + s * inner);
        out[c] = total;
    }
}

// With one split, `partial` is `out` itself.
__global__ void sum_columns_kernel(const float* __restrict__ x, float* __restrict__ out,
                                   float* __restrict__ partial, unsigned* counter, int64_t outer, int64_t n,
                                   int64_t inner) {
    JL_SHARED(float, sums, [kSumWarps][kWarp]);
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    const int64_t tiles = (inner + kWarp - 1) / kWarp, o = blockIdx.x / tiles;
    const int64_t splits = gridDim.y, column = blockIdx.x % tiles * kWarp + lane;
    const int64_t each = (n + splits - 1) / splits, start = blockIdx.y * each;
    const int64_t end = start + each < n ? start + each : n;
    const float* block = x + o * n * inner;
    float sum = 0.0f;
    if (column < inner)
        for (int64_t j = start + warp; j < end; j += kSumWarps) sum += block[j * inner + column];
    sums[warp][lane] = sum;
    __syncthreads();
    if (warp == 0 && column < inner) {
        float total = 0.0f;
        JL_UNROLL
        for (int w = 0; w < kSumWarps; ++w) total += sums[w][lane];
        partial[(o * splits + blockIdx.y) * inner + column] = total;
    }
    sum_splits(out, partial, counter, outer, splits, inner);
}

// inner = 1.
template <bool kWarpPerRow>
__global__ void sum_flat_kernel(const float* __restrict__ x, float* __restrict__ out,
                                float* __restrict__ partial, unsigned* counter, int64_t outer, int64_t n) {
    constexpr int kThreads = kWarpPerRow ? kWarp : kBlock;
    const int64_t o =
        kWarpPerRow ? blockIdx.x * static_cast<int64_t>(kSumWarps) + threadIdx.x / kWarp : blockIdx.x;
    const int64_t splits = gridDim.y, quads = (n + 3) / 4, each = (quads + splits - 1) / splits * 4;
    const int64_t start = blockIdx.y * each, end = start + each < n ? start + each : n;
    float sum = 0.0f;
    for (int64_t j = start + 4 * (threadIdx.x % kThreads); o < outer && j < end; j += 4 * kThreads) {
        const Quad q = load_quad(x, o * n + j, end - j < 4 ? static_cast<int>(end - j) : 4);
        sum += (q.v[0] + q.v[1]) + (q.v[2] + q.v[3]);
    }
    sum = kWarpPerRow ? warp_sum(sum) : block_sum(sum);
    if (threadIdx.x % kThreads == 0 && o < outer) partial[o * splits + blockIdx.y] = sum;
    sum_splits(out, partial, counter, outer, splits, 1);
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

size_t sum_axis_workspace(int64_t outer, int64_t n, int64_t inner) {
    return kWorkspaceHeader +
           static_cast<size_t>(outer * sum_plan(outer, n, inner).splits * inner) * sizeof(float);
}

jl_status sum_axis(const float* x, float* out, int64_t outer, int64_t n, int64_t inner,
                   jl_workspace workspace, jl_stream stream) {
    static_assert(kSumWarps * kWarp == kBlock, "a warp a row fills a block");
    if (const jl_status status = check_sum_axis(x, out, outer, n, inner, workspace)) return status;
    if (outer == 0 || inner == 0) return JL_OK;
    const SumPlan plan = sum_plan(outer, n, inner);
    const dim3 grid(static_cast<unsigned>(plan.tiles), static_cast<unsigned>(plan.splits));
    float* partial = plan.splits == 1 ? out : workspace_floats(workspace);
    unsigned* counter = workspace_counter(workspace);
    if (inner > 1)
        return launch("sum_axis", grid, kBlock, 0, stream, sum_columns_kernel, x, out, partial, counter,
                      outer, n, inner);
    return launch("sum_axis", grid, kBlock, 0, stream,
                  plan.warps ? sum_flat_kernel<true> : sum_flat_kernel<false>, x, out, partial, counter,
                  outer, n);
}

jl_status multiply(const float* a, const float* b, float* out, int64_t count, jl_stream stream) {
    if (const jl_status status = check_elementwise("multiply", count, a, out)) return status;
    if (const jl_status status = check_elementwise("multiply", count, b, out)) return status;
    if (count == 0) return JL_OK;
    return launch("multiply", quad_grid(count), kBlock, 0, stream, multiply_kernel, a, b, out, count);
}

jl_status to_bf16(const float* x, uint16_t* out, int64_t count, jl_stream stream) {
    if (const jl_status status = check_elementwise("to_bf16", count, x, out)) return status;
    if (count == 0) return JL_OK;
    return launch("to_bf16", quad_grid(count), kBlock, 0, stream, convert_kernel<float, uint16_t>, x, out,
                  count);
}

jl_status from_bf16(const uint16_t* x, float* out, int64_t count, jl_stream stream) {
    if (const jl_status status = check_elementwise("from_bf16", count, x, out)) return status;
    if (count == 0) return JL_OK;
    return launch("from_bf16", quad_grid(count), kBlock, 0, stream, convert_kernel<uint16_t, float>, x, out,
                  count);
}

jl_status copy_blocks(const float* x, int64_t x_stride, float* out, int64_t out_stride, int64_t rows,
                      int64_t columns, jl_stream stream) {
    if (const jl_status status = check_copy_blocks(x, x_stride, out, out_stride, rows, columns))
        return status;
    if (rows == 0 || columns == 0) return JL_OK;
    const bool wide = ((reinterpret_cast<uintptr_t>(x) | reinterpret_cast<uintptr_t>(out)) & 15) == 0 &&
                      ((columns | x_stride | out_stride) & 3) == 0;
    const int64_t threads = rows * columns / (wide ? 4 : 1);
    return launch("copy_blocks", static_cast<unsigned>((threads + kBlock - 1) / kBlock), kBlock, 0, stream,
                  wide ? copy_blocks_kernel<4> : copy_blocks_kernel<1>, x, x_stride, out, out_stride, rows,
                  columns);
}

jl_status bias_activation(int32_t activation, int32_t x_dtype, const void* x, const float* bias,
                          int32_t y_dtype, void* y, int64_t rows, int64_t columns, jl_stream stream) {
    if (const jl_status status = check_bias_activation(x, y, rows, columns)) return status;
    const int64_t count = rows * columns;
    if (count == 0) return JL_OK;
    return with_activation(activation, [=](auto f) {
        return with_types(x_dtype, y_dtype, [=](auto* from, auto* to) {
            using From = std::remove_cv_t<std::remove_pointer_t<decltype(from)>>;
            using To = std::remove_cv_t<std::remove_pointer_t<decltype(to)>>;
            return launch("bias_activation", quad_grid(count), kBlock, 0, stream,
                          bias_activation_kernel<decltype(f), From, To>, static_cast<const From*>(x), bias,
                          static_cast<To*>(y), count, columns);
        });
    });
}

}  // namespace jlatent::JL_TABLE
