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

// About so many of a block's own rows: with a panel's weights they stay in the second-level cache.
constexpr int64_t kStripFloats = 32 * 1024;

inline int64_t round_up(int64_t count, int64_t to) { return (count + to - 1) / to * to; }
inline int64_t bytes_of(int64_t floats) { return round_up(floats * static_cast<int64_t>(sizeof(float)), 64); }

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

struct Strips {
    jl_masked_conv shape;
    Taps taps;
    int64_t depth;     // values a pixel
    int64_t width;     // of a row, zeros included
    int64_t rows;      // of a block; the last one's may be fewer
    int64_t an_image;  // blocks
    bool below;        // for the gradient: taps look ahead, (dy, dx) to (-dy, -dx)

    Strips(const jl_masked_conv& s, int64_t depth_, bool below_)
        : shape(s), taps(taps_of(s)), depth(depth_), width(s.width + taps.side), below(below_) {
        const int64_t most = kStripFloats / (width * depth);
        an_image = most < 1 ? s.height : (s.height + most - 1) / most;
        rows = (s.height + an_image - 1) / an_image;
        an_image = (s.height + rows - 1) / rows;
    }
    int64_t blocks() const { return shape.batch * an_image; }
    // The last tile, and the zeros that it reads behind a block.
    int64_t floats() const { return ((rows + taps.above) * width + 2 * taps.side + kTileRows) * depth; }

    struct Block {
        int64_t image, row, rows;
        int64_t pixel;      // the first one's number
        int64_t positions;  // pixels and zeros
    };
    Block block(int64_t index) const {
        const int64_t image = index / an_image, row = index % an_image * rows,
                      count = row + rows < shape.height ? rows : shape.height - row;
        return {image, row, count, (image * shape.height + row) * shape.width, count * width};
    }

    // Fills a strip with what the block reads of x [batch, height, width, depth].
    void copy(const Block& b, const float* x, float* strip) const {
        const int64_t row = shape.width * depth, zeros = taps.side * depth;
        const auto clear = [&](int64_t count) {
            memset(strip, 0, static_cast<size_t>(count) * sizeof(float));
            strip += count;
        };
        clear(zeros);
        const int64_t first = b.row - (below ? 0 : taps.above);
        for (int64_t i = first; i < first + b.rows + taps.above; ++i) {
            if (i < 0 || i >= shape.height) {
                clear(row + zeros);
                continue;
            }
            memcpy(strip, x + (b.image * shape.height + i) * row, static_cast<size_t>(row) * sizeof(float));
            strip += row;
            clear(zeros);
        }
        clear(zeros + kTileRows * depth);
    }

    // f(offset, tap, count) for every row of taps: `count` of them, in the strip side by side from `offset` on, in floats
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

// body(i, strip of memory) for i in [0, count), in as many strips of memory as there are threads, and room.
template <class Body>
void for_blocks(int64_t count, int64_t elements, char* memory, int64_t strip_bytes, int64_t room, Body body) {
    int64_t strips = omp_get_max_threads();
    if (strips > room / strip_bytes) strips = room / strip_bytes;
    if (strips > count) strips = count;
    std::atomic<int64_t> next{
        0};  // who is done takes the next one: blocks take unequal time on a busy machine
    parallel_for(strips, elements, [&](int64_t strip) {
        for (int64_t i = next++; i < count; i = next++)
            body(i, reinterpret_cast<float*>(memory + strip * strip_bytes));
    });
}

}  // namespace jlatent::JL_TABLE
