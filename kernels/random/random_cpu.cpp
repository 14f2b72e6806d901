#include "random.h"

#include "parallel.h"
#include "philox_cpu.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int64_t kTile = 16 * kNoiseGroup;  // elements a task: 4 KiB, stays in the first-level cache

}  // namespace

jl_status random_bits(uint32_t* out, int64_t count, const jl_random* random, uint32_t site, jl_stream) {
    if (const jl_status status = check_random(out, count, random)) return status;
    parallel_for((count + 3) / 4, count, [&](int64_t block) {
        const Words bits = philox(static_cast<uint32_t>(block), 0, random->step, site, philox_key(*random));
        for (int64_t e = 4 * block; e < count && e < 4 * block + 4; ++e) out[e] = bits.w[e - 4 * block];
    });
    return JL_OK;
}

jl_status random_normal(float* out, int64_t count, const jl_random* random, uint32_t site, jl_stream) {
    if (const jl_status status = check_random(out, count, random)) return status;
    parallel_for((count + kTile - 1) / kTile, count, [&](int64_t tile) {
        const int64_t start = tile * kTile, n = count - start < kTile ? count - start : kTile;
        const uint32_t first = static_cast<uint32_t>(start / 4);
        if (n == kTile) return philox_fill_normals(first, kTile / 4, 0, *random, site, out + start);
        float noise[kTile];
        philox_fill_normals(first, (n + 3) / 4, 0, *random, site, noise);
        memcpy(out + start, noise, static_cast<size_t>(n) * sizeof(float));
    });
    return JL_OK;
}

jl_status random_advance(jl_random* random, jl_stream) {
    JL_REQUIRE(random != nullptr, "random_advance: random must not be null");
    ++random->step;
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE
