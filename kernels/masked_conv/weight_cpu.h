// The gradient for masked_conv's weight on the CPU: channels of taps by filters, summed over pixels.
//
// Blocks of pixels are shared out to several sums of the weight's size, as many as the shape says; those are added in the
// end. So threads change nothing.
#pragma once
#include "arithmetic_cpu.h"

namespace jlatent::JL_TABLE {

constexpr int64_t kMostSplits = 16, kMostSplitFloats = 16 * 1024 * 1024;

// Sums [panels, rows, kPanel] of each split: a row is a channel of a tap, the last one the bias.
template <class A>
struct Splits {
    Strips<A> strips;
    int64_t panels, rows, count;

    Splits(const jl_masked_conv& s, int64_t weight_rows)
        : strips(s, s.channels, false), panels(Panel::number(s.filters, false)), rows(weight_rows + 1) {
        count = kMostSplitFloats / floats();
        count = count < 1 ? 1 : count < kMostSplits ? count : kMostSplits;
        if (count > strips.blocks()) count = strips.blocks();
    }
    int64_t floats() const { return panels * rows * kPanel; }

    // The sum of row `row` of panel p over all splits.
    void total(const float* sums, int64_t p, int64_t row, float* to) const {
        Vector sum[2] = {};
        for (int64_t i = 0; i < count; ++i)
            for (int64_t h = 0; h < 2; ++h)
                sum[h] += load(sums + i * floats() + (p * rows + row) * kPanel + h * kLanes);
        store(to, sum[0]);
        store(to + kLanes, sum[1]);
    }
};

// Channels of a row of taps lie side by side in a strip: kTileRows of them at a time.
class VectorWeightSums : public Splits<VectorArithmetic> {
  public:
    explicit VectorWeightSums(const jl_masked_conv& s) : VectorWeightSums(s, taps_of(s)) {}

    int64_t row_of(int64_t t, int64_t c) const {
        const int64_t across = strips.taps.across();
        return t / across * full_ + t % across * strips.channels + c;
    }
    int64_t memory() const { return strips.bytes() + bytes_of<float>(panel_floats()); }

    // Adds one block's part to sums.
    void add(const Block& b, const float* x, const float* d_a, char* memory, float* sums) const {
        const int64_t depth = strips.depth, width = strips.shape.width;
        float *strip = reinterpret_cast<float*>(memory),
              *packed = reinterpret_cast<float*>(memory + strips.bytes());
        strips.copy(b, x, strip);
        for (int64_t p = 0; p < panels; ++p) {
            float* of = sums + p * rows * kPanel;
            pack(b, d_a, Panel(p, strips.shape.filters, false), packed, of + (rows - 1) * kPanel);
            strips.for_rows([&](int64_t offset, int64_t tap, int64_t taps) {
                float* to = of + row_of(tap, 0) * kPanel;
                for (int64_t i = 0; i < taps * depth; i += kTileRows, to += kTileRows * kPanel) {
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

  private:
    VectorWeightSums(const jl_masked_conv& s, const Taps& taps)
        : VectorWeightSums(s, taps, round_up(taps.across() * s.channels, kTileRows)) {}
    VectorWeightSums(const jl_masked_conv& s, const Taps& taps, int64_t full)
        : Splits(s, taps.above * full + round_up(taps.own * s.channels, kTileRows)), full_(full) {}

    int64_t panel_floats() const { return strips.rows * strips.shape.width * kPanel; }

    // d_a of one panel, [pixels, kPanel], and its sums.
    void pack(const Block& b, const float* d_a, const Panel& panel, float* to, float* bias) const {
        const jl_masked_conv& s = strips.shape;
        const int64_t pixels = b.rows * s.width;
        Vector sum[2] = {load(bias), load(bias + kLanes)};
        for (int64_t i = 0; i < pixels; ++i, to += kPanel)
            for (int64_t h = 0; h < 2; ++h) {
                const float* from = d_a + (b.pixel + i) * s.filters + panel.first[h];
                float* own = to + h * kLanes;
                if (panel.count[h] == kLanes) {
                    store(own, load(from));
                } else {
                    for (int64_t l = 0; l < kLanes; ++l) own[l] = l < panel.count[h] ? from[l] : 0.0f;
                }
                sum[h] += load(own);
                if (s.factors == JL_BF16)
                    for (int64_t l = 0; l < kLanes; ++l) own[l] = rounded(JL_BF16, own[l]);
            }
        store(bias, sum[0]);
        store(bias + kLanes, sum[1]);
    }

    int64_t full_;  // a whole row of taps, in tiles
};

inline VectorWeightSums weight_sums(VectorArithmetic, const jl_masked_conv& s) { return VectorWeightSums(s); }

}  // namespace jlatent::JL_TABLE
