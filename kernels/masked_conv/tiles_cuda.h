// masked_conv's sums over taps and channels on CUDA: 128 pixels by 128 columns a block, without a copy of the image.
//
// The weight is first packed as mma wants it: split, in the order of registers, zeros where nothing is seen. A step is one
// mma deep: four quads of channels. While it is multiplied, cp.async brings the next step's quads of 128 neighbours as they
// are (8 KB; they are split in registers, by both warps that have them), and its packed weights (12 KB).
//   32 x 64 sums a warp    96 mma a step come with 16 ld.shared of 16 bytes a lane, and some 90 instructions that split
//   128 x 128 a block      20 KB a step from the second-level cache: 77 multiply-adds of mma a byte
//   registers              64 sums, 32 of the step's own, 24 + 24 parts: one block of 8 warps a multiprocessor
#pragma once
#include "product_cuda.h"

namespace jlatent::JL_TABLE {

constexpr int kTileRows = 128;                                     // pixels
constexpr int kTilePairs = 8;                                      // of a block: every second one for a warp
constexpr int pair_words(int parts) { return parts * kWarp * 4; }  // of a step
constexpr int kWarpPairs = kTilePairs / 2;
static_assert(kTileRows / kWarpRows * 2 == kBlock / kWarp, "two warps side by side");

// Which filter, or for the gradient which channel, a place is; -1: none. Of a gate's pair the first half is for tanh, the
// second for sigmoid of the same outputs: both are in one thread.
struct Columns {
    int64_t count;
    bool gate;

    int64_t pairs() const { return gate ? (count / 2 + 7) / 8 : (count + 15) / 16; }
    __device__ int of(int pair, int half, int i) const {
        const int all = static_cast<int>(count), most = gate ? all / 2 : all,
                  column = gate ? pair * 8 + i : pair * 16 + half * 8 + i;
        return column >= most ? -1 : gate ? column + half * most : column;
    }
};

// Sums over taps and channels of `in` [pixels, depth], or, for the gradient, over taps the other way around and filters.
struct Sums {
    jl_masked_conv s;
    Taps taps;
    bool gradient;
    int64_t depth;
    Columns columns;
    TapQuads quads;
    int64_t steps, pairs;

    static Sums forward(const jl_masked_conv& s) {
        return {s, false, s.channels, {s.filters, is_gated(s.epilogue)}};
    }
    static Sums backward(const jl_masked_conv& s) { return {s, true, s.filters, {s.channels, false}}; }

    Sums(const jl_masked_conv& s_, bool gradient_, int64_t depth_, const Columns& columns_)
        : s(s_),
          taps(taps_of(s_)),
          gradient(gradient_),
          depth(depth_),
          columns(columns_),
          quads(taps, depth_),
          steps((quads.all + 3) / 4),
          pairs(columns_.pairs()) {}
    int parts() const { return s.factors == JL_BF16 ? 1 : 3; }  // of a factor
    int64_t packed_words() const { return steps * pairs * pair_words(parts()); }
    int64_t tiles() const { return (pairs + kTilePairs - 1) / kTilePairs; }
};

struct alignas(16) FourWords {
    uint32_t word[4];
};

// packed [steps, pairs, parts, lanes, 4]: a thread a lane of a pair.
template <int kParts>
__global__ void pack_kernel(Sums c, const float* __restrict__ weight, FourWords* __restrict__ packed) {
    const int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x, pair = i / kWarp % c.pairs,
                  step = i / kWarp / c.pairs;
    if (step >= c.steps) return;
    const int64_t quad = step * 4 + lane_slot(), tap = quad / c.quads.a_tap, first = quad % c.quads.a_tap * 4;
    FourWords words[kParts];
    JL_UNROLL
    for (int half = 0; half < 2; ++half) {
        const int64_t column = c.columns.of(static_cast<int>(pair), half, lane_group());
        float w[4];
        JL_UNROLL
        for (int k = 0; k < 4; ++k) {
            const int64_t f = c.gradient ? first + k : column, channel = c.gradient ? column : first + k;
            const bool seen = column >= 0 && tap < c.taps.count() && f < c.s.filters &&
                              channel < seen_channels(c.s, c.taps, tap, f);
            w[k] = seen ? weight[(f * c.taps.weight_taps() + c.taps.weight_tap(tap)) * c.s.channels + channel]
                        : 0.0f;
        }
        uint32_t lower[kParts], upper[kParts];
        split(w[0], w[1], lower);
        split(w[2], w[3], upper);
        JL_UNROLL
        for (int p = 0; p < kParts; ++p)
            words[p].word[half * 2] = lower[p], words[p].word[half * 2 + 1] = upper[p];
    }
    JL_UNROLL
    for (int p = 0; p < kParts; ++p)
        packed[((step * c.pairs + pair) * kParts + p) * kWarp + threadIdx.x % kWarp] = words[p];
}

template <int kParts>
struct StepShared {
    alignas(16) float in[kTileRows * kStep];
    alignas(16) uint32_t weight[kTilePairs * pair_words(kParts)];
};

// Copies the neighbours of a tile's pixels, step by step: a thread one of the four quads of two of them.
struct NeighbourCopy {
    static constexpr int kPixels = kTileRows * 4 / kBlock;
    const Sums& c;
    const float* in;
    QuadCopy copy;
    int64_t pixel[kPixels];
    int x[kPixels], y[kPixels];       // y -1: past the last pixel
    const float* neighbour[kPixels];  // null: outside
    int tap, quad;                    // the next step's; a quad of the tap

