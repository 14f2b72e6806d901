// masked_conv's weight gradient on CUDA: 128 channels of taps by 128 filters a block, summed over a part of the pixels.
//
// A step is 16 pixels deep. cp.async brings the next step's quads as they are, 8 KB of neighbours and 8 KB of d_a, while
// one is multiplied: for a warp's 32 x 64 sums 12 ld.shared of 16 bytes a lane, some 260 instructions that split, 96 mma.
// The pixels are cut into parts of which each has its own sums; they are added, in order, in the end.
#pragma once
#include "product_cuda.h"

namespace jlatent::JL_TABLE {

constexpr int kGradientSide = 128;               // channels, or filters, a block
constexpr int kPixelStride = kGradientSide + 8;  // four pixels by eight lanes meet in no bank
constexpr int kLaneColumns = 4;                  // a lane's channels, or filters, side by side
constexpr int kGroupColumns = 32;                // those of a warp: every second group of filters

// The parts of the pixels.
struct Splits {
    TapQuads quads;
    int64_t quad_tiles, filter_tiles;
    int64_t weights, floats;  // of each: [filters, quads, 4], then the bias [filters]
    int64_t count;

    explicit Splits(const jl_masked_conv& s)
        : quads(taps_of(s), s.channels),
          quad_tiles((quads.all * 4 + kGradientSide - 1) / kGradientSide),
          filter_tiles((s.filters + kGradientSide - 1) / kGradientSide),
          weights(s.filters * quads.all * 4),
          floats(weights + (s.filters + 3) / 4 * 4) {
        // Four blocks a multiprocessor, one after the other, of 256 pixels or more; 1 GB for all.
        const int64_t tiles = quad_tiles * filter_tiles;
        count = 4 * kMultiprocessors / (tiles < 1 ? 1 : tiles);
        for (const int64_t most : {(pixels_of(s) + 255) / 256, (int64_t{1} << 28) / floats})
            if (count > most) count = most;
        if (count < 1) count = 1;
    }
    __device__ int64_t start(int64_t pixels, int64_t split) const {
        return pixels / count * split + pixels % count * split / count;
    }
};

struct PixelsShared {
    alignas(16) float x[kStep * kPixelStride], d_a[kStep * kPixelStride];
};

// The four values of each of four pixels that a lane has of 32 columns: pixels t, t + 4, t + 8, t + 12.
struct LaneColumns {
    float4 pixel[4];

    __device__ LaneColumns(const float* shared, int column) {
        JL_UNROLL
        for (int k = 0; k < 4; ++k)
            pixel[k] = *reinterpret_cast<const float4*>(shared + (lane_slot() + 4 * k) * kPixelStride +
                                                        column + lane_group() * kLaneColumns);
    }
    __device__ float of(int column, int k) const {
        const float4& p = pixel[k];
        return column == 0 ? p.x : column == 1 ? p.y : column == 2 ? p.z : p.w;
    }
};

// A block's sums over the pixels [first, end): quads from `quad` on, filters from `filter` on.
template <int kParts>
struct WeightSums {
    const jl_masked_conv& s;
    const Taps& taps;
    const Splits& splits;
    int64_t quad, filter;
    float sum[2][2 * kLaneColumns][4] = {};  // of a group of filters: four mma

    // The first of a warp.
    __device__ int64_t warp_quad() const { return quad + warp_row() * (kWarpRows / 4); }
    __device__ int64_t warp_filter(int group) const {
        return filter + (2 * group + warp_column()) * kGroupColumns;
    }

    __device__ void add(const PixelsShared& step) {
        RowParts<kParts> a;
        const LaneColumns x(step.x, warp_row() * kWarpRows);
        JL_UNROLL
        for (int r = 0; r < kLaneColumns; ++r)
            a.set(r / 2, r % 2, x.of(r, 0), x.of(r, 1), x.of(r, 2), x.of(r, 3));
        JL_UNROLL
        for (int group = 0; group < 2; ++group) {
            if (warp_filter(group) >= s.filters) break;
            const LaneColumns d_a(step.d_a, (2 * group + warp_column()) * kGroupColumns);
            ColumnParts<kParts, kLaneColumns> b;
            JL_UNROLL
            for (int i = 0; i < 2 * kLaneColumns; ++i) {
                const int column = i / 2, k = i % 2 * 2;
                uint32_t part[kParts];
                split(d_a.of(column, k), d_a.of(column, k + 1), part);
                JL_UNROLL
                for (int p = 0; p < kParts; ++p) b.word[column][p][i % 2] = part[p];
            }
            add_products(a, b, group * kLaneColumns, sum);
        }
    }

    __device__ void add_all(const float* x, const float* d_a, int64_t first, int64_t end) {
        JL_SHARED(PixelsShared, shared, [2]);
        constexpr int kPixels = kStep * kWarp / kBlock;  // a thread's: one quad of each
        const int own = static_cast<int>(threadIdx.x) % kWarp, width = static_cast<int>(s.width),
                  height = static_cast<int>(s.height);
        const QuadCopy copy_x(x, s.channels), copy_d(d_a, s.filters);
        const bool any = quad + own < splits.quads.all;
        const int64_t tap = any ? (quad + own) / splits.quads.a_tap : 0,
                      channel = (quad + own) % splits.quads.a_tap * 4, own_filter = filter + own * 4;
        const int dy = static_cast<int>(taps.dy(tap)), dx = static_cast<int>(taps.dx(tap)),
                  channels = any ? static_cast<int>(s.channels - channel) : 0,
                  filters = static_cast<int>(s.filters - own_filter);
        // Of the next step's neighbours.
        int at_x[kPixels], at_y[kPixels];
        JL_UNROLL
        for (int i = 0; i < kPixels; ++i) {
            const int64_t pixel = first + pixel_of(i);
            at_x[i] = static_cast<int>(pixel % width) + dx;
            at_y[i] = static_cast<int>(pixel / width % height) + dy;
        }
        const int step_x = kStep % width, step_y = kStep / width % height;
        const auto copy_step = [&](int64_t base, int buffer) {
            const int left = end - base < kStep ? static_cast<int>(end - base) : kStep;
            JL_UNROLL
            for (int i = 0; i < kPixels; ++i) {
                const int p = pixel_of(i), to = p * kPixelStride + own * 4;
                const bool inside =
                    p < left && at_x[i] >= 0 && at_x[i] < width && at_y[i] >= 0 && at_y[i] < height;
                copy_x(inside && any ? x + (base + p + dy * s.width + dx) * s.channels + channel : x,
                       inside ? channels : 0, shared[buffer].x + to);
                copy_d(p < left && filters > 0 ? d_a + (base + p) * s.filters + own_filter : d_a,
                       p < left ? filters : 0, shared[buffer].d_a + to);
                at_x[i] += step_x;
                const bool row = at_x[i] >= width + dx;
                at_x[i] -= row ? width : 0;
                at_y[i] += step_y + (row ? 1 : 0);
                at_y[i] -= at_y[i] >= height + dy ? height : 0;
            }
        };
        copy_step(first, 0);
        copy_async_commit();
        int buffer = 0;
        for (int64_t base = first; base < end; base += kStep, buffer ^= 1) {
            copy_async_wait<0>();
            __syncthreads();  // the step is there for all, and the last one has been read
            if (base + kStep < end) copy_step(base + kStep, buffer ^ 1);
            copy_async_commit();
            if (warp_quad() < splits.quads.all) add(shared[buffer]);
        }
    }

    // to [filters, quads, 4]
    __device__ void store(float* to) const {
        const int64_t q = warp_quad() + lane_group();
        if (q >= splits.quads.all) return;
        JL_UNROLL
        for (int i = 0; i < 4 * kLaneColumns; ++i) {
            const int tile = i / 2, e = i % 2;
            const int64_t f =
                warp_filter(tile / kLaneColumns) + (2 * lane_slot() + e) * kLaneColumns + tile % kLaneColumns;
            if (f < s.filters)
                *reinterpret_cast<float4*>(to + (f * splits.quads.all + q) * 4) =
                    make_float4(sum[0][tile][e], sum[0][tile][e + 2], sum[1][tile][e], sum[1][tile][e + 2]);
        }
    }

    __device__ static int pixel_of(int i) {
        return static_cast<int>(threadIdx.x) / kWarp + i * (kBlock / kWarp);
    }
};

}  // namespace jlatent::JL_TABLE
