// masked_conv on CUDA: sums of products on tensor cores; of f32 as exact as those of f32 arithmetic.
//
// Factors of bf16 have one part, the nearest bf16; mma add their products to a sum on their own.
//
// A factor of f32 is cut into three of bf16, x = x1 + x2 + x3: x1 its upper half (cut: the largest f32 stays finite), x2 the
// nearest of what is left, x3 the rest. Nothing is lost above 2^-134; |x2| <= 2^-7 |x|, |x3| <= 2^-16 |x|. Of x w,
//   x1 w3 + x3 w1 + x2 w2 + x1 w2 + x2 w1 + x1 w1
// are taken, in this order, by six mma of 16 products a sum. What is left out is below 2^-22 (1 + 2^-8) |x w|. The six begin
// with 0, and are added to a sum of f32, which rounds: where tensor cores alone carry a sum, cuts add up [Ootomo and Yokota
// 2022, Recovering single precision accuracy from Tensor Cores, sec. 3]. With mma.h's cuts, n times 16 products differ by
//   |error| <= (24 + n / 2) 2^-23 sum |x| |w|;   added one after the other in f32, by up to 8 n 2^-23 sum |x| |w|
// Counted on the emulator, 80 to 2560 products: half to a quarter of what that errs on average. Infinite factors become NaN.
//
// Two parts of tf32 would take as many mma, three products of 8 a sum instead of six of 16, and lose up to 2 of 24 bits.
#pragma once
#include "masked_conv.h"
#include "mma.h"

namespace jlatent::JL_TABLE {

constexpr int kStep = 16;  // products a sum of an mma
constexpr int kWarpRows = 32;

// Two neighbours' parts, the lower one in the lower halves.
__device__ inline void split(float low, float high, uint32_t (&part)[1]) { part[0] = bf16_pair(low, high); }
__device__ inline void split(float low, float high, uint32_t (&part)[3]) {
    const uint32_t l = bits_of_float(low), h = bits_of_float(high);
    part[0] = l >> 16 | (h & 0xffff0000u);
    low -= float_of_bits(l & 0xffff0000u);
    high -= float_of_bits(h & 0xffff0000u);
    part[1] = bf16_pair(low, high);
    part[2] = bf16_pair(low - float_of_bits(part[1] << 16), high - float_of_bits(part[1] & 0xffff0000u));
}

// Fragments of a [2 16, 16] and b [16, 8 kTiles], by part.
template <int kParts>
struct RowParts {
    uint32_t word[2][kParts][4];

    // The words of row 16 m + 8 half + g, from its four values that lane t has.
    __device__ void set(int m, int half, float v0, float v1, float v2, float v3) {
        uint32_t lower[kParts], upper[kParts];
        split(v0, v1, lower);
        split(v2, v3, upper);
        JL_UNROLL
        for (int p = 0; p < kParts; ++p) word[m][p][half] = lower[p], word[m][p][half + 2] = upper[p];
    }
};
template <int kParts, int kTiles>
struct ColumnParts {
    uint32_t word[kTiles][kParts][2];
};

// sum [2 16, 8 kTiles] += a b, by a warp; `first`: the tile of sums to begin with.
template <int kTiles, int kAll>
__device__ inline void add_products(const RowParts<1>& a, const ColumnParts<1, kTiles>& b, int first,
                                    float (&sum)[2][kAll][4]) {
    JL_UNROLL
    for (int i = 0; i < 2 * kTiles; ++i)
        mma_bf16(sum[i % 2][first + i / 2], a.word[i % 2][0], b.word[i / 2][0]);
}
template <int kTiles, int kAll>
__device__ inline void add_products(const RowParts<3>& a, const ColumnParts<3, kTiles>& b, int first,
                                    float (&sum)[2][kAll][4]) {
    constexpr int kLeft[6] = {0, 2, 1, 0, 1, 0}, kRight[6] = {2, 0, 1, 1, 0, 0};
    float own[2][kTiles][4] = {};
    JL_UNROLL
    for (int p = 0; p < 6; ++p) {
        JL_UNROLL
        for (int i = 0; i < 2 * kTiles; ++i)
            mma_bf16(own[i % 2][i / 2], a.word[i % 2][kLeft[p]], b.word[i / 2][kRight[p]]);
    }
    JL_UNROLL
    for (int i = 0; i < 8 * kTiles; ++i) sum[i % 2][first + i / 8][i / 2 % 4] += own[i % 2][i / 8][i / 2 % 4];
}

// `count` of four floats on their way, and zeros for the rest. Quads of arrays whose rows have so many.
struct QuadCopy {
    bool wide;  // whether every quad is four floats, or none, and 16 aligned bytes

    __device__ QuadCopy(const float* array, int64_t channels) : wide(channels % 4 == 0 && aligned16(array)) {}

    __device__ void operator()(const float* from, int count, float* to) const {
        if (wide) {
            copy_async_16(to, from, count > 0);
            return;
        }
        JL_UNROLL
        for (int k = 0; k < 4; ++k) copy_async_4(to + k, k < count ? from + k : from, k < count);
    }
};

// Channels in quads, tap by tap: what is multiplied with the weight of a filter, with zeros behind each tap's last channel.
// So a mma's 16 products are of one tap where there are many channels, of four where there are up to four.
struct TapQuads {
    int64_t a_tap, all;

    TapQuads(const Taps& taps, int64_t channels) : a_tap((channels + 3) / 4), all(taps.count() * a_tap) {}
};

__device__ inline int warp_row() { return static_cast<int>(threadIdx.x) / kWarp / 2; }
__device__ inline int warp_column() { return static_cast<int>(threadIdx.x) / kWarp % 2; }
__device__ inline int lane_group() { return static_cast<int>(threadIdx.x) % kWarp / 4; }  // g of mma.h
__device__ inline int lane_slot() { return static_cast<int>(threadIdx.x) % 4; }           // t

}  // namespace jlatent::JL_TABLE