    __device__ NeighbourCopy(const Sums& c_, const float* in_, int64_t first)
        : c(c_), in(in_), copy(in_, c_.depth), tap(-1), quad(static_cast<int>(threadIdx.x) % 4) {
        JL_UNROLL
        for (int i = 0; i < kPixels; ++i) {
            pixel[i] = first + row(i);
            x[i] = static_cast<int>(pixel[i] % c.s.width);
            const int64_t line = pixel[i] / c.s.width;
            y[i] = line < c.s.batch * c.s.height ? static_cast<int>(line % c.s.height) : -1;
        }
        move_to(0);
    }

    __device__ static int row(int i) { return static_cast<int>(threadIdx.x) / 4 + i * (kBlock / 4); }

    // To the tap that has the quad, from `to` on; past the last one nothing is inside.
    __device__ void move_to(int to) {
        const int a_tap = static_cast<int>(c.quads.a_tap);
        while (quad >= a_tap) quad -= a_tap, ++to;
        if (to == tap) return;
        tap = to;
        const int across = static_cast<int>(c.taps.across()), sign = c.gradient ? -1 : 1,
                  dy = sign * (tap / across - static_cast<int>(c.taps.above)),
                  dx = sign * (tap % across - static_cast<int>(c.taps.side));
        JL_UNROLL
        for (int i = 0; i < kPixels; ++i) {
            const int at_x = x[i] + dx, at_y = y[i] + dy;
            const bool inside = tap < c.taps.count() && y[i] >= 0 && at_x >= 0 && at_x < c.s.width &&
                                at_y >= 0 && at_y < c.s.height;
            neighbour[i] = inside ? in + (pixel[i] + dy * c.s.width + dx) * c.depth : nullptr;
        }
    }

    __device__ void next(float* to) {
        const int left = static_cast<int>(c.depth) - quad * 4;
        JL_UNROLL
        for (int i = 0; i < kPixels; ++i) {
            const bool inside = neighbour[i] != nullptr;
            copy(inside ? neighbour[i] + quad * 4 : in, inside ? left : 0,
                 to + row(i) * kStep + threadIdx.x % 4 * 4);
        }
        quad += 4;
        move_to(tap);
    }
};

// The sums of a warp's 32 pixels and four pairs of columns: pair 2 i + warp_column() of the tile is `i`, its halves two mma.
template <int kParts>
struct TileSums {
    static constexpr int kPairWords = pair_words(kParts);

    float sum[2][2 * kWarpPairs][4] = {};

    __device__ static int row(int m, int half) {
        return warp_row() * kWarpRows + m * 16 + half * 8 + lane_group();
    }
    __device__ static int pair(int i) { return 2 * i + warp_column(); }

    // One step of the tile's first `pairs`.
    __device__ void add(const StepShared<kParts>& step, int pairs) {
        RowParts<kParts> a;
        JL_UNROLL
        for (int i = 0; i < 4; ++i) {
            const float4 v =
                *reinterpret_cast<const float4*>(step.in + row(i / 2, i % 2) * kStep + lane_slot() * 4);
            a.set(i / 2, i % 2, v.x, v.y, v.z, v.w);
        }
        JL_UNROLL
        for (int first = 0; first < kWarpPairs; first += 2) {
            if (pair(first) >= pairs) break;
            if (pair(first + 1) < pairs)
                add_pairs<2>(a, step, first);
            else
                add_pairs<1>(a, step, first);
        }
    }

    // Two at once are eight mma that do not wait for each other.
    template <int kPairs>
    __device__ void add_pairs(const RowParts<kParts>& a, const StepShared<kParts>& step, int first) {
        ColumnParts<kParts, 2 * kPairs> b;
        JL_UNROLL
        for (int i = 0; i < kPairs * kParts; ++i) {
            const int own = i / kParts, p = i % kParts;
            const FourWords words = *reinterpret_cast<const FourWords*>(
                step.weight + pair(first + own) * kPairWords + (p * kWarp + threadIdx.x % kWarp) * 4);
            JL_UNROLL
            for (int k = 0; k < 4; ++k) b.word[own * 2 + k / 2][p][k % 2] = words.word[k];
        }
        add_products(a, b, 2 * first, sum);
    }

    // All steps of the pixels from `first` on and of the pairs from `first_pair` on.
    __device__ void add_all(const Sums& c, const float* in, const uint32_t* packed, int64_t first,
                            int64_t first_pair) {
        JL_SHARED(StepShared<kParts>, shared, [2]);
        NeighbourCopy neighbours(c, in, first);
        const int64_t left = c.pairs - first_pair, pixels = c.s.batch * c.s.height * c.s.width;
        const int pairs = left < kTilePairs ? static_cast<int>(left) : kTilePairs;
        const bool idle = first + warp_row() * kWarpRows >= pixels;
        const auto copy_step = [&](int64_t step) {
            StepShared<kParts>& to = shared[step % 2];
            neighbours.next(to.in);
            const uint32_t* from = packed + (step * c.pairs + first_pair) * kPairWords;
            for (int i = static_cast<int>(threadIdx.x) * 4; i < pairs * kPairWords; i += kBlock * 4)
                copy_async_16(to.weight + i, from + i);
        };
        if (c.steps > 0) copy_step(0);
        copy_async_commit();
        for (int64_t step = 0; step < c.steps; ++step) {
            copy_async_wait<0>();
            __syncthreads();  // the step is there for all, and the last one has been read
            if (step + 1 < c.steps) copy_step(step + 1);
            copy_async_commit();
            if (!idle) add(shared[step % 2], pairs);
        }
    }
};

}  // namespace jlatent::JL_TABLE
