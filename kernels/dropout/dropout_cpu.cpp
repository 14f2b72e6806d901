#include "dropout.h"

#include "parallel.h"
#include "philox_cpu.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int64_t kTile = 16 * kNoiseGroup;  // elements a task

// The product is made for all, so that the loop has no branch and vectorises.
void mask(const float* x, float* y, const uint32_t* bits, uint32_t threshold, float scale, int64_t count) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) {
        const float kept = scale * x[i];
        y[i] = bits[i] >= threshold ? kept : 0.0f;
    }
}

}  // namespace

jl_status dropout(const float* x, float* y, int64_t count, const jl_random* random, uint32_t site, float drop,
                  float scale, jl_stream) {
    if (const jl_status status = check_dropout(x, y, count, random, drop)) return status;
    const uint32_t threshold = drop_threshold(drop);
    parallel_for((count + kTile - 1) / kTile, count, [=](int64_t tile) {
        const int64_t start = tile * kTile, n = count - start < kTile ? count - start : kTile;
        uint32_t bits[kTile];
        philox_fill_bits(static_cast<uint32_t>(start / 4), (n + 3) / 4, 0, *random, site, bits);
        mask(x + start, y + start, bits, threshold, scale, n);
    });
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE
