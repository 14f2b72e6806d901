// The networks that pixel_sampler's test draws from.
#pragma once
#include "pixel_sampler_reference.h"

namespace jlatent::test {
namespace {

// PixelCNN: 7x7 A, residual blocks of 3x3 B, then 1x1.
Network raster(int64_t batch, int64_t height, int64_t width) {
    Network n(batch, height, width, 1, 2);
    int h = n.conv(n.pixels(), {JL_RASTER_A, 7, 12, JL_RECTIFIED});
    for (int i = 0; i < 2; ++i) {
        const int a = n.activation(n.conv(h, {JL_RASTER_B, 3, 20}), JL_ELU);
        h = n.sum(h, n.conv(a, {JL_RASTER_B, 1, 12, JL_RECTIFIED}));
    }
    n.conv(h, {JL_RASTER_B, 1, 1});
    return n;
}

// More values of a pixel's surroundings than a block has in shared memory at a time.
Network deep(int64_t batch, int64_t height, int64_t width) {
    Network n(batch, height, width, 1, 2);
    const int h = n.conv(n.pixels(), {JL_RASTER_A, 7, 131, JL_RECTIFIED});
    n.conv(n.conv(h, {JL_RASTER_B, 3, 70, JL_GATE}), {JL_RASTER_B, 1, 1});
    return n;
}

// Gated PixelCNN: two stacks; the horizontal one with residuals, and skips that meet before the head; conditioned.
Network gated(int64_t batch, int64_t height, int64_t width, int64_t depth, bool conditioned) {
    Network n(batch, height, width, 1, 2);
    int v = n.pixels(), h = v, skips = -1;
    const int condition = conditioned ? n.conv(n.given(3), {JL_RASTER_B, 1, 2 * depth}) : -1;
    for (int i = 0; i < 3; ++i) {
        v = n.conv(v, {i == 0 ? JL_VERTICAL_A : JL_VERTICAL_B, i == 0 ? 5 : 3, depth, JL_GATE, condition,
                       conditioned});
        const int link = n.conv(v, {JL_RASTER_B, 1, 2 * depth, JL_PLAIN, condition});
        const int gate = n.conv(h, {i == 0 ? JL_HORIZONTAL_A : JL_HORIZONTAL_B, i == 0 ? 5 : 3, depth,
                                    JL_GATE, link, conditioned});
        h = n.conv(gate, {JL_HORIZONTAL_B, 1, depth, JL_PLAIN, i == 0 ? -1 : h});
        skips = n.conv(gate, {JL_RASTER_B, 1, depth, JL_PLAIN, skips});
    }
    n.conv(n.activation(skips, JL_RELU), {JL_RASTER_B, 1, 1});
    return n;
}

// Three colours, each seeing those before it.
Network colours(int64_t batch, int64_t height, int64_t width, int32_t levels) {
    Network n(batch, height, width, 3, levels, 3);
    n.shape.distribution = JL_CATEGORICAL;
    int h = n.conv(n.pixels(), {JL_RASTER_A, 5, 15, JL_GATE, -1, false, 3});
    h = n.sum(h, n.conv(h, {JL_RASTER_B, 3, 15, JL_GATE, -1, true, 3}));
    h = n.sum(h, n.conv(n.activation(h, JL_TANH), {JL_HORIZONTAL_B, 3, 15, JL_RECTIFIED, -1, false, 3}));
    n.conv(h, {JL_RASTER_B, 1, 3 * levels, JL_PLAIN, -1, false, 3});
    return n;
}

// Gated PixelCNN of colours: the vertical stack, which has no groups, meets the horizontal one, which has.
Network coloured_stacks(int64_t batch, int64_t height, int64_t width, int32_t levels, bool embedded) {
    Network n(batch, height, width, 3, levels, 3);
    n.shape.distribution = JL_CATEGORICAL;
    int v = embedded ? n.embedding(2) : n.pixels(), h = v, skips = -1;
    for (int i = 0; i < 2; ++i) {
        v = n.conv(v, {i == 0 ? JL_VERTICAL_A : JL_VERTICAL_B, 3, 7, JL_GATE});
        const int link = n.conv(v, {JL_RASTER_B, 1, 18});
        const int gate =
            n.conv(h, {i == 0 ? JL_HORIZONTAL_A : JL_HORIZONTAL_B, 3, 9, JL_GATE, link, false, 3});
        skips = n.conv(gate, {JL_RASTER_B, 1, 12, i == 0 ? JL_PLAIN : JL_RECTIFIED, skips, false, 3});
        h = n.conv(gate, {JL_RASTER_B, 1, 9, JL_PLAIN, i == 0 ? -1 : h, false, 3});
    }
    n.conv(skips, {JL_RASTER_B, 1, 3 * levels, JL_PLAIN, -1, false, 3});
    return n;
}

// A prior over codes: rows of a table, seen with their own pixel by a kernel before mask A hides it.
Network codes(int64_t batch, int64_t height, int64_t width, int32_t levels) {
    Network n(batch, height, width, 1, levels);
    n.shape.distribution = JL_CATEGORICAL;
    const int table = n.conv(n.embedding(6), {JL_RASTER_B, 1, 10});
    const int given = n.given(10);
    int h = n.conv(table, {JL_RASTER_A, 3, 18, JL_GATE, -1, true});
    h = n.conv(n.sum(h, n.conv(given, {JL_RASTER_B, 3, 18})), {JL_RASTER_B, 3, 18, JL_RECTIFIED});
    n.conv(h, {JL_RASTER_B, 1, levels});
    return n;
}

// Gated PixelCNN whose horizontal stack attends to all pixels before; so does the vertical one, to rows above.
Network attentive(int64_t batch, int64_t height, int64_t width, int heads, int64_t dims) {
    Network n(batch, height, width, 1, 5);
    n.shape.distribution = JL_CATEGORICAL;
    const int64_t inner = heads * dims;
    const int x = n.embedding(6);
    int v = n.conv(x, {JL_VERTICAL_A, 3, 9, JL_GATE});
    v = n.conv(n.attention(n.conv(v, {JL_RASTER_B, 1, 3 * inner}), heads), {JL_RASTER_B, 1, 9, JL_PLAIN, v});
    int h = n.conv(x, {JL_HORIZONTAL_A, 3, 9, JL_GATE, n.conv(v, {JL_RASTER_B, 1, 18})});
    const int link = n.conv(v, {JL_RASTER_B, 1, 3 * inner});
    const int qkv = n.conv(h, {JL_RASTER_B, 1, 3 * inner, JL_PLAIN, link});
    h = n.conv(n.attention(qkv, heads), {JL_RASTER_B, 1, 9, JL_PLAIN, h});
    v = n.conv(v, {JL_VERTICAL_B, 3, 9, JL_GATE});
    h = n.conv(h, {JL_HORIZONTAL_B, 3, 9, JL_GATE, n.conv(v, {JL_RASTER_B, 1, 18})});
    n.conv(h, {JL_RASTER_B, 1, 5});
    return n;
}

// PixelRNN: 7x7 A, row LSTMs whose h leads to the row below, each in a residual layer; then 1x1.
Network recurrent(int64_t batch, int64_t height, int64_t width, int64_t depth) {
    Network n(batch, height, width, 1, 2);
    int x = n.conv(n.pixels(), {JL_RASTER_A, 7, 2 * depth});
    for (int i = 0; i < 2; ++i) x = n.conv(n.row_lstm(x, depth), {JL_RASTER_B, 1, 2 * depth, JL_PLAIN, x});
    n.conv(n.activation(x, JL_RELU), {JL_RASTER_B, 1, 1});
    return n;
}

// The same of three colours, each seeing those before it.
Network coloured_rows(int64_t batch, int64_t height, int64_t width, int32_t levels) {
    Network n(batch, height, width, 3, levels, 3);
    n.shape.distribution = JL_CATEGORICAL;
    int x = n.conv(n.pixels(), {JL_RASTER_A, 3, 12, JL_PLAIN, -1, false, 3});
    for (int i = 0; i < 2; ++i) x = n.conv(n.row_lstm(x, 6, 3), {JL_RASTER_B, 1, 12, JL_PLAIN, x, false, 3});
    n.conv(x, {JL_RASTER_B, 1, 3 * levels, JL_PLAIN, -1, false, 3});
    return n;
}

// PixelCNN++'s distribution: a pixel's channels together.
Network mixture(int64_t batch, int64_t height, int64_t width, int64_t channels, int32_t levels) {
    Network n(batch, height, width, channels, levels);
    n.shape.distribution = JL_LOGISTIC_MIXTURE;
    const int x = n.pixels();
    const int v = n.conv(x, {JL_VERTICAL_A, 3, 16, JL_GATE});
    const int h = n.conv(x, {JL_HORIZONTAL_A, 5, 16, JL_RECTIFIED, v});
    n.conv(h, {JL_HORIZONTAL_B, 3, 4 * (1 + 2 * channels + channels * (channels - 1) / 2)});
    return n;
}

// PixelCNN++: two stacks whose maps get smaller and larger again, with gated residual blocks and what they made on the way
// down added on the way up.
class PlusPlus {
  public:
    PlusPlus(Network& network, int64_t features, bool conditioned)
        : n(network), depth(features), vector(conditioned) {}

