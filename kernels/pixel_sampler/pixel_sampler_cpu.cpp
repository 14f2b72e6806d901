// pixel_sampler on the CPU: a thread draws its images from beginning to end, so none ever waits for another.
//
// A tile of a masked_conv is up to kTileRows pixels by a panel of filters: of row steps neighbours in a row, of the others the
// same pixel of several images. Sums of a pixel have the same order in both, and in tiles of any size.
#include "pixel_sampler.h"

#include <omp.h>

#include "attend_cpu.h"
#include "elementwise/concat_elu.h"
#include "elementwise/elementwise.h"
#include "masked_conv/strips_cpu.h"
#include "program.h"

namespace jlatent::JL_TABLE {
namespace {

// The panels of a group's filters.
struct GroupPanels {
    int64_t columns, panels, outputs, a_group;
    bool gate;

    explicit GroupPanels(const jl_masked_conv& s)
        : columns(s.filters / s.groups),
          panels(Panel::number(columns, is_gated(s.epilogue))),
          outputs(outputs_of(s)),
          a_group(outputs / s.groups),
          gate(is_gated(s.epilogue)) {}
    Panel panel(int64_t g, int64_t p) const {
        Panel panel(p, columns, gate);
        panel.first[0] += g * a_group;
        panel.first[1] += g * a_group + (gate ? outputs - a_group : 0);
        return panel;
    }
};

int64_t panel_floats(const Step& step) { return step.taps.count() * step.conv.channels * kPanel; }
int64_t weight_floats(const Step& step) {
    return step.conv.groups * GroupPanels(step.conv).panels * panel_floats(step);
}

// The weight as [groups, panels, taps, channels, kPanel].
void pack(const Step& step, float* to) {
    const jl_masked_conv& s = step.conv;
    const GroupPanels of(s);
    const int64_t filter = step.taps.weight_taps() * s.channels;
    memset(to, 0, static_cast<size_t>(weight_floats(step)) * sizeof(float));
    for (int64_t g = 0; g < s.groups; ++g)
        for (int64_t p = 0; p < of.panels; ++p)
            for (int64_t t = 0; t < step.taps.count(); ++t, to += s.channels * kPanel)
                of.panel(g, p).for_columns([&](int64_t f, int64_t lane) {
                    const float* from = step.node.data + f * filter + step.taps.weight_tap(t) * s.channels;
                    const int64_t seen = seen_channels(s, step.taps, t, f);
                    for (int64_t c = 0; c < seen; ++c) to[c * kPanel + lane] = from[c];
                });
}

struct Sampler {
    jl_pixel_sampler s;
    const std::vector<Step>& steps;
    int64_t image_floats;
    const float* weights;
    float* memory;  // of all images
    const int32_t* given;
    const jl_random* random;
    int32_t* image;
    float *parameters, *margins;

    float* at(const Step& step, int64_t n, int64_t y, int64_t x) const {
        return memory + n * image_floats + step.at(s.width, y, x);
    }
    const Step& input(const Step& step) const { return steps[static_cast<size_t>(step.node.input)]; }
    int64_t pixel(int64_t n, int64_t y, int64_t x) const { return (n * s.height + y) * s.width + x; }

    // Up to kTileRows pixels of a map: pixel (y, x) of image n and those of the next images, or the row's next ones.
    struct Tile {
        int64_t n, y, x, count;
        bool along_row;
        int64_t image(int64_t i) const { return along_row ? n : n + i; }
        int64_t column(int64_t i) const { return along_row ? x + i : x; }
    };

