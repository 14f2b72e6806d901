// masked_conv on CUDA: products of f32, 64 rows by 64 columns a block, one tap after the other, without a copy of the image.
#pragma once
#include "launch.h"
#include "masked_conv.h"

namespace jlatent::JL_TABLE {

constexpr int kTileSide = 64;   // rows, and columns, a block
constexpr int kTileDepth = 16;  // of both that are in shared memory
constexpr int kTileStride = kTileSide + 1;
constexpr int kEach = 4;    // rows, and columns, a thread
constexpr int kSlots = 16;  // threads across the columns: thread (group, slot) has columns slot + 16 j

struct TileShared {
    float a[kTileDepth * kTileStride], b[kTileDepth * kTileStride];
};

__device__ inline int tile_slot() { return static_cast<int>(threadIdx.x) % kSlots; }
__device__ inline int tile_group() { return static_cast<int>(threadIdx.x) / kSlots; }

// sum += a b over [0, depth): load_a(d, to) and load_b(d, to) fill kTileDepth of it from d on, [kTileDepth, kTileStride],
// with zeros past the end.
template <class LoadA, class LoadB>
__device__ void tile_product(int64_t depth, LoadA load_a, LoadB load_b, TileShared* shared,
                             float (&sum)[kEach][kEach]) {
    const int slot = tile_slot(), group = tile_group();
    for (int64_t base = 0; base < depth; base += kTileDepth) {
        __syncthreads();  // the last tile has been read
        load_a(base, shared->a);
        load_b(base, shared->b);
        __syncthreads();
        for (int d = 0; d < kTileDepth; ++d) {
            float a[kEach], b[kEach];
            JL_UNROLL
            for (int i = 0; i < kEach; ++i) {
                a[i] = shared->a[d * kTileStride + group * kEach + i];
                b[i] = shared->b[d * kTileStride + slot + i * kSlots];
            }
            JL_UNROLL
            for (int i = 0; i < kEach; ++i) {
                JL_UNROLL
                for (int j = 0; j < kEach; ++j) sum[i][j] += a[i] * b[j];
            }
        }
    }
}

// A row of 64 pixels' neighbours: depth goes along the threads, so that each has four pixels, whatever the tap.
struct PixelRows {
    const float* in;
    jl_masked_conv s;
    int64_t depth, first;
    int64_t offset[kEach];  // of the neighbours, in pixels; -1 outside

    // Neighbours at (dy, dx) of the pixels from `first_` on.
    __device__ PixelRows(const float* in_, const jl_masked_conv& s_, int64_t depth_, int64_t first_)
        : in(in_), s(s_), depth(depth_), first(first_) {}
    __device__ void move_to(int64_t dy, int64_t dx) {
        const int64_t pixels = s.batch * s.height * s.width;
        JL_UNROLL
        for (int i = 0; i < kEach; ++i) {
            const int64_t pixel = first + tile_group() + i * kSlots;
            const int64_t x = pixel % s.width + dx, y = pixel / s.width % s.height + dy;
            const bool inside = pixel < pixels && x >= 0 && x < s.width && y >= 0 && y < s.height;
            offset[i] = inside ? pixel + dy * s.width + dx : -1;
        }
    }
    __device__ void operator()(int64_t base, float* to) const {
        const int64_t d = base + tile_slot();
        JL_UNROLL
        for (int i = 0; i < kEach; ++i)
            to[tile_slot() * kTileStride + tile_group() + i * kSlots] =
                offset[i] >= 0 && d < depth ? in[offset[i] * depth + d] : 0.0f;
    }
};

// Which filter, or for the gradient which channel, column j of a tile is; -1: none. Of a gate's tile the first half is for
// tanh, the second for sigmoid of the same outputs: both are in one thread.
struct Columns {
    int64_t count;
    bool gate;

    __device__ int64_t a_tile() const { return gate ? kTileSide / 2 : kTileSide; }
    __device__ int64_t of(int64_t tile, int j) const {
        const int64_t half = kTileSide / 2, outputs = gate ? count / 2 : count;
        const int64_t column = tile * a_tile() + (gate ? j % half : j);
        return column >= outputs ? -1 : column + (gate && j >= half ? outputs : 0);
    }
};

// One tap's weight for a tile of filters, channels below; for the gradient of channels, filters below.
template <bool kGradient>
struct WeightRows {
    const float* weight;
    jl_masked_conv s;
    Taps taps;
    Columns columns;
    int64_t tile, tap;

    __device__ void operator()(int64_t base, float* to) const {
        for (int i = static_cast<int>(threadIdx.x); i < kTileSide * kTileDepth; i += kBlock) {
            // Neighbouring threads read neighbouring channels.
            const int j = kGradient ? i % kTileSide : i / kTileDepth,
                      d = kGradient ? i / kTileSide : i % kTileDepth;
            const int64_t column = columns.of(tile, j), f = kGradient ? base + d : column,
                          c = kGradient ? column : base + d;
            const bool inside = column >= 0 && f < s.filters && c < seen_channels(s, taps, tap, f);
            to[d * kTileStride + j] =
                inside ? weight[(f * taps.weight_taps() + taps.weight_tap(tap)) * s.channels + c] : 0.0f;
        }
    }
};

// Columns of rows [pixels, columns], depth along the pixels: those of `in` at (dy, dx) from pixels [first, end).
struct PixelColumns {
    const float* in;
    jl_masked_conv s;
    int64_t columns, column;  // all, and the tile's first
    int64_t first, end, dy, dx;

    __device__ void operator()(int64_t base, float* to) const {
        const int j = static_cast<int>(threadIdx.x) % kTileSide;
        for (int d = static_cast<int>(threadIdx.x) / kTileSide; d < kTileDepth; d += kBlock / kTileSide) {
            const int64_t pixel = first + base + d;
            const int64_t x = pixel % s.width + dx, y = pixel / s.width % s.height + dy;
            const bool inside =
                pixel < end && column + j < columns && x >= 0 && x < s.width && y >= 0 && y < s.height;
            to[d * kTileStride + j] = inside ? in[(pixel + dy * s.width + dx) * columns + column + j] : 0.0f;
        }
    }
};

}  // namespace jlatent::JL_TABLE
