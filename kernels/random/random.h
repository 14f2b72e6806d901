// random: raw Philox bits, standard normals, and the step counter    [Salmon et al. 2011; Box, Muller 1958]
//
// random_bits      out[e] = word e % 4 of block e / 4, sample 0, at random->step and `site`; the same on every table
// random_normal    out[2i], out[2i+1] = Box-Muller of words 2i, 2i+1; tables agree to 1e-5
// random_advance   random->step += 1
//
// out             count contiguous values, overwritten; count <= 2^34
// deterministic   yes: a pure function of (seed, step, site, e)
// bytes           4 count written
#pragma once
#include "jlatent.h"
#include "philox.h"
#include "status.h"

namespace jlatent::JL_TABLE {

// What every table refuses.
inline jl_status check_random(const void* out, int64_t count, const jl_random* random) {
    JL_REQUIRE(count >= 0 && (count + 3) / 4 <= kPhiloxBlocks, "random: count must be in [0, 2^34], got %lld",
               static_cast<long long>(count));
    JL_REQUIRE(count == 0 || (out != nullptr && random != nullptr),
               "random: out and random must not be null");
    return JL_OK;
}

jl_status random_bits(uint32_t* out, int64_t count, const jl_random* random, uint32_t site, jl_stream stream);
jl_status random_normal(float* out, int64_t count, const jl_random* random, uint32_t site, jl_stream stream);
jl_status random_advance(jl_random* random, jl_stream stream);

}  // namespace jlatent::JL_TABLE
