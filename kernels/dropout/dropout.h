// dropout: elements set to 0 at random; the mask is never stored    [Srivastava et al. 2014]
//
// dropout   y[e] = scale x[e] if kept, else 0, whatever x[e] is
//
//   kept      word e % 4 of Philox block e / 4, sample 0, at random->step and `site` (see random.h) is at least
//             round(drop 2^32): with probability 1 - drop, the same elements on every table
//   scale     1 / (1 - drop) keeps the mean ("inverted"); 1 masks only, as a denoising autoencoder's input
//   backward  the same launcher on dy: dx = dropout(dy), at the same step and site
//
// x, y            count contiguous f32, any alignment; y is overwritten and may be x; count <= 2^34
// drop            in [0, 1)
// deterministic   yes: a pure function of (seed, step, site, e)
// bytes           8 count; a Philox block for every 4 elements
#pragma once
#include <cmath>

#include "jlatent.h"
#include "philox.h"
#include "status.h"

namespace jlatent::JL_TABLE {

// Words below it are dropped. Exact: the largest f32 below 1 gives 2^32 - 256.
inline uint32_t drop_threshold(float drop) {
    return static_cast<uint32_t>(std::nearbyint(static_cast<double>(drop) * 4294967296.0));
}

// What every table refuses.
inline jl_status check_dropout(const float* x, const float* y, int64_t count, const jl_random* random,
                               float drop) {
    JL_REQUIRE(count >= 0 && (count + 3) / 4 <= kPhiloxBlocks,
               "dropout: count must be in [0, 2^34], got %lld", static_cast<long long>(count));
    JL_REQUIRE(drop >= 0.0f && drop < 1.0f, "dropout: drop must be in [0, 1), got %g",
               static_cast<double>(drop));
    JL_REQUIRE(count == 0 || (x != nullptr && y != nullptr && random != nullptr),
               "dropout: x, y and random must not be null");
    return JL_OK;
}

jl_status dropout(const float* x, float* y, int64_t count, const jl_random* random, uint32_t site, float drop,
                  float scale, jl_stream stream);

}  // namespace jlatent::JL_TABLE
