#include "masked_conv.h"

#include "math.h"
#include "strips_cpu.h"

namespace jlatent::JL_TABLE {
namespace {

int64_t round_up(int64_t count, int64_t to) { return (count + to - 1) / to * to; }
int64_t bytes_of(int64_t floats) { return round_up(floats * static_cast<int64_t>(sizeof(float)), 64); }

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

bool is_gate(const jl_masked_conv& s) { return s.epilogue == JL_GATE; }

// The weight of one panel of filters, or, for the gradient, of channels: [taps, depth, kPanel] in the order of the strip,
// zeros where nothing is seen.
void pack(const jl_masked_conv& s, const Strips& strips, const float* weight, const Panel& panel, float* to) {
    const Taps& taps = strips.taps;
    memset(to, 0, static_cast<size_t>(taps.count() * strips.depth * kPanel) * sizeof(float));
    strips.for_rows([&](int64_t, int64_t first, int64_t count) {
        for (int64_t k = 0; k < count; ++k, to += strips.depth * kPanel) {
            const int64_t t = first + (strips.below ? count - 1 - k : k);
            const float* from = weight + taps.weight_tap(t) * s.channels;
            const int64_t filter = taps.weight_taps() * s.channels;
            if (!strips.below) {
                panel.for_columns([&](int64_t f, int64_t lane) {
                    const int64_t seen = seen_channels(s, taps, t, f);
                    for (int64_t c = 0; c < seen; ++c) to[c * kPanel + lane] = from[f * filter + c];
                });
                continue;
            }
            for (int64_t f = 0; f < s.filters; ++f) {
                const int64_t seen = seen_channels(s, taps, t, f);
                panel.for_columns([&](int64_t c, int64_t lane) {
                    if (c < seen) to[f * kPanel + lane] = from[f * filter + c];
                });
            }
        }
    });
}

// All products of a block with a panel, then row(pixel, sums [kPanel]) for each of its pixels.
template <class Row>
void sweep(const Strips& strips, const Strips::Block& b, const float* strip, const float* packed, Row row) {
    const int64_t depth = strips.depth, across = strips.shape.width;
    int64_t pixel = b.pixels, x = 0;
    for (int64_t p = 0; p < b.positions; p += kTileRows) {
        Vector sum[kTileRows][2] = {};
        strips.for_rows([&](int64_t offset, int64_t tap, int64_t count) __attribute__((always_inline)) {
            multiply(strip + p * depth + offset, depth, 1, packed + tap * depth * kPanel, count * depth, sum);
        });
        float sums[kTileRows * kPanel];
#pragma GCC unroll 16
        for (int64_t i = 0; i < kTileRows; ++i) {
            store(sums + i * kPanel, sum[i][0]);
            store(sums + i * kPanel + kLanes, sum[i][1]);
        }
        for (int64_t i = 0; i < kTileRows && p + i < b.positions; ++i) {
            if (x < across) row(pixel++, sums + i * kPanel);
            x = x + 1 < strips.width ? x + 1 : 0;
        }
    }
}

struct Convolution {
    Strips strips;
    int64_t panels, packed_floats;  // of each panel
    bool gate;

    static Convolution forward(const jl_masked_conv& s) {
        return {s, s.channels, s.filters, is_gate(s), false};
    }
    static Convolution gradient(const jl_masked_conv& s) { return {s, s.filters, s.channels, false, true}; }

    Convolution(const jl_masked_conv& s, int64_t depth, int64_t columns_, bool gate_, bool below)
        : strips(s, depth, below),
          panels(Panel::number(columns_, gate_)),
          packed_floats(strips.taps.count() * depth * kPanel),
          gate(gate_),
          columns(columns_) {}
    int64_t packed_bytes() const { return bytes_of(panels * packed_floats); }
    int64_t strip_bytes() const { return bytes_of(strips.floats()); }
    int64_t workspace_bytes() const { return packed_bytes() + omp_get_max_threads() * strip_bytes(); }