    void finish(const Step& step, const Tile& tile, int64_t i, const Panel& panel, float* a) const {
        const jl_sampler_node& node = step.node;
        const int64_t n = tile.image(i), x = tile.column(i);
        const float* other =
            node.other < 0 ? nullptr : at(steps[static_cast<size_t>(node.other)], n, tile.y, x);
        const float* vector = node.vector == nullptr ? nullptr : node.vector + n * step.conv.filters;
        for (const float* more : {node.bias, vector, other}) {
            if (more == nullptr) continue;
            for (int64_t h = 0; h < 2; ++h) {
                float* sums = a + h * kLanes;
                const float* from = more + panel.first[h];
#pragma omp simd
                for (int64_t l = 0; l < panel.count[h]; ++l) sums[l] += from[l];
            }
        }
        float* to = at(step, n, tile.y, x) + panel.first[0];
        if (is_gated(node.function)) {
            float *t = a, *g = a + kLanes;
            const bool linear = node.function == JL_GLU;
#pragma omp simd
            for (int64_t l = 0; l < kLanes; ++l) t[l] = (linear ? t[l] : fast_tanh(t[l])) * sigmoid(g[l]);
            memcpy(to, t, static_cast<size_t>(panel.count[0]) * sizeof(float));
            return;
        }
        const bool rectified = node.function == JL_RECTIFIED;
        const int64_t count = panel.count[0] + panel.count[1];
#pragma omp simd
        for (int64_t l = 0; l < count; ++l) to[l] = rectified && a[l] < 0.0f ? 0.0f : a[l];
    }

    template <int64_t kRows>
    void convolve(const Step& step, int64_t g, const Tile& tile) const {
        if (tile.count < kRows) {
            if constexpr (kRows > 1) convolve<kRows - 1>(step, g, tile);
            return;
        }
        const Step& in = input(step);
        const Taps& taps = step.taps;
        const int64_t row = tile.along_row ? in.node.channels : image_floats, depth = step.depth(g);
        const GroupPanels of(step.conv);
        for (int64_t p = 0; p < of.panels; ++p) {
            const float* packed = weights + step.weights + (g * of.panels + p) * panel_floats(step);
            Vector sum[kRows][2] = {};
            for (int64_t r = 0, from = 0; from < depth; ++r) {
                const int64_t end = r < taps.above ? from + taps.across() * step.conv.channels : depth;
                multiply<kRows>(at(in, tile.n, tile.y - taps.above + r, tile.x - taps.side), row, 1,
                                packed + from * kPanel, end - from, sum);
                from = end;
            }
            const Panel panel = of.panel(g, p);
            for (int64_t i = 0; i < kRows; ++i) {
                float a[kPanel];
                store(a, sum[i][0]);
                store(a + kLanes, sum[i][1]);
                finish(step, tile, i, panel, a);
            }
        }
    }

    // Channels of a map of another size.
    void resize(const Step& step, const Channels& own, int64_t n, int64_t y, int64_t x, float* to) const {
        const bool up = step.node.kind == JL_NODE_UPSAMPLE;
        const float* from = at(input(step), n, up ? y / 2 : 2 * y, up ? x / 2 : 2 * x) + own.first;
        memcpy(to, from, static_cast<size_t>(own.count) * sizeof(float));
    }

    static void concat_elu(const float* from, int64_t count, float* to) {
#pragma omp simd
        for (int64_t c = 0; c < count; ++c) {
            const EluPair pair = elu_pair(from[c]);
            to[c] = pair.of_x;
            to[count + c] = pair.of_minus_x;
        }
    }

    // c, or h of c.
    void lstm(const Step& step, const Channels& own, int64_t n, int64_t y, int64_t x) const {
        const float* sums = at(input(step), n, y, x) + 4 * own.first;
        float* to = at(step, n, y, x) + own.first;
        if (step.node.kind == JL_NODE_LSTM_CELL) {
            const float* before = at(step, n, y - 1, x) + own.first;
#pragma omp simd
            for (int64_t c = 0; c < own.count; ++c)
                to[c] = lstm_c(sigmoid(sums[4 * c + 1]), before[c], sigmoid(sums[4 * c + 2]),
                               fast_tanh(sums[4 * c + 3]));
            return;
        }
        const float* cell = at(steps[static_cast<size_t>(step.node.other)], n, y, x) + own.first;
#pragma omp simd
        for (int64_t c = 0; c < own.count; ++c) to[c] = sigmoid(sums[4 * c]) * fast_tanh(cell[c]);
    }

