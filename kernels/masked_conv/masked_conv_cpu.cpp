#include "masked_conv.h"

#include "arithmetic_cpu.h"
#include "math.h"
#include "weight_amx.h"
#include "weight_cpu.h"

namespace jlatent::JL_TABLE {
namespace {

// The weight of one panel of filters, or, for the gradient, of channels: for each tap, in the order of the strip, depth kPanel
// values, zeros where nothing is seen.
template <class A>
void pack(const Strips<A>& strips, const float* weight, const Panel& panel, typename A::Value* to) {
    const jl_masked_conv& s = strips.shape;
    const Taps& taps = strips.taps;
    memset(to, 0, static_cast<size_t>(taps.count() * strips.depth * kPanel) * sizeof *to);
    strips.for_rows([&](int64_t, int64_t first, int64_t count) {
        for (int64_t k = 0; k < count; ++k, to += strips.depth * kPanel) {
            const int64_t t = first + (strips.below ? count - 1 - k : k);
            const float* from = weight + taps.weight_tap(t) * s.channels;
            const int64_t filter = taps.weight_taps() * s.channels;
            if (!strips.below) {
                panel.for_columns([&](int64_t f, int64_t lane) {
                    const int64_t seen = seen_channels(s, taps, t, f);
                    for (int64_t c = 0; c < seen; ++c)
                        to[A::place(c, lane)] = A::value(s.factors, from[f * filter + c]);
                });
                continue;
            }
            for (int64_t f = 0; f < s.filters; ++f) {
                const int64_t seen = seen_channels(s, taps, t, f);
                panel.for_columns([&](int64_t c, int64_t lane) {
                    if (c < seen) to[A::place(f, lane)] = A::value(s.factors, from[f * filter + c]);
                });
            }
        }
    });
}

// All products of a block with a panel, then row(pixel, sums [kPanel]) for each of its pixels.
template <class A, class Row>
void sweep(const Strips<A>& strips, const Block& b, const typename A::Value* strip,
           const typename A::Value* packed, Row row) {
    const int64_t across = strips.shape.width;
    int64_t pixel = b.pixel, x = 0;
    for (int64_t p = 0; p < b.positions; p += A::kRows) {
        alignas(64) float sums[A::kRows * kPanel];
        A::sums(strips, strip + p * strips.depth, packed, sums);
        for (int64_t i = 0; i < A::kRows && p + i < b.positions; ++i) {
            if (x < across) row(pixel++, sums + i * kPanel);
            x = x + 1 < strips.width ? x + 1 : 0;
        }
    }
}

template <class A>
struct Convolution {
    using Value = typename A::Value;

    Strips<A> strips;
    int64_t panels, packed_values;  // of each panel
    bool gate;

    Convolution(const jl_masked_conv& s, bool gradient)
        : strips(s, gradient ? s.filters : s.channels, gradient),
          gate(!gradient && is_gated(s.epilogue)),
          columns(gradient ? s.channels : s.filters) {
        panels = Panel::number(columns, gate);
        packed_values = strips.taps.count() * strips.depth * kPanel;
    }
    int64_t packed_bytes() const { return bytes_of<Value>(panels * packed_values); }
    int64_t workspace_bytes() const { return packed_bytes() + omp_get_max_threads() * strips.bytes(); }