    // row(block, panel, its columns, pixel, sums) for all.
    template <class Row>
    void run(const float* in, const float* weight, jl_workspace workspace, Row row) const {
        const jl_masked_conv& s = strips.shape;
        float* packed = workspace_floats(workspace);
        const int64_t elements = pixels_of(s) * (s.channels + s.filters);
        if (elements == 0) return;
        parallel_for(panels, panels * packed_floats, [=](int64_t p) {
            pack(s, strips, weight, Panel(p, columns, gate), packed + p * packed_floats);
        });
        char* memory = reinterpret_cast<char*>(packed) + packed_bytes();
        for_blocks(strips.blocks(), elements, memory, strip_bytes(),
                   static_cast<char*>(workspace.data) + workspace.bytes - memory,
                   [&](int64_t i, float* strip) {
                       const Strips::Block b = strips.block(i);
                       strips.copy(b, in, strip);
                       for (int64_t p = 0; p < panels; ++p)
                           row(b, strip, Panel(p, columns, gate), packed + p * packed_floats);
                   });
    }

  private:
    int64_t columns;
};

// Blocks of pixels are shared out to so many sums of the weight's gradient, which are added in the end.
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
                const float* from = d_a + (b.pixels + i) * filters + panel.first[h];
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

}  // namespace

size_t masked_conv_workspace(const jl_masked_conv* shape) {
    if (check_masked_conv("masked_conv_workspace", shape) != JL_OK) return 0;
    int64_t most = 0;
    for (const int64_t bytes :
         {Convolution::forward(*shape).workspace_bytes(), Convolution::gradient(*shape).workspace_bytes(),
          WeightSums(*shape).workspace_bytes()})
        if (bytes > most) most = bytes;
    return kWorkspaceHeader + static_cast<size_t>(most);
}

jl_status masked_conv_forward(const jl_masked_conv* shape, const float* x, const float* weight,
                              const float* bias, const float* vector, const float* map, float* out,
                              float* gates, jl_workspace workspace, jl_stream) {
    if (const jl_status status = check_masked_conv_forward(shape, x, weight, out, gates, workspace))
        return status;
    const jl_masked_conv s = *shape;
    const Convolution forward = Convolution::forward(s);
    const int64_t outputs = outputs_of(s);
    forward.run(x, weight, workspace,
                [&](const Strips::Block& b, const float* strip, const Panel& panel, const float* packed) {
                    float base[kPanel] = {};
                    panel.for_columns([&](int64_t f, int64_t lane) {
                        base[lane] = (bias == nullptr ? 0.0f : bias[f]) +
                                     (vector == nullptr ? 0.0f : vector[b.image * s.filters + f]);
                    });
                    sweep(forward.strips, b, strip, packed, [&](int64_t pixel, float* a) {
#pragma omp simd
                        for (int64_t l = 0; l < kPanel; ++l) a[l] += base[l];
                        if (map != nullptr)
                            panel.for_columns(
                                [&](int64_t f, int64_t lane) { a[lane] += map[pixel * s.filters + f]; });
                        float* to = out + pixel * outputs;
                        if (!is_gate(s)) {
                            const bool rectified = s.epilogue == JL_RECTIFIED;
                            const int64_t count = panel.count[0] + panel.count[1];
#pragma omp simd
                            for (int64_t l = 0; l < count; ++l)
                                to[panel.first[0] + l] = rectified && a[l] < 0.0f ? 0.0f : a[l];
                            return;
                        }
#pragma omp simd
                        for (int64_t l = 0; l < kLanes; ++l) {
                            a[l] = fast_tanh(a[l]);
                            a[kLanes + l] = sigmoid(a[kLanes + l]);
                        }
#pragma omp simd
                        for (int64_t l = 0; l < panel.count[0]; ++l)
                            to[panel.first[0] + l] = a[l] * a[kLanes + l];
                        if (gates != nullptr)
                            for (int64_t h = 0; h < 2; ++h)
                                memcpy(gates + pixel * s.filters + panel.first[h], a + h * kLanes,
                                       static_cast<size_t>(panel.count[h]) * sizeof(float));
                    });
                });
    return JL_OK;
}

jl_status masked_conv_backward_gate(const jl_masked_conv* shape, const float* gates, const float* d_out,
                                    float* d_a, jl_stream) {
    if (const jl_status status = check_masked_conv_backward_gate(shape, gates, d_out, d_a)) return status;
    const int64_t outputs = outputs_of(*shape), pixels = pixels_of(*shape);
    parallel_for(pixels, pixels * outputs, [=](int64_t i) {
        const float *d = d_out + i * outputs, *t = gates + i * 2 * outputs, *g = t + outputs;
        float *to_t = d_a + i * 2 * outputs, *to_g = to_t + outputs;
#pragma omp simd
        for (int64_t c = 0; c < outputs; ++c) gate_gradient(t[c], g[c], d[c], to_t + c, to_g + c);
    });
    return JL_OK;
}

jl_status masked_conv_backward_data(const jl_masked_conv* shape, const float* d_a, const float* weight,
                                    float* d_x, jl_workspace workspace, jl_stream) {
    if (const jl_status status = check_masked_conv_backward_data(shape, d_a, weight, d_x, workspace))
        return status;
    const Convolution gradient = Convolution::gradient(*shape);
    const int64_t channels = shape->channels;
    gradient.run(d_a, weight, workspace,
                 [&](const Strips::Block& b, const float* strip, const Panel& panel, const float* packed) {
                     sweep(gradient.strips, b, strip, packed, [&](int64_t pixel, const float* sums) {
                         memcpy(d_x + pixel * channels + panel.first[0], sums,
                                static_cast<size_t>(panel.count[0] + panel.count[1]) * sizeof(float));
                     });
                 });
    return JL_OK;
}

jl_status masked_conv_backward_weight(const jl_masked_conv* shape, const float* x, const float* d_a,
                                      float* d_weight, float* d_bias, jl_workspace workspace, jl_stream) {
    if (const jl_status status = check_masked_conv_backward_weight(shape, x, d_a, d_weight, workspace))
        return status;
    const jl_masked_conv s = *shape;
    const WeightSums w(s);
    const Taps taps = w.strips.taps;
    const int64_t blocks = w.strips.blocks(), elements = pixels_of(s) * (s.channels + s.filters);
    float* sums = workspace_floats(workspace);
    char* memory = reinterpret_cast<char*>(sums) + bytes_of(w.splits * w.floats());
    for_blocks(w.splits, elements, memory, w.strip_bytes(),
               static_cast<char*>(workspace.data) + workspace.bytes - memory,
               [&](int64_t split, float* strip) {
                   float* own = sums + split * w.floats();
                   memset(own, 0, static_cast<size_t>(w.floats()) * sizeof(float));
                   for (int64_t b = split * blocks / w.splits; b < (split + 1) * blocks / w.splits; ++b)
                       w.add(w.strips.block(b), x, d_a, strip, own);
               });

    const int64_t filter = taps.weight_taps() * s.channels;
    parallel_for(s.filters, s.filters * filter, [=](int64_t f) {
        memset(d_weight + f * filter, 0, static_cast<size_t>(filter) * sizeof(float));
    });
    parallel_for(w.panels * taps.count(), w.splits * w.floats(), [=](int64_t i) {
        const int64_t p = i / taps.count(), t = i % taps.count(), r = t / taps.across();
        const Panel panel(p, s.filters, false);
        float sum[kPanel];
        for (int64_t c = 0; c < s.channels; ++c) {
            w.total(sums, p, r * w.full + t % taps.across() * s.channels + c, sum);
            panel.for_columns([&](int64_t f, int64_t lane) {
                if (c < seen_channels(s, taps, t, f))
                    d_weight[f * filter + taps.weight_tap(t) * s.channels + c] = sum[lane];
            });
        }
    });
    if (d_bias != nullptr)
        for (int64_t p = 0; p < w.panels; ++p) {
            float sum[kPanel];
            w.total(sums, p, w.rows - 1, sum);
            Panel(p, s.filters, false).for_columns([&](int64_t f, int64_t lane) { d_bias[f] = sum[lane]; });
        }
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE
