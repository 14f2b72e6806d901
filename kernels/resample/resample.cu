#include "resample.h"

#include "launch.h"

namespace jlatent::JL_TABLE {
namespace {

// A thread takes kWide neighbouring channels: 4 where they and the addresses allow it, else 1.

template <int kWide>
__device__ inline Quad load(const float* p, int64_t i) {
    return kWide == 4 ? load_quad(p, i, 4) : Quad{{p[i], 0.0f, 0.0f, 0.0f}};
}
template <int kWide>
__device__ inline void store(float* p, int64_t i, const Quad& q) {
    if (kWide == 4)
        store_quad(p, i, 4, q);
    else
        p[i] = q.v[0];
}

// A thread an element of y: neighbours write neighbours.
template <int kWide>
__global__ void forward_kernel(jl_upsample s, const float* __restrict__ x, float* __restrict__ y,
                               int64_t threads) {
    int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x;
    if (i >= threads) return;
    const int64_t to = i * kWide, across = s.channels / kWide, width = s.width * s.factor_x;
    const int64_t c = i % across * kWide;
    i /= across;
    const int64_t w = i % width / s.factor_x;
    i /= width;  // image height factor_y + h: the rows of x, each factor_y times
    store<kWide>(y, to, load<kWide>(x, (i / s.factor_y * s.width + w) * s.channels + c));
}

// A thread an element of dx.
template <int kWide>
__global__ void backward_kernel(jl_upsample s, const float* __restrict__ dy, float* __restrict__ dx,
                                int64_t threads) {
    int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x;
    if (i >= threads) return;
    const int64_t to = i * kWide, across = s.channels / kWide, row = s.width * s.factor_x * s.channels;
    const int64_t c = i % across * kWide;
    i /= across;
    const float* block = dy + i / s.width * s.factor_y * row + i % s.width * s.factor_x * s.channels + c;
    Quad sum = {{0.0f, 0.0f, 0.0f, 0.0f}};
    for (int64_t y = 0; y < s.factor_y; ++y)
        for (int64_t j = 0; j < s.factor_x; ++j) {
            const Quad q = load<kWide>(block, y * row + j * s.channels);
            JL_UNROLL
            for (int k = 0; k < kWide; ++k) sum.v[k] += q.v[k];
        }
    store<kWide>(dx, to, sum);
}

bool wide(const jl_upsample& s, const float* x, const float* y) {
    return s.channels % 4 == 0 &&
           ((reinterpret_cast<uintptr_t>(x) | reinterpret_cast<uintptr_t>(y)) & 15) == 0;
}
unsigned grid(int64_t threads) { return static_cast<unsigned>((threads + kBlock - 1) / kBlock); }

}  // namespace

jl_status upsample_forward(const jl_upsample* shape, const float* x, float* y, jl_stream stream) {
    if (const jl_status status = check_upsample("upsample_forward", shape, x, y)) return status;
    const jl_upsample s = *shape;
    if (small_elements(s) == 0) return JL_OK;
    const bool four = wide(s, x, y);
    const int64_t threads = small_elements(s) * s.factor_y * s.factor_x / (four ? 4 : 1);
    return launch("upsample_forward", grid(threads), kBlock, 0, stream,
                  four ? forward_kernel<4> : forward_kernel<1>, s, x, y, threads);
}

jl_status upsample_backward(const jl_upsample* shape, const float* dy, float* dx, jl_stream stream) {
    if (const jl_status status = check_upsample("upsample_backward", shape, dx, dy)) return status;
    const jl_upsample s = *shape;
    if (small_elements(s) == 0) return JL_OK;
    const bool four = wide(s, dy, dx);
    const int64_t threads = small_elements(s) / (four ? 4 : 1);
    return launch("upsample_backward", grid(threads), kBlock, 0, stream,
                  four ? backward_kernel<4> : backward_kernel<1>, s, dy, dx, threads);
}

}  // namespace jlatent::JL_TABLE