    // panel(block, its columns, f) for all: f(row) gives row(pixel, sums) each of its pixels.
    template <class OfPanel>
    void run(const float* in, const float* weight, jl_workspace workspace, OfPanel panel) const {
        const jl_masked_conv& s = strips.shape;
        char* memory = reinterpret_cast<char*>(workspace_floats(workspace));
        Value* packed = reinterpret_cast<Value*>(memory);
        memory += packed_bytes();
        const int64_t elements = pixels_of(s) * (s.channels + s.filters);
        if (elements == 0) return;
        parallel_for(panels, panels * packed_values, [=](int64_t p) {
            pack(strips, weight, Panel(p, columns, gate), packed + p * packed_values);
        });
        for_blocks(strips.blocks(), elements, memory, strips.bytes(),
                   static_cast<char*>(workspace.data) + workspace.bytes - memory, [&](int64_t i, char* own) {
                       const Block b = strips.block(i);
                       Value* strip = reinterpret_cast<Value*>(own);
                       strips.copy(b, in, strip);
                       [[maybe_unused]] const typename A::Session session;
                       for (int64_t p = 0; p < panels; ++p)
                           panel(b, Panel(p, columns, gate),
                                 [&](auto row) { sweep(strips, b, strip, packed + p * packed_values, row); });
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

// f(sums) with those of the weight's gradient.
template <class F>
auto with_weight_sums(const jl_masked_conv& s, F f) {
    return with_arithmetic(s, s.channels, [&](auto a) { return f(weight_sums(a, s)); });
}

template <class Sums>
int64_t workspace_bytes(const Sums& w) {
    return bytes_of<float>(w.count * w.floats()) + omp_get_max_threads() * w.memory();
}

template <class Sums>
void weight_gradient(const Sums& w, const float* x, const float* d_a, float* d_weight, float* d_bias,
                     jl_workspace workspace) {
    const jl_masked_conv& s = w.strips.shape;
    const Taps& taps = w.strips.taps;
    const int64_t blocks = w.strips.blocks(), elements = pixels_of(s) * (s.channels + s.filters);
    float* sums = workspace_floats(workspace);
    char* memory = reinterpret_cast<char*>(sums) + bytes_of<float>(w.count * w.floats());
    for_blocks(w.count, elements, memory, w.memory(),
               static_cast<char*>(workspace.data) + workspace.bytes - memory, [&](int64_t split, char* own) {
                   float* to = sums + split * w.floats();
                   memset(to, 0, static_cast<size_t>(w.floats()) * sizeof(float));
                   for (int64_t b = split * blocks / w.count; b < (split + 1) * blocks / w.count; ++b)
                       w.add(w.strips.block(b), x, d_a, own, to);
               });

    const int64_t filter = taps.weight_taps() * s.channels;
    parallel_for(s.filters, s.filters * filter, [=](int64_t f) {
        memset(d_weight + f * filter, 0, static_cast<size_t>(filter) * sizeof(float));
    });
    parallel_for(w.panels * taps.count(), w.count * w.floats(), [=, &w, &s, &taps](int64_t i) {
        const int64_t p = i / taps.count(), t = i % taps.count();
        const Panel panel(p, s.filters, false);
        float sum[kPanel];
        for (int64_t c = 0; c < s.channels; ++c) {
            w.total(sums, p, w.row_of(t, c), sum);
            panel.for_columns([&](int64_t f, int64_t lane) {
                if (c < seen_channels(s, taps, t, f))
                    d_weight[f * filter + taps.weight_tap(t) * s.channels + c] = sum[lane];
            });
        }
    });
    if (d_bias == nullptr) return;
    for (int64_t p = 0; p < w.panels; ++p) {
        float sum[kPanel];
        w.total(sums, p, w.rows - 1, sum);
        Panel(p, s.filters, false).for_columns([&](int64_t f, int64_t lane) { d_bias[f] = sum[lane]; });
    }
}

}  // namespace

size_t masked_conv_workspace(const jl_masked_conv* shape) {
    if (check_masked_conv("masked_conv_workspace", shape) != JL_OK) return 0;
    const jl_masked_conv& s = *shape;
    int64_t most = with_weight_sums(s, [](const auto& w) { return workspace_bytes(w); });
    for (const bool gradient : {false, true}) {
        const int64_t bytes = with_arithmetic(s, gradient ? s.filters : s.channels, [&](auto a) {
            return Convolution<decltype(a)>(s, gradient).workspace_bytes();
        });
        if (bytes > most) most = bytes;
    }
    return kWorkspaceHeader + static_cast<size_t>(most);
}

jl_status masked_conv_forward(const jl_masked_conv* shape, const float* x, const float* weight,
                              const float* bias, const float* vector, const float* map, float* out,
                              float* gates, jl_workspace workspace, jl_stream) {
    if (const jl_status status = check_masked_conv_forward(shape, x, weight, out, gates, workspace))
        return status;
    const Epilogue epilogue = {*shape, bias, vector, map, out, gates};
    const auto panel = [&](const Block& b, const Panel& p, const auto& sweep) {
        float base[kPanel];
        epilogue.start(b.image, p, base);
        sweep([&](int64_t pixel, float* a) { epilogue.finish(pixel, p, base, a); });
    };
    with_arithmetic(*shape, shape->channels, [&](auto a) {
        Convolution<decltype(a)>(*shape, false).run(x, weight, workspace, panel);
    });
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
    const auto panel = [=](const Block&, const Panel& p, const auto& sweep) {
        sweep([=](int64_t pixel, const float* sums) {
            memcpy(d_x + pixel * channels + p.first[0], sums,
                   static_cast<size_t>(p.count[0] + p.count[1]) * sizeof(float));
        });
    };
    with_arithmetic(*shape, shape->filters, [&](auto a) {
        Convolution<decltype(a)>(*shape, true).run(d_a, weight, workspace, panel);
    });
    return JL_OK;
}

jl_status masked_conv_backward_weight(const jl_masked_conv* shape, const float* x, const float* d_a,
                                      float* d_weight, float* d_bias, jl_workspace workspace, jl_stream) {
    if (const jl_status status = check_masked_conv_backward_weight(shape, x, d_a, d_weight, workspace))
        return status;
    with_weight_sums(*shape, [&](const auto& w) { weight_gradient(w, x, d_a, d_weight, d_bias, workspace); });
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE
