// Philox for the CPU's vector units: many blocks at a time, the same words as philox.h.
#pragma once
#include <immintrin.h>

#include "philox.h"

namespace jlatent::JL_TABLE {

constexpr int kLanes = 8;  // 32-bit words held in 64-bit lanes: one widening multiply gives both halves
constexpr int kNoiseBlocks = 2 * kLanes;  // Philox blocks made at a time
constexpr int kNoiseGroup = kPhiloxWords * kNoiseBlocks;

// One vector of 8 lanes on AVX-512, two of 4 on AVX2, four of 2 on the baseline.
struct Lanes {
#if defined(__AVX512F__)
    using V = __m512i;
    static constexpr int kVectors = 1;
    static V set(uint64_t x) { return _mm512_set1_epi64(static_cast<int64_t>(x)); }
    static V load(const uint64_t* p) { return _mm512_loadu_si512(p); }
    static void store(uint64_t* p, V v) { _mm512_storeu_si512(p, v); }
    static V multiply(V a, V b) { return _mm512_mul_epu32(a, b); }
    static V high(V a) { return _mm512_srli_epi64(a, 32); }
    static V exclusive_or(V a, V b, V c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }
#elif defined(__AVX2__)
    using V = __m256i;
    static constexpr int kVectors = 2;
    static V set(uint64_t x) { return _mm256_set1_epi64x(static_cast<int64_t>(x)); }
    static V load(const uint64_t* p) { return _mm256_loadu_si256(reinterpret_cast<const V*>(p)); }
    static void store(uint64_t* p, V v) { _mm256_storeu_si256(reinterpret_cast<V*>(p), v); }
    static V multiply(V a, V b) { return _mm256_mul_epu32(a, b); }
    static V high(V a) { return _mm256_srli_epi64(a, 32); }
    static V exclusive_or(V a, V b, V c) { return _mm256_xor_si256(_mm256_xor_si256(a, b), c); }
#else
    using V = __m128i;
    static constexpr int kVectors = 4;
    static V set(uint64_t x) { return _mm_set1_epi64x(static_cast<int64_t>(x)); }
    static V load(const uint64_t* p) { return _mm_loadu_si128(reinterpret_cast<const V*>(p)); }
    static void store(uint64_t* p, V v) { _mm_storeu_si128(reinterpret_cast<V*>(p), v); }
    static V multiply(V a, V b) { return _mm_mul_epu32(a, b); }
    static V high(V a) { return _mm_srli_epi64(a, 32); }
    static V exclusive_or(V a, V b, V c) { return _mm_xor_si128(_mm_xor_si128(a, b), c); }
#endif
};

// Words of blocks first .. first + 7: word w of block first + l goes to out[w * stride + l].
inline void philox_words(uint32_t first, uint32_t sample, uint32_t step, uint32_t site, PhiloxKey key,
                         uint32_t* out, int stride) {
    using V = Lanes::V;
    constexpr int kWidth = kLanes / Lanes::kVectors;
    const V m0 = Lanes::set(0xD2511F53u), m1 = Lanes::set(0xCD9E8D57u);
    for (int v = 0; v < Lanes::kVectors; ++v) {
        uint64_t lane[kLanes];
        for (int l = 0; l < kWidth; ++l) lane[l] = first + static_cast<uint32_t>(v * kWidth + l);
        // The high halves of the lanes hold rubbish from the second round on; multiply() never looks at them.
        V c0 = Lanes::load(lane), c1 = Lanes::set(sample), c2 = Lanes::set(step), c3 = Lanes::set(site);
        PhiloxKey k = key;
        JL_UNROLL
        for (int round = 0; round < 10; ++round) {
            const V p0 = Lanes::multiply(c0, m0), p1 = Lanes::multiply(c2, m1);
            c0 = Lanes::exclusive_or(Lanes::high(p1), c1, Lanes::set(k.low));
            c2 = Lanes::exclusive_or(Lanes::high(p0), c3, Lanes::set(k.high));
            c1 = p1;
            c3 = p0;
            k.low += 0x9E3779B9u;
            k.high += 0xBB67AE85u;
        }
        const V words[kPhiloxWords] = {c0, c1, c2, c3};
        for (int w = 0; w < kPhiloxWords; ++w) {
            Lanes::store(lane, words[w]);
            for (int l = 0; l < kWidth; ++l)
                out[w * stride + v * kWidth + l] = static_cast<uint32_t>(lane[l]);
        }
    }
}

// Words of `blocks` blocks from `first` on, in the order of the elements: out holds 4 * blocks, rounded up to a
// multiple of kNoiseGroup (the excess is written).
inline void philox_fill_bits(uint32_t first, int64_t blocks, uint32_t sample, const jl_random& random,
                             uint32_t site, uint32_t* out) {
    const PhiloxKey key = philox_key(random);
    for (int64_t b = 0; b < blocks; b += kNoiseBlocks) {
        uint32_t words[kPhiloxWords][kNoiseBlocks];
        for (int half = 0; half < kNoiseBlocks; half += kLanes)
            philox_words(first + static_cast<uint32_t>(b) + static_cast<uint32_t>(half), sample, random.step,
                         site, key, &words[0][half], kNoiseBlocks);
        uint32_t* group = out + kPhiloxWords * b;
#pragma omp simd
        for (int l = 0; l < kNoiseBlocks; ++l) {
            group[4 * l + 0] = words[0][l];
            group[4 * l + 1] = words[1][l];
            group[4 * l + 2] = words[2][l];
            group[4 * l + 3] = words[3][l];
        }
    }
}

// Normals of `blocks` blocks from `first` on, four neighbouring elements a block: out holds 4 * blocks,
// rounded up to a multiple of kNoiseGroup (the excess is written).
inline void philox_fill_normals(uint32_t first, int64_t blocks, uint32_t sample, const jl_random& random,
                                uint32_t site, float* out) {
    const PhiloxKey key = philox_key(random);
    for (int64_t b = 0; b < blocks; b += kNoiseBlocks) {
        uint32_t words[kPhiloxWords][kNoiseBlocks];
        float normals[kPhiloxWords][kNoiseBlocks];
        for (int half = 0; half < kNoiseBlocks; half += kLanes)
            philox_words(first + static_cast<uint32_t>(b) + static_cast<uint32_t>(half), sample, random.step,
                         site, key, &words[0][half], kNoiseBlocks);
#pragma omp simd
        for (int l = 0; l < kNoiseBlocks; ++l) {
            box_muller(words[0][l], words[1][l], &normals[0][l], &normals[1][l]);
            box_muller(words[2][l], words[3][l], &normals[2][l], &normals[3][l]);
        }
        float* group = out + kPhiloxWords * b;
#pragma omp simd
        for (int l = 0; l < kNoiseBlocks; ++l) {
            group[4 * l + 0] = normals[0][l];
            group[4 * l + 1] = normals[1][l];
            group[4 * l + 2] = normals[2][l];
            group[4 * l + 3] = normals[3][l];
        }
    }
}

}  // namespace jlatent::JL_TABLE
