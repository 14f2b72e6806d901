// What masked_conv multiplies on the CPU, and how: f32 in vectors, or, with AMX, bf16 in tiles. Each has
//   Value                 what strips and packed weights consist of
//   kRows                 pixels of a strip whose sums are taken together
//   depth_of(channels)    values that a pixel takes
//   copy                  writes `pixels` pixels of a row to a strip
//   place(c, lane)        where the weight of channel c, column `lane` of a panel, is among those of a tap, depth kPanel in all
//   value                 a weight
//   sums                  [kRows, kPanel]: all products of the pixels that begin at `strip` with a panel
//   Session               to be held while sums are taken
#pragma once
#include "product_cpu.h"
#include "strips_cpu.h"
#include "tiles_amx.h"

namespace jlatent::JL_TABLE {

// Factors of bf16 are rounded, too, but multiplied as f32.
struct VectorArithmetic {
    using Value = float;
    struct Session {};
    static constexpr int64_t kRows = kTileRows;

    static int64_t depth_of(int64_t channels) { return channels; }
    static int64_t place(int64_t c, int64_t lane) { return c * kPanel + lane; }
    static Value value(int32_t factors, float w) { return rounded(factors, w); }

    static void copy(int32_t factors, const float* x, int64_t pixels, int64_t channels, Value* to) {
        const int64_t count = pixels * channels;
        if (factors == JL_F32) {
            memcpy(to, x, static_cast<size_t>(count) * sizeof(float));
            return;
        }
#pragma omp simd
        for (int64_t i = 0; i < count; ++i) to[i] = rounded(JL_BF16, x[i]);
    }

    static inline __attribute__((always_inline)) void sums(const Strips<VectorArithmetic>& strips,
                                                           const Value* strip, const Value* packed,
                                                           float* to) {
        const int64_t depth = strips.depth;
        Vector sum[kRows][2] = {};
        strips.for_rows([&](int64_t offset, int64_t tap, int64_t count) __attribute__((always_inline)) {
            multiply(strip + offset, depth, 1, packed + tap * depth * kPanel, count * depth, sum);
        });
#pragma GCC unroll 16
        for (int64_t i = 0; i < kRows; ++i) {
            store(to + i * kPanel, sum[i][0]);
            store(to + i * kPanel + kLanes, sum[i][1]);
        }
    }
};

#if defined(__AMX_BF16__)

// Channels in steps of 32, the last one filled up with zeros. A step's products are four of tiles: 2 x 16 pixels, 2 x 16 columns.
struct TileArithmetic {
    using Value = uint16_t;
    struct Session {
        Session() { _tile_loadconfig(&kTileConfig); }
        ~Session() { _tile_release(); }
        Session(const Session&) = delete;
        Session& operator=(const Session&) = delete;
    };
    static constexpr int64_t kSide = 16, kStep = 32, kTile = kSide * kStep, kRows = 2 * kSide;
    static_assert(kPanel == 2 * kSide, "a panel is two tiles wide");
    static constexpr int64_t kFewestChannels = 8;  // below, filling up costs more than tiles save

    static int64_t depth_of(int64_t channels) { return round_up(channels, kStep); }
    // [steps, 2 tiles, 16 pairs of channels, 16 columns, 2]
    static int64_t place(int64_t c, int64_t lane) {
        return (c / kStep * 2 + lane / kSide) * kTile + c % kStep / 2 * kStep + lane % kSide * 2 + c % 2;
    }
    static Value value(int32_t, float w) { return bf16_of_float(w); }

    static void copy(int32_t, const float* x, int64_t pixels, int64_t channels, Value* to) {
        const int64_t depth = depth_of(channels);
        for (int64_t p = 0; p < pixels; ++p, x += channels)
            for (int64_t c = 0; c < depth; c += kSide, to += kSide)
                _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), load_bf16(x + c, channels - c));
    }

    static void sums(const Strips<TileArithmetic>& strips, const Value* strip, const Value* packed,
                     float* to) {
        std::atomic_signal_fence(
            std::memory_order_seq_cst);  // the compiler does not know that tiles read memory
        zero_sums();
        const int64_t depth = strips.depth;
        strips.for_rows([&](int64_t offset, int64_t tap, int64_t count) {
            const Value *a = strip + offset, *b = packed + tap * depth * kPanel;
            for (const Value* end = a + count * depth; a < end; a += kStep, b += 2 * kTile)
                add_products(a, depth, b);
        });
        store_sums(to, kPanel);
    }
};

#endif

// f(arithmetic) with that of sums over so many channels.
template <class F>
auto with_arithmetic([[maybe_unused]] const jl_masked_conv& s, [[maybe_unused]] int64_t channels, F f) {
#if defined(__AMX_BF16__)
    if (s.factors == JL_BF16 && channels >= TileArithmetic::kFewestChannels) return f(TileArithmetic());
#endif
    return f(VectorArithmetic());
}

}  // namespace jlatent::JL_TABLE
