// The gradient for masked_conv's weight on the CPU: channels of a row of taps, side by side in a strip, by filters.
//
// Blocks of pixels are shared out to several sums of the weight's size, as many as the shape says; those are added in the
// end. So threads change nothing.
#pragma once
#include "strips_cpu.h"

namespace jlatent::JL_TABLE {

constexpr int64_t kMostSplits = 16, kMostSplitFloats = 16 * 1024 * 1024;

struct WeightSums {
    Strips strips;
    int64_t panels, full, rows;  // full: a whole row of taps, in tiles; rows: all, and the bias
    int64_t splits;

    explicit WeightSums(const jl_masked_conv& s)
        : strips(s, s.channels, false),
          panels(Panel::number(s.filters, false)),
          full(round_up(strips.taps.across() * s.channels, kTileRows)),
          rows(strips.taps.above * full + round_up(strips.taps.own * s.channels, kTileRows) + 1) {
        splits = kMostSplitFloats / floats();
        splits = splits < 1 ? 1 : splits < kMostSplits ? splits : kMostSplits;
        if (splits > strips.blocks()) splits = strips.blocks();
    }
    int64_t floats() const { return panels * rows * kPanel; }
    int64_t panel_floats() const { return strips.rows * strips.shape.width * kPanel; }
    int64_t strip_bytes() const { return bytes_of(strips.floats()) + bytes_of(panel_floats()); }
    int64_t workspace_bytes() const {
        return bytes_of(splits * floats()) + omp_get_max_threads() * strip_bytes();
    }

    // d_a of one panel, [pixels, kPanel], and its sums.
    void pack(const Strips::Block& b, const float* d_a, const Panel& panel, float* to, float* bias) const {
        const int64_t filters = strips.shape.filters, pixels = b.rows * strips.shape.width;
        Vector sum[2] = {load(bias), load(bias + kLanes)};
        for (int64_t i = 0; i < pixels; ++i, to += kPanel)
            for (int64_t h = 0; h < 2; ++h) {
                const float* from = d_a + (b.pixel + i) * filters + panel.first[h];
                if (panel.count[h] == kLanes) {
                    store(to + h * kLanes, load(from));
                } else {
                    for (int64_t l = 0; l < kLanes; ++l)
                        to[h * kLanes + l] = l < panel.count[h] ? from[l] : 0.0f;
                }
                sum[h] += load(to + h * kLanes);
            }
        store(bias, sum[0]);
        store(bias + kLanes, sum[1]);
    }

    // Adds one block's part to sums [panels, rows, kPanel].
    void add(const Strips::Block& b, const float* x, const float* d_a, float* strip, float* sums) const {
        const int64_t depth = strips.depth, width = strips.shape.width;
        float* packed = strip + bytes_of(strips.floats()) / static_cast<int64_t>(sizeof(float));
        strips.copy(b, x, strip);
        for (int64_t p = 0; p < panels; ++p) {
            float* of = sums + p * rows * kPanel;
            pack(b, d_a, Panel(p, strips.shape.filters, false), packed, of + (rows - 1) * kPanel);
            strips.for_rows([&](int64_t offset, int64_t tap, int64_t count) {
                float* to = of + tap / strips.taps.across() * full * kPanel;
                for (int64_t i = 0; i < count * depth; i += kTileRows, to += kTileRows * kPanel) {
                    Vector sum[kTileRows][2];
#pragma GCC unroll 16
                    for (int64_t j = 0; j < kTileRows; ++j) {
                        sum[j][0] = load(to + j * kPanel);
                        sum[j][1] = load(to + j * kPanel + kLanes);
                    }
                    for (int64_t y = 0; y < b.rows; ++y)
                        multiply(strip + y * strips.width * depth + offset + i, 1, depth,
                                 packed + y * width * kPanel, width, sum);
#pragma GCC unroll 16
                    for (int64_t j = 0; j < kTileRows; ++j) {
                        store(to + j * kPanel, sum[j][0]);
                        store(to + j * kPanel + kLanes, sum[j][1]);
                    }
                }
            });
        }
    }

    // The sum of row `row` of panel p over all splits.
    void total(const float* sums, int64_t p, int64_t row, float* to) const {
        Vector sum[2] = {};
        for (int64_t i = 0; i < splits; ++i)
            for (int64_t h = 0; h < 2; ++h)
                sum[h] += load(sums + i * floats() + (p * rows + row) * kPanel + h * kLanes);
        store(to, sum[0]);
        store(to + kLanes, sum[1]);
    }
};

}  // namespace jlatent::JL_TABLE