    void build(int scales, int64_t parameters) {
        const int x = n.pixels();
        Stacks s = {n.conv(x, {JL_VERTICAL_A, 3, depth}), 0};
        s.both = n.conv(x, {JL_HORIZONTAL_A, 3, depth, JL_PLAIN, s.above});
        std::vector<Stacks> passed = {s};
        for (int i = 1; i < 2 * scales; ++i) {  // a block, then half the size
            const bool halve = i % 2 == 0;
            s.above = halve ? halved(s.above, JL_VERTICAL_B) : block(s.above, JL_VERTICAL_B, {});
            s.both = halve ? halved(s.both, JL_RASTER_B) : block(s.both, JL_RASTER_B, {s.above});
            passed.push_back(s);
        }
        s = passed.back();
        for (size_t i = passed.size() - 1; i-- > 0;) {
            if (i % 2 == 1) {
                s.above = doubled(s.above, JL_VERTICAL_B);
                s.both = doubled(s.both, JL_RASTER_B);
            }
            s.above = block(s.above, JL_VERTICAL_B, {passed[i].above});
            s.both = block(s.both, JL_RASTER_B, {s.above, passed[i].both});
        }
        n.conv(n.concat_elu(s.both), {JL_RASTER_B, 1, parameters});
    }

  private:
    struct Stacks {
        int above, both;
    };

