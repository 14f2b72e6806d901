#include "masked_conv.h"

#include "math.h"
#include "strips_cpu.h"
#include "weight_cpu.h"

namespace jlatent::JL_TABLE {
namespace {

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
    int64_t pixel = b.pixel, x = 0;
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
        return {s, s.channels, s.filters, is_gated(s.epilogue), false};
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

    // panel(block, its columns, f) for all: f(row) gives row(pixel, sums) each of its pixels.
    template <class OfPanel>
    void run(const float* in, const float* weight, jl_workspace workspace, OfPanel panel) const {
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
                           panel(b, Panel(p, columns, gate),
                                 [&](auto row) { sweep(strips, b, strip, packed + p * packed_floats, row); });
                   });
    }

  private:
    int64_t columns;
};

// What is added to a sum and becomes of it, for the columns of a panel.
struct Epilogue {
    jl_masked_conv s;
    const float *bias, *vector, *map;
    float *out, *gates;

    // What all pixels of an image have in common.
    void start(int64_t image, const Panel& p, float* base) const {
        for (int64_t l = 0; l < kPanel; ++l) base[l] = 0.0f;
        p.for_columns([&](int64_t f, int64_t lane) {
            if (bias != nullptr) base[lane] += bias[f];
            if (vector != nullptr) base[lane] += vector[image * s.filters + f];
        });
    }
    void finish(int64_t pixel, const Panel& p, const float* base, float* a) const {
#pragma omp simd
        for (int64_t l = 0; l < kPanel; ++l) a[l] += base[l];
        if (map != nullptr)
            p.for_columns([&](int64_t f, int64_t lane) { a[lane] += map[pixel * s.filters + f]; });
        float* to = out + pixel * outputs_of(s) + p.first[0];
        if (!is_gated(s.epilogue)) {
            const bool rectified = s.epilogue == JL_RECTIFIED;
            const int64_t count = p.count[0] + p.count[1];
#pragma omp simd
            for (int64_t l = 0; l < count; ++l) to[l] = rectified && a[l] < 0.0f ? 0.0f : a[l];
            return;
        }
        float *t = a, *g = a + kLanes;
        const bool linear = s.epilogue == JL_GLU;
#pragma omp simd
        for (int64_t l = 0; l < kLanes; ++l) t[l] = linear ? t[l] : fast_tanh(t[l]), g[l] = sigmoid(g[l]);
        const int64_t count = p.count[0];
#pragma omp simd
        for (int64_t l = 0; l < count; ++l) to[l] = t[l] * g[l];
        if (gates == nullptr) return;
        float* kept = gates + pixel * s.filters;
        memcpy(kept + p.first[0], t, static_cast<size_t>(count) * sizeof(float));
        memcpy(kept + p.first[1], g, static_cast<size_t>(count) * sizeof(float));
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
    const Epilogue epilogue = {*shape, bias, vector, map, out, gates};
    const auto panel = [&](const Strips::Block& b, const Panel& p, const auto& sweep) {
        float base[kPanel];
        epilogue.start(b.image, p, base);
        sweep([&](int64_t pixel, float* a) { epilogue.finish(pixel, p, base, a); });
    };
    Convolution::forward(*shape).run(x, weight, workspace, panel);
    return JL_OK;
}

jl_status masked_conv_backward_gate(const jl_masked_conv* shape, const float* gates, const float* d_out,
                                    float* d_a, jl_stream) {
    if (const jl_status status = check_masked_conv_backward_gate(shape, gates, d_out, d_a)) return status;
    const int64_t outputs = outputs_of(*shape), pixels = pixels_of(*shape);
    const bool linear = shape->epilogue == JL_GLU;
    parallel_for(pixels, pixels * outputs, [=](int64_t i) {
        const float *d = d_out + i * outputs, *t = gates + i * 2 * outputs, *g = t + outputs;
        float *to_t = d_a + i * 2 * outputs, *to_g = to_t + outputs;
#pragma omp simd
        for (int64_t c = 0; c < outputs; ++c) gate_gradient(linear, t[c], g[c], d[c], to_t + c, to_g + c);
    });
    return JL_OK;
}

jl_status masked_conv_backward_data(const jl_masked_conv* shape, const float* d_a, const float* weight,
                                    float* d_x, jl_workspace workspace, jl_stream) {
    if (const jl_status status = check_masked_conv_backward_data(shape, d_a, weight, d_x, workspace))
        return status;
    const int64_t channels = shape->channels;
    const auto panel = [=](const Strips::Block&, const Panel& p, const auto& sweep) {
        sweep([=](int64_t pixel, const float* sums) {
            memcpy(d_x + pixel * channels + p.first[0], sums,
                   static_cast<size_t>(p.count[0] + p.count[1]) * sizeof(float));
        });
    };
    Convolution::gradient(*shape).run(d_a, weight, workspace, panel);
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