    // All but masked_conv: channels of group g at one pixel of the map.
    void compute(const Step& step, int64_t g, int64_t n, int64_t y, int64_t x) const {
        const jl_sampler_node& node = step.node;
        const Channels own = group_channels(step, g);
        float* to = at(step, n, y, x) + own.first;
        if (node.kind == JL_NODE_PIXELS || node.kind == JL_NODE_EMBEDDING) {
            const int64_t dims = node.channels / s.channels;
            const int32_t* levels = image + pixel(n, y, x) * s.channels;
            for (int64_t c = 0; c < own.count; ++c)
                to[c] = node_value(node, dims, levels[(own.first + c) / dims], (own.first + c) % dims);
            return;
        }
        if (node.kind == JL_NODE_GIVEN) {
            memcpy(to, node.data + pixel(n, y, x) * node.channels + own.first,
                   static_cast<size_t>(own.count) * sizeof(float));
            return;
        }
        if (node.kind == JL_NODE_SUBSAMPLE || node.kind == JL_NODE_UPSAMPLE)
            return resize(step, own, n, y, x, to);
        if (node.kind == JL_NODE_CONCAT_ELU)
            return concat_elu(at(input(step), n, y, x), input(step).node.channels, to);
        if (node.kind == JL_NODE_ATTENTION)
            return attend(step, input(step), s.width, memory + n * image_floats, y, x);
        if (node.kind == JL_NODE_LSTM_CELL || node.kind == JL_NODE_LSTM_HIDDEN)
            return lstm(step, own, n, y, x);
        const float* from = at(input(step), n, y, x) + own.first;
        if (node.kind == JL_NODE_ADD) {
            const float* other = at(steps[static_cast<size_t>(node.other)], n, y, x) + own.first;
#pragma omp simd
            for (int64_t c = 0; c < own.count; ++c) to[c] = from[c] + other[c];
            return;
        }
        with_activation(node.function, [&](auto f) {
#pragma omp simd
            for (int64_t c = 0; c < own.count; ++c) to[c] = f.value(from[c]);
            return JL_OK;
        });
    }

    void run(const Step& step, int64_t g, const Tile& tile) const {
        if (step.node.kind == JL_NODE_MASKED_CONV) return convolve<kTileRows>(step, g, tile);
        for (int64_t i = 0; i < tile.count; ++i) compute(step, g, tile.image(i), tile.y, tile.column(i));
    }

    void draw(int64_t g, int64_t n, int64_t y, int64_t x) const {
        const int64_t pixel_ = pixel(n, y, x), count = s.channels / s.groups;
        const Step& last = steps.back();
        const float* of = at(last, n, y, x);
        const float margin = draw_pixel(
            s, *random, pixel_ + s.first_image * s.height * s.width, g * count, count, of, last.node.channels,
            given == nullptr ? nullptr : given + pixel_ * s.channels, image + pixel_ * s.channels);
        if (margins != nullptr)
            margins[pixel_] = g > 0 && margins[pixel_] < margin ? margins[pixel_] : margin;
        if (parameters != nullptr && g == s.groups - 1)
            memcpy(parameters + pixel_ * last.node.channels, of,
                   static_cast<size_t>(last.node.channels) * sizeof(float));
    }

    // Images [first, end), kTileRows at most.
    void sample(int64_t first, int64_t end) const {
        memset(memory + first * image_floats, 0,
               static_cast<size_t>((end - first) * image_floats) * sizeof(float));
        for (int64_t y = 0; y < s.height; ++y) {
            for (const Step& step : steps)
                for (int64_t g = 0; step.when == kRow && step.is_at(y, 0) && g < step.groups; ++g)
                    for (int64_t n = first; n < end; ++n) run_row(step, g, n, y >> step.halvings);
            for (int64_t x = 0; x < s.width; ++x) sample_pixel(first, end, y, x);
        }
    }

