// What the CUDA kernels do, for tests of theirs: on the CPU models pool with oneDNN (native/dense.h).
#include "pool.h"

#include "parallel.h"

namespace jlatent::JL_TABLE {

jl_status pool_forward(const jl_pool* shape, const float* x, float* y, int32_t* winners, jl_stream) {
    if (const jl_status status = check_pool("pool_forward", shape, x, y)) return status;
    const jl_pool s = *shape;
    const int64_t count = s.batch * pool_height(s) * pool_width(s) * s.channels;
    parallel_for(count, count, [=](int64_t i) { pool_window(s, i, x, y, winners); });
    return JL_OK;
}

jl_status pool_backward(const jl_pool* shape, const float* dy, const int32_t* winners, float* dx, jl_stream) {
    if (const jl_status status = check_pool("pool_backward", shape, dy, dx)) return status;
    const jl_pool s = *shape;
    const int64_t count = s.batch * s.height * s.width * s.channels;
    JL_REQUIRE(count == 0 || s.average || winners != nullptr, "pool_backward: the maximum needs its winners");
    parallel_for(count, count, [=](int64_t i) { pool_pixel(s, i, dy, winners, dx); });
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE
