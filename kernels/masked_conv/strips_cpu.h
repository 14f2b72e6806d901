// masked_conv on the CPU: blocks of rows of an image, and how a tap becomes a distance in memory.
//
// A strip is a copy of what a block's taps read. Its rows end with `side` pixels of zeros, which serve the next row's
// beginning as well: so any tap is the same distance from any pixel, and a block's pixels, those zeros among them, are one
// sequence that tiles of kTileRows divide.
#pragma once
#include <omp.h>

#include <atomic>

#include "masked_conv.h"
#include "parallel.h"
#include "product_cpu.h"

namespace jlatent::JL_TABLE {

// About so much for a block's own rows: with a panel's weights they stay in the second-level cache.
constexpr int64_t kStripBytes = 128 * 1024;

inline int64_t round_up(int64_t count, int64_t to) { return (count + to - 1) / to * to; }
template <class Value>
int64_t bytes_of(int64_t count) {
    return round_up(count * static_cast<int64_t>(sizeof(Value)), 64);
}

// The columns of a panel: two vectors of them. A gate's are the tanh's and the sigmoid's of the same outputs.
struct Panel {
    int64_t first[2], count[2];

    Panel(int64_t index, int64_t columns, bool gate) {
        const int64_t most = gate ? columns / 2 : columns;
        for (int64_t h = 0; h < 2; ++h) {
            const int64_t from = gate ? index * kLanes : index * kPanel + h * kLanes, left = most - from;
            first[h] = from + (gate ? h * most : 0);
            count[h] = left < 0 ? 0 : left < kLanes ? left : kLanes;
        }
    }
    static int64_t number(int64_t columns, bool gate) {
        return gate ? (columns / 2 + kLanes - 1) / kLanes : (columns + kPanel - 1) / kPanel;
    }
    // f(column, lane of the panel)
    template <class F>
    void for_columns(F f) const {
        for (int64_t h = 0; h < 2; ++h)
            for (int64_t l = 0; l < count[h]; ++l) f(first[h] + l, h * kLanes + l);
    }
};

struct Block {
    int64_t image, row, rows;
    int64_t pixel;      // the first one's number
    int64_t positions;  // pixels and zeros
};

// Of x, or of d_a; how values are kept there is the arithmetic's affair.
template <class Arithmetic>
struct Strips {
    using Value = typename Arithmetic::Value;

    jl_masked_conv shape;
    Taps taps;
    int64_t channels;  // of a pixel
    int64_t depth;     // values that they take here
    int64_t width;     // of a row, zeros included
    int64_t rows;      // of a block; the last one's may be fewer
    int64_t an_image;  // blocks
    bool below;        // for the gradient: taps look ahead, (dy, dx) to (-dy, -dx)

    Strips(const jl_masked_conv& s, int64_t channels_, bool below_)
        : shape(s),
          taps(taps_of(s)),
          channels(channels_),
          depth(Arithmetic::depth_of(channels_)),
          width(s.width + taps.side),
          below(below_) {
        const int64_t most = kStripBytes / (width * depth * static_cast<int64_t>(sizeof(Value)));
        an_image = most < 1 ? s.height : (s.height + most - 1) / most;
        rows = (s.height + an_image - 1) / an_image;
        an_image = (s.height + rows - 1) / rows;
    }
    int64_t blocks() const { return shape.batch * an_image; }
    // Pixels and zeros in a strip: with the last tile, and what that reads behind a block.
    int64_t length() const { return (rows + taps.above) * width + 2 * taps.side + Arithmetic::kRows; }
    int64_t bytes() const { return bytes_of<Value>(length() * depth); }

    Block block(int64_t index) const {
        const int64_t image = index / an_image, row = index % an_image * rows,
                      count = row + rows < shape.height ? rows : shape.height - row;
        return {image, row, count, (image * shape.height + row) * shape.width, count * width};
    }

    // Where a block's strip begins in x [batch, height, width, channels]: row(at, from) for each of its rows of pixels that are
    // in the image, `at` its first one's place in the strip; zeros(at, count) for all other places, in order.
    template <class Row, class Zeros>
    void for_strip(const Block& b, const float* x, Row row, Zeros zeros) const {
        const int64_t first = b.row - (below ? 0 : taps.above);
        int64_t at = taps.side;
        zeros(int64_t{0}, at);
        for (int64_t i = first; i < first + b.rows + taps.above; ++i, at += width) {
            const bool inside = i >= 0 && i < shape.height;
            if (inside) row(at, x + (b.image * shape.height + i) * shape.width * channels);
            zeros(inside ? at + shape.width : at, inside ? taps.side : width);
        }
        zeros(at, taps.side + Arithmetic::kRows);
    }

    // Fills a strip with what the block reads.
    void copy(const Block& b, const float* x, Value* strip) const {
        for_strip(
            b, x,
            [&](int64_t at, const float* from) {
                Arithmetic::copy(shape.factors, from, shape.width, channels, strip + at * depth);
            },
            [&](int64_t at, int64_t count) {
                memset(strip + at * depth, 0, static_cast<size_t>(count * depth) * sizeof(Value));
            });
    }

    // f(offset, tap, count) for every row of taps: `count` of them, in the strip side by side from `offset` on, in values
    // from a pixel's own place; in order of the taps, the other way around for the gradient.
    template <class F>
    void for_rows(F f) const {
        for (int64_t r = 0; r <= taps.above; ++r) {
            const int64_t count = r < taps.above ? taps.across() : taps.own;
            if (count == 0) continue;
            // What is added: the strip's first row is `above` rows above the block, its first pixel `side` left of it.
            const int64_t offset = below ? (taps.above - r) * width + 2 * taps.side - count + 1 : r * width;
            f(offset * depth, r * taps.across(), count);
        }
    }
};

// body(i, memory) for i in [0, count), in as many pieces of memory as there are threads, and room.
template <class Body>
void for_blocks(int64_t count, int64_t elements, char* memory, int64_t strip_bytes, int64_t room, Body body) {
    int64_t strips = omp_get_max_threads();
    if (strips > room / strip_bytes) strips = room / strip_bytes;
    if (strips > count) strips = count;
    std::atomic<int64_t> next{
        0};  // who is done takes the next one: blocks take unequal time on a busy machine
    parallel_for(strips, elements, [&](int64_t strip) {
        for (int64_t i = next++; i < count; i = next++) body(i, memory + strip * strip_bytes);
    });
}

}  // namespace jlatent::JL_TABLE
