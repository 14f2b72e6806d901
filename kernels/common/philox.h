// Counter-based noise: Philox4x32-10 [Salmon et al. 2011], Box-Muller on top.
//
// key      = seed (64 bits)
// counter  = (block, sample, step, site)
//
// A block is four neighbouring elements: element e of a vector is word e % 4 of block e / 4. Matrices start each row on a
// block of its own: row r of `dims` columns begins at block r * ceil(dims / 4).
// The bits are identical on every table, the normals to 1e-5: nothing is stored, backward asks again.
#pragma once
#include "host_device.h"
#include "jlatent.h"
#include "math.h"

namespace jlatent::JL_TABLE {

constexpr int kPhiloxWords = 4;
constexpr int64_t kPhiloxBlocks = int64_t{1} << 32;  // counters a draw can use: launchers refuse more

struct PhiloxKey {
    uint32_t low, high;
};

JL_HOST_DEVICE PhiloxKey philox_key(const jl_random& random) {
    return {static_cast<uint32_t>(random.seed), static_cast<uint32_t>(random.seed >> 32)};
}

struct Words {
    uint32_t w[kPhiloxWords];
};

JL_HOST_DEVICE Words philox(uint32_t block, uint32_t sample, uint32_t step, uint32_t site, PhiloxKey key) {
    uint32_t c0 = block, c1 = sample, c2 = step, c3 = site;
    JL_UNROLL
    for (int round = 0; round < 10; ++round) {
        const uint64_t p0 = static_cast<uint64_t>(c0) * 0xD2511F53u;
        const uint64_t p1 = static_cast<uint64_t>(c2) * 0xCD9E8D57u;
        c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ key.low;
        c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ key.high;
        c1 = static_cast<uint32_t>(p1);
        c3 = static_cast<uint32_t>(p0);
        key.low += 0x9E3779B9u;   // golden ratio
        key.high += 0xBB67AE85u;  // sqrt(3) - 1
    }
    return {{c0, c1, c2, c3}};
}

// Two words to two independent standard normals. u has 23 random bits and is exact in f32, in (0, 1): |n|
// < 5.8.
JL_HOST_DEVICE void box_muller(uint32_t radius, uint32_t angle, float* first, float* second) {
    const float u = (static_cast<float>(static_cast<int32_t>(radius >> 9)) + 0.5f) * 1.1920929e-7f;
    const float r = sqrtf(-2.0f * fast_log(u));
    float sine, cosine;
    sin_cos_turns(angle, &sine, &cosine);
    *first = r * cosine;
    *second = r * sine;
}

struct Normals {
    float n[kPhiloxWords];
};

JL_HOST_DEVICE Normals philox_normals(uint32_t block, uint32_t sample, uint32_t step, uint32_t site,
                                      PhiloxKey key) {
    const Words bits = philox(block, sample, step, site, key);
    Normals out;
    box_muller(bits.w[0], bits.w[1], &out.n[0], &out.n[1]);
    box_muller(bits.w[2], bits.w[3], &out.n[2], &out.n[3]);
    return out;
}

}  // namespace jlatent::JL_TABLE
