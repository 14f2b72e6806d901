// The matrix tiles of AMX: eight of 16 lines of 64 bytes; and what fills them. Four of them are sums [32, 32] of f32:
//   zero_sums, load_sums, store_sums   lines are `line` floats apart
//   add_products                       of 32 lines of 32 bf16, `line` of these apart, and two tiles: 16 columns of 16 pairs each
#pragma once
#if defined(__AMX_BF16__)
#include <immintrin.h>

#include "host_device.h"

namespace jlatent::JL_TABLE {

struct alignas(64) TileConfig {
    uint8_t palette = 1, start = 0, reserved[14] = {};
    uint16_t line_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t lines[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constexpr TileConfig kTileConfig = {};

inline void zero_sums() {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}
inline void load_sums(const float* from, int64_t line) {
    _tile_loadd(0, from, line * 4);
    _tile_loadd(1, from + 16, line * 4);
    _tile_loadd(2, from + 16 * line, line * 4);
    _tile_loadd(3, from + 16 * line + 16, line * 4);
}
inline void store_sums(float* to, int64_t line) {
    _tile_stored(0, to, line * 4);
    _tile_stored(1, to + 16, line * 4);
    _tile_stored(2, to + 16 * line, line * 4);
    _tile_stored(3, to + 16 * line + 16, line * 4);
}
inline void add_products(const uint16_t* a, int64_t line, const uint16_t* b) {
    _tile_loadd(4, a, line * 2);
    _tile_loadd(6, b, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + 512, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, a + 16 * line, line * 2);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
}

// The first `count` of 16 lanes.
inline __mmask16 lanes(int64_t count) {
    return static_cast<__mmask16>(count <= 0 ? 0u : count >= 16 ? 0xffffu : (1u << count) - 1u);
}
// Up to 16 floats as bf16, rounded to the nearest; the rest are zeros.
inline __m256i load_bf16(const float* x, int64_t count) {
    return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(lanes(count), x)));
}

// 16 x 16 words: quarters, then quarters of quarters, change places.
inline void transpose(__m512i* v) {
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
#pragma GCC unroll 4
    for (int step = 8; step > 0; step /= 2) {
        const __mmask16 upper = _mm512_test_epi32_mask(lane, _mm512_set1_epi32(step));
        const __m512i shift = _mm512_set1_epi32(step), other = _mm512_set1_epi32(16);
        const __m512i low = _mm512_mask_add_epi32(lane, upper, _mm512_sub_epi32(lane, shift), other);
        const __m512i high = _mm512_mask_add_epi32(_mm512_add_epi32(lane, shift), upper, lane, other);
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) {
            if ((i & step) != 0) continue;
            const __m512i a = v[i], b = v[i + step];
            v[i] = _mm512_permutex2var_epi32(a, low, b);
            v[i + step] = _mm512_permutex2var_epi32(a, high, b);
        }
    }
}

}  // namespace jlatent::JL_TABLE
#endif
