#include "concat_elu.h"

#include "launch.h"

namespace jlatent::JL_TABLE {
namespace {

// A thread has up to four neighbouring channels of one row.
struct Part {
    int64_t row, first;
    int count;  // 0: none
};
__device__ inline Part part(int64_t rows, int64_t channels) {
    const int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x, across = (channels + 3) / 4;
    const int64_t first = i % across * 4, left = channels - first;
    if (i / across >= rows) return {0, 0, 0};
    return {i / across, first, left < 4 ? static_cast<int>(left) : 4};
}
unsigned grid(int64_t rows, int64_t channels) {
    return static_cast<unsigned>((rows * ((channels + 3) / 4) + kBlock - 1) / kBlock);
}

__global__ void forward_kernel(const float* __restrict__ x, float* __restrict__ y, int64_t rows,
                               int64_t channels) {
    const Part p = part(rows, channels);
    const Quad q = load_quad(x, p.row * channels + p.first, p.count);
    Quad to, to_minus;
    JL_UNROLL
    for (int k = 0; k < 4; ++k) {
        const EluPair pair = elu_pair(q.v[k]);
        to.v[k] = pair.of_x;
        to_minus.v[k] = pair.of_minus_x;
    }
    const int64_t at = 2 * p.row * channels + p.first;
    store_quad(y, at, p.count, to);
    store_quad(y, at + channels, p.count, to_minus);
}

__global__ void backward_kernel(const float* __restrict__ x, const float* __restrict__ dy,
                                float* __restrict__ dx, int64_t rows, int64_t channels) {
    const Part p = part(rows, channels);
    const int64_t at = 2 * p.row * channels + p.first;
    Quad q = load_quad(x, p.row * channels + p.first, p.count);
    const Quad d = load_quad(dy, at, p.count), d_minus = load_quad(dy, at + channels, p.count);
    JL_UNROLL
    for (int k = 0; k < 4; ++k) q.v[k] = elu_pair_gradient(q.v[k], d.v[k], d_minus.v[k]);
    store_quad(dx, p.row * channels + p.first, p.count, q);
}

}  // namespace

jl_status concat_elu_forward(const float* x, float* y, int64_t rows, int64_t channels, jl_stream stream) {
    if (const jl_status status = check_concat_elu("concat_elu_forward", x, y, rows, channels)) return status;
    if (rows * channels == 0) return JL_OK;
    return launch("concat_elu_forward", grid(rows, channels), kBlock, 0, stream, forward_kernel, x, y, rows,
                  channels);
}

jl_status concat_elu_backward(const float* x, const float* dy, float* dx, int64_t rows, int64_t channels,
                              jl_stream stream) {
    if (const jl_status status = check_concat_elu("concat_elu_backward", x, dy, rows, channels))
        return status;
    if (const jl_status status = check_concat_elu("concat_elu_backward", x, dx, rows, channels))
        return status;
    if (rows * channels == 0) return JL_OK;
    return launch("concat_elu_backward", grid(rows, channels), kBlock, 0, stream, backward_kernel, x, dy, dx,
                  rows, channels);
}

}  // namespace jlatent::JL_TABLE
