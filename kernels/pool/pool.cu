#include "pool.h"

#include "launch.h"

namespace jlatent::JL_TABLE {
namespace {

// A thread an element of what is written: neighbours read and write neighbouring channels.
__global__ void forward_kernel(jl_pool s, const float* __restrict__ x, float* __restrict__ y,
                               int32_t* __restrict__ winners, int64_t count) {
    const int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x;
    if (i < count) pool_window(s, i, x, y, winners);
}

__global__ void backward_kernel(jl_pool s, const float* __restrict__ dy, const int32_t* __restrict__ winners,
                                float* __restrict__ dx, int64_t count) {
    const int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x;
    if (i < count) pool_pixel(s, i, dy, winners, dx);
}

unsigned grid(int64_t threads) { return static_cast<unsigned>((threads + kBlock - 1) / kBlock); }

}  // namespace

jl_status pool_forward(const jl_pool* shape, const float* x, float* y, int32_t* winners, jl_stream stream) {
    if (const jl_status status = check_pool("pool_forward", shape, x, y)) return status;
    const int64_t count = shape->batch * pool_height(*shape) * pool_width(*shape) * shape->channels;
    if (count == 0) return JL_OK;
    return launch("pool_forward", grid(count), kBlock, 0, stream, forward_kernel, *shape, x, y, winners,
                  count);
}

jl_status pool_backward(const jl_pool* shape, const float* dy, const int32_t* winners, float* dx,
                        jl_stream stream) {
    if (const jl_status status = check_pool("pool_backward", shape, dy, dx)) return status;
    const int64_t count = shape->batch * shape->height * shape->width * shape->channels;
    if (count == 0) return JL_OK;
    JL_REQUIRE(shape->average || winners != nullptr, "pool_backward: the maximum needs its winners");
    return launch("pool_backward", grid(count), kBlock, 0, stream, backward_kernel, *shape, dy, winners, dx,
                  count);
}

}  // namespace jlatent::JL_TABLE
