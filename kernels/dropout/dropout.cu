#include "dropout.h"

#include "launch.h"

namespace jlatent::JL_TABLE {
namespace {

// One thread, one Philox block: four neighbouring elements. y may be x.
__global__ void dropout_kernel(const float* x, float* y, int64_t count, const jl_random* __restrict__ random,
                               uint32_t site, uint32_t threshold, float scale) {
    const int64_t block = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x, left = count - 4 * block;
    if (left <= 0) return;
    const int n = left < 4 ? static_cast<int>(left) : 4;
    const Words bits = philox(static_cast<uint32_t>(block), 0, random->step, site, philox_key(*random));
    Quad q = load_quad(x, 4 * block, n);
    JL_UNROLL
    for (int k = 0; k < 4; ++k) q.v[k] = bits.w[k] >= threshold ? scale * q.v[k] : 0.0f;
    store_quad(y, 4 * block, n, q);
}

}  // namespace

jl_status dropout(const float* x, float* y, int64_t count, const jl_random* random, uint32_t site, float drop,
                  float scale, jl_stream stream) {
    if (const jl_status status = check_dropout(x, y, count, random, drop)) return status;
    if (count == 0) return JL_OK;
    const int64_t blocks = (count + 3) / 4;
    return launch("dropout", static_cast<unsigned>((blocks + kBlock - 1) / kBlock), kBlock, 0, stream,
                  dropout_kernel, x, y, count, random, site, drop_threshold(drop), scale);
}

}  // namespace jlatent::JL_TABLE