    int block(int x, jl_taps taps, const std::vector<int>& others) {
        int sum = -1;
        for (const int other : others)
            sum = n.conv(n.concat_elu(other), {JL_RASTER_B, 1, depth, JL_PLAIN, sum});
        const int h = n.conv(n.concat_elu(x), {taps, 3, depth, JL_PLAIN, sum});
        return n.sum(x, n.conv(n.concat_elu(h), {taps, 3, depth, JL_GLU, -1, vector}));
    }
    int halved(int x, jl_taps taps) { return n.resized(n.conv(x, {taps, 3, depth}), JL_NODE_SUBSAMPLE); }
    int doubled(int x, jl_taps taps) { return n.conv(n.resized(x, JL_NODE_UPSAMPLE), {taps, 3, depth}); }

    Network& n;
    int64_t depth;
    bool vector;
};

Network plus_plus(int64_t batch, int64_t height, int64_t width, int scales, int64_t features,
                  bool conditioned = false) {
    Network n(batch, height, width, 1, 2);
    PlusPlus(n, features, conditioned).build(scales, 1);
    return n;
}

Network coloured_plus_plus(int64_t batch, int64_t height, int64_t width, int scales, int64_t features) {
    Network n(batch, height, width, 3, 256);
    n.shape.distribution = JL_LOGISTIC_MIXTURE;
    PlusPlus(n, features, false).build(scales, 2 * (1 + 6 + 3));
    return n;
}

// Maps of one group of channels or of three, seen at every second pixel.
Network halved_colours(int64_t batch, int64_t height, int64_t width, int32_t levels) {
    Network n(batch, height, width, 3, levels, 3);
    n.shape.distribution = JL_CATEGORICAL;
    const int x = n.pixels();
    const int own = n.resized(x, JL_NODE_SUBSAMPLE);  // seen only when drawn: by A, or from other pixels
    const int above = n.resized(n.conv(own, {JL_VERTICAL_A, 3, 12}), JL_NODE_UPSAMPLE);
    const int groups = n.resized(n.conv(own, {JL_RASTER_A, 3, 12, JL_PLAIN, -1, false, 3}), JL_NODE_UPSAMPLE);
    const int h = n.conv(x, {JL_RASTER_A, 3, 12, JL_PLAIN, above, false, 3});
    n.conv(n.sum(h, groups), {JL_RASTER_B, 1, 3 * levels, JL_PLAIN, -1, false, 3});
    return n;
}

}  // namespace
}  // namespace jlatent::test
