#include "random.h"

#include "launch.h"

namespace jlatent::JL_TABLE {
namespace {

__global__ void random_bits_kernel(uint32_t* __restrict__ out, int64_t count,
                                   const jl_random* __restrict__ random, uint32_t site) {
    const int64_t block = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x;
    if (4 * block >= count) return;
    const Words bits = philox(static_cast<uint32_t>(block), 0, random->step, site, philox_key(*random));
    JL_UNROLL
    for (int w = 0; w < 4; ++w)
        if (4 * block + w < count) out[4 * block + w] = bits.w[w];
}

__global__ void random_normal_kernel(float* __restrict__ out, int64_t count,
                                     const jl_random* __restrict__ random, uint32_t site) {
    const int64_t block = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x;
    const int64_t left = count - 4 * block;
    if (left <= 0) return;
    const Normals n =
        philox_normals(static_cast<uint32_t>(block), 0, random->step, site, philox_key(*random));
    store_quad(out, 4 * block, left < 4 ? static_cast<int>(left) : 4, {{n.n[0], n.n[1], n.n[2], n.n[3]}});
}

__global__ void random_advance_kernel(jl_random* random) { ++random->step; }

unsigned grid(int64_t count) { return static_cast<unsigned>(((count + 3) / 4 + kBlock - 1) / kBlock); }

}  // namespace

jl_status random_bits(uint32_t* out, int64_t count, const jl_random* random, uint32_t site,
                      jl_stream stream) {
    if (const jl_status status = check_random(out, count, random)) return status;
    if (count == 0) return JL_OK;
    return launch("random_bits", grid(count), kBlock, 0, stream, random_bits_kernel, out, count, random,
                  site);
}

jl_status random_normal(float* out, int64_t count, const jl_random* random, uint32_t site, jl_stream stream) {
    if (const jl_status status = check_random(out, count, random)) return status;
    if (count == 0) return JL_OK;
    return launch("random_normal", grid(count), kBlock, 0, stream, random_normal_kernel, out, count, random,
                  site);
}

jl_status random_advance(jl_random* random, jl_stream stream) {
    JL_REQUIRE(random != nullptr, "random_advance: random must not be null");
    return launch("random_advance", 1, 1, 0, stream, random_advance_kernel, random);
}

}  // namespace jlatent::JL_TABLE