    // Row y of a map.
    void run_row(const Step& step, int64_t g, int64_t n, int64_t y) const {
        const int64_t width = s.width >> step.halvings;
        for (int64_t x = 0; x < width; x += kTileRows)
            run(step, g, {n, y, x, width - x < kTileRows ? width - x : kTileRows, true});
    }

    // What is known at pixel (y, x) of the image and not before; g: of which group.
    void run_pixel(When when, int64_t g, int64_t first, int64_t end, int64_t y, int64_t x) const {
        for (const Step& step : steps) {
            if (step.when != when || !step.is_at(y, x)) continue;
            const Tile tile = {first, y >> step.halvings, x >> step.halvings, end - first, false};
            if (when >= kGroup)
                run(step, g, tile);
            else
                for (int64_t own = 0; own < step.groups; ++own) run(step, own, tile);
        }
    }

    void sample_pixel(int64_t first, int64_t end, int64_t y, int64_t x) const {
        run_pixel(kPixel, 0, first, end, y, x);
        for (int64_t g = 0; g < s.groups; ++g) {
            run_pixel(kGroup, g, first, end, y, x);
            for (int64_t n = first; n < end; ++n) draw(g, n, y, x);
            run_pixel(kOwn, g, first, end, y, x);
        }
    }
};

// Two images are never a power of two apart, or one pixel of all would share a few lines of the cache.
int64_t image_stride(const Program& program) { return round_up(program.image_floats, 32) + 16; }

}  // namespace

size_t pixel_sampler_workspace(const jl_pixel_sampler* shape, const jl_sampler_node* nodes,
                               int32_t node_count) {
    Program program;
    if (program.read(shape, nodes, node_count, weight_floats) != JL_OK) return 0;
    return kWorkspaceHeader + static_cast<size_t>(bytes_of<float>(program.weight_floats) +
                                                  bytes_of<float>(shape->batch * image_stride(program)));
}

jl_status pixel_sampler(const jl_pixel_sampler* shape, const jl_sampler_node* nodes, int32_t node_count,
                        const int32_t* given, const jl_random* random, int32_t* image, float* parameters,
                        float* margins, jl_workspace workspace, jl_stream) {
    Program program;
    if (const jl_status status = program.read(shape, nodes, node_count, weight_floats)) return status;
    if (const jl_status status = check_sampler(shape, nodes, node_count, random, image, workspace))
        return status;
    const jl_pixel_sampler s = *shape;
    const int64_t values = s.batch * s.height * s.width * s.channels;
    for (int64_t i = 0; given != nullptr && i < values; ++i)
        JL_REQUIRE(given[i] < s.levels, "pixel_sampler: given[%lld] is %d, but there are %d levels",
                   static_cast<long long>(i), given[i], s.levels);
    float* weights = workspace_floats(workspace);
    for (const Step& step : program.steps)
        if (step.node.kind == JL_NODE_MASKED_CONV) pack(step, weights + step.weights);
    float* memory = weights + bytes_of<float>(program.weight_floats) / static_cast<int64_t>(sizeof(float));
    const Sampler sampler = {
        s, program.steps, image_stride(program), weights, memory, given, random, image, parameters, margins};

    // As few tiles as images fill, but one for every thread.
    const int64_t threads = omp_get_max_threads();
    int64_t tiles = round_up((s.batch + kTileRows - 1) / kTileRows, threads);
    if (tiles > s.batch) tiles = s.batch;
    parallel_for(tiles, kSerialElements,  // an image is always work enough
                 [&](int64_t i) { sampler.sample(i * s.batch / tiles, (i + 1) * s.batch / tiles); });
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE
