// pixel_sampler: a program of nodes, checked, with the time at which each is computed and the place of what it keeps.
//
// An image keeps of every map as many rows as its readers look up, in turns: row y is number y % rows. A row has zeros on both
// sides, as far as its readers look, and the rows above the image are zeros as well: so every tap reads something, and
// neighbouring taps of a row are one sequence [taps, channels]. Of a map whose sides are halved, rows and columns count its own
// pixels.
#pragma once
#include <vector>

#include "causal_attention/causal_attention.h"
#include "elementwise/elementwise.h"
#include "lstm_cell/lstm_cell.h"
#include "masked_conv/masked_conv.h"
#include "pixel_draw.h"
#include "pixel_sampler.h"

namespace jlatent::JL_TABLE {

// When a node's map is known at a pixel: from the rows above; from the pixels before; for its group g, from channels of groups
// below g; or only with those of group g itself.
enum When : int32_t { kRow, kPixel, kGroup, kOwn };

struct Step {
    jl_sampler_node node;
    jl_masked_conv conv;  // a masked_conv's shape, for one image; else only filters, and 1 group
    Taps taps;
    When when;
    int32_t halvings;   // of the image's sides
    int32_t groups;     // that are computed one by one
    int64_t map;        // where an image's memory has it, in floats
    int64_t side;       // zeros, in pixels
    int64_t rows;       // kept
    int64_t weights;    // where they are among all weights, in floats
    int32_t waits_for;  // the last node it reads that is computed at the same time; -1: none

    // Whether it has a pixel that begins at the image's (y, x).
    JL_HOST_DEVICE bool is_at(int64_t y, int64_t x) const {
        return ((y | x) & ((int64_t{1} << halvings) - 1)) == 0;
    }
    // width: the image's.
    JL_HOST_DEVICE int64_t row_floats(int64_t width) const {
        return ((width >> halvings) + 2 * side) * node.channels;
    }
    // The map's pixel (y, x), which may lie outside.
    JL_HOST_DEVICE int64_t at(int64_t width, int64_t y, int64_t x) const {
        return map + (y + rows) % rows * row_floats(width) + (side + x) * node.channels;
    }
    // Values that filters of group g see, in the order of the taps: what is hidden of the pixel itself comes last.
    JL_HOST_DEVICE int64_t depth(int64_t g) const {
        const int64_t all = taps.count() * conv.channels;
        if (conv.taps == JL_VERTICAL_A || conv.taps == JL_VERTICAL_B || !has_centre(conv)) return all;
        return all - conv.channels + centre_channels(conv, g * (node.channels / conv.groups));
    }
};

struct Program {
    std::vector<Step> steps;
    int64_t image_floats = 0, weight_floats = 0;

    // Reads the nodes; an_order(step) are the floats that its weights take.
    template <class WeightFloats>
    jl_status read(const jl_pixel_sampler* shape, const jl_sampler_node* nodes, int32_t count,
                   WeightFloats weight_floats_of);

  private:
    jl_status read_node(const jl_pixel_sampler& s, int32_t i, Step* step);
    jl_status read_conv(const jl_pixel_sampler& s, int32_t i, Step* step);
    jl_status read_resized(const jl_pixel_sampler& s, int32_t i, Step* step);
    jl_status read_concat_elu(const jl_pixel_sampler& s, int32_t i, Step* step);
    jl_status read_attention(int32_t i, Step* step);
    jl_status read_lstm(const jl_pixel_sampler& s, int32_t i, Step* step);
    jl_status check_parameters(const jl_pixel_sampler& s) const;
};

// Whether a node reads rows above the pixel's only. These are complete whenever it is computed: so it may read any node, also
// one after it that comes from it, which is how a row LSTM's state leads to the row below.
inline bool sees_rows_above(const jl_sampler_node& n) {
    return n.kind == JL_NODE_MASKED_CONV && n.taps == JL_VERTICAL_A;
}

// What a step's own channels, or those of group g, are in its map.
struct Channels {
    int64_t first, count;
};
JL_HOST_DEVICE Channels group_channels(const Step& step, int64_t g) {
    const int64_t count = step.node.channels / step.groups;
    return {g * count, count};
}

// Value d of `dims` that a pixels or embedding node has for a level.
JL_HOST_DEVICE float node_value(const jl_sampler_node& node, int64_t dims, int32_t level, int64_t d) {
    if (level < 0) return float_of_bits(0x7fc00000u);
    return node.kind == JL_NODE_PIXELS ? node.scale * static_cast<float>(level) + node.offset
                                       : node.data[level * dims + d];
}

JL_HOST_DEVICE float activated(int32_t function, float x) {
    switch (function) {
        case JL_RELU:
            return Relu::value(x);
        case JL_TANH:
            return Tanh::value(x);
        case JL_SIGMOID:
            return Sigmoid::value(x);
        case JL_SOFTPLUS:
            return Softplus::value(x);
        case JL_ELU:
            return Elu::value(x);
        case JL_SILU:
            return Silu::value(x);
        case JL_GELU:
            return Gelu::value(x);
        default:
            return x;
    }
}

namespace program_detail {

inline long long number(int64_t value) { return static_cast<long long>(value); }

inline jl_status check_shape(const jl_pixel_sampler* shape, const jl_sampler_node* nodes, int32_t count) {
    JL_REQUIRE(shape != nullptr && nodes != nullptr, "pixel_sampler: shape and nodes must not be null");
    const jl_pixel_sampler& s = *shape;
    JL_REQUIRE(s.batch >= 0 && s.height >= 1 && s.width >= 1 && s.channels >= 1,
               "pixel_sampler: batch >= 0 and height, width and channels >= 1 are needed, got %lld, %lld, "
               "%lld and %lld",
               number(s.batch), number(s.height), number(s.width), number(s.channels));
    JL_REQUIRE(count >= 1, "pixel_sampler: a program needs nodes, got %d", count);
    JL_REQUIRE(s.levels >= 2, "pixel_sampler: levels must be at least 2, got %d", s.levels);
    JL_REQUIRE(s.groups >= 1 && s.channels % s.groups == 0,
               "pixel_sampler: groups must divide channels, got %d groups and %lld channels", s.groups,
               number(s.channels));
    JL_REQUIRE(s.top_k >= 0 && s.top_k <= s.levels, "pixel_sampler: top_k must be from 0 to %d, got %d",
               s.levels, s.top_k);
    JL_REQUIRE(s.temperature > 0.0f && s.temperature < INFINITY,
               "pixel_sampler: temperature must be positive and finite, got %g",
               static_cast<double>(s.temperature));
    JL_REQUIRE(
        s.first_image >= 0 && s.first_image <= kMostElements && s.batch <= kMostElements &&
            fits({s.first_image + s.batch, s.height, s.width, s.channels}) &&
            (s.first_image + s.batch) * s.height * s.width * s.channels <= 4 * kPhiloxBlocks,
        "pixel_sampler: images up to 2^34 values are possible, got %lld from number %lld on, of %lld x "
        "%lld x %lld",
        number(s.batch), number(s.first_image), number(s.height), number(s.width), number(s.channels));
    return JL_OK;
}

}  // namespace program_detail

inline jl_status Program::read_conv(const jl_pixel_sampler& s, int32_t i, Step* step) {
    const jl_sampler_node& n = step->node;
    const Step& in = steps[static_cast<size_t>(n.input)];
    char name[48];
    snprintf(name, sizeof name, "pixel_sampler: node %d, masked_conv", i);
    JL_REQUIRE(n.function >= JL_PLAIN && n.function <= JL_GLU, "%s: function must be from 0 to 3, got %d",
               name, n.function);
    const int64_t filters = is_gated(n.function) ? 2 * n.channels : n.channels;
    const int64_t height = s.height >> in.halvings, width = s.width >> in.halvings;
    step->conv = {1,        height,   width,  in.node.channels, filters,
                  n.kernel, n.groups, n.taps, n.function,       JL_F32};
    if (const jl_status status = check_masked_conv(name, &step->conv)) return status;
    JL_REQUIRE(n.data != nullptr, "%s: the weight is null", name);
    step->taps = taps_of(step->conv);

    if (n.taps == JL_VERTICAL_A) {
        step->when = kRow;
    } else if (n.taps == JL_VERTICAL_B) {
        JL_REQUIRE(in.when == kRow,
                   "%s: vertical taps B see all of a row, but node %d is not known before the row is drawn; "
                   "a vertical stack begins with A",
                   name, n.input);
        step->when = kRow;
    } else if (in.when <= kPixel) {
        step->when = in.when;
    } else if (!has_centre(step->conv)) {
        step->when = kPixel;
    } else {
        JL_REQUIRE(n.groups == s.groups, "%s: the image has %d groups, so it must have as many, got %d", name,
                   s.groups, n.groups);
        step->when = includes_own_group(step->conv) ? in.when : kGroup;
    }
    if (n.other < 0) return JL_OK;
    const Step& map = steps[static_cast<size_t>(n.other)];
    JL_REQUIRE(map.node.channels == filters,
               "%s: node %d has %lld channels, but what is added to the sums must have %lld", name, n.other,
               program_detail::number(map.node.channels), program_detail::number(filters));
    if (map.when > step->when) step->when = map.when;
    JL_REQUIRE(step->when <= kPixel || n.groups == s.groups,
               "%s: the image has %d groups, so it must have as many, got %d", name, s.groups, n.groups);
    return JL_OK;
}

// Every second pixel, or every pixel four times.
inline jl_status Program::read_resized(const jl_pixel_sampler& s, int32_t i, Step* step) {
    using program_detail::number;
    const jl_sampler_node& n = step->node;
    const Step& in = steps[static_cast<size_t>(n.input)];
    const bool up = n.kind == JL_NODE_UPSAMPLE;
    const char* name = up ? "upsample" : "subsample";
    JL_REQUIRE(n.channels == in.node.channels,
               "pixel_sampler: node %d, %s, has %lld channels, node %d has %lld", i, name, number(n.channels),
               n.input, number(in.node.channels));
    const int64_t height = s.height >> in.halvings, width = s.width >> in.halvings;
    JL_REQUIRE(up || (height % 2 == 0 && width % 2 == 0),
               "pixel_sampler: node %d, subsample, halves sides that are even, node %d is %lld x %lld", i,
               n.input, number(height), number(width));
    JL_REQUIRE(!up || in.halvings > 0, "pixel_sampler: node %d, upsample: node %d is as large as the image",
               i, n.input);
    step->halvings = in.halvings + (up ? -1 : 1);
    step->when = in.when;
    return JL_OK;
}

inline jl_status Program::read_concat_elu(const jl_pixel_sampler& s, int32_t i, Step* step) {
    using program_detail::number;
    const jl_sampler_node& n = step->node;
    const Step& in = steps[static_cast<size_t>(n.input)];
    JL_REQUIRE(n.channels == 2 * in.node.channels,
               "pixel_sampler: node %d, concat_elu, has %lld channels, node %d has %lld, not half as many", i,
               number(n.channels), n.input, number(in.node.channels));
    JL_REQUIRE(in.when <= kPixel || s.groups == 1,
               "pixel_sampler: node %d, concat_elu, has one group of channels, the image has %d", i,
               s.groups);
    step->when = in.when;
    return JL_OK;
}

// Whatever sees only pixels before its own, or rows above it, may be attended to up to the pixel itself.
inline jl_status Program::read_attention(int32_t i, Step* step) {
    using program_detail::number;
    const jl_sampler_node& n = step->node;
    const Step& in = steps[static_cast<size_t>(n.input)];
    const int64_t heads = n.groups, dims = heads < 1 ? 0 : n.channels / heads;
    JL_REQUIRE(
        heads >= 1 && n.channels % heads == 0 && dims <= kMostHeadDims,
        "pixel_sampler: node %d, attention, must have heads of up to %lld channels, got %lld heads and "
        "%lld channels",
        i, number(kMostHeadDims), number(heads), number(n.channels));
    JL_REQUIRE(
        in.node.channels == 3 * n.channels,
        "pixel_sampler: node %d, attention, has %lld channels, so node %d must have three times as many, "
        "got %lld",
        i, number(n.channels), n.input, number(in.node.channels));
    JL_REQUIRE(in.halvings == 0, "pixel_sampler: node %d, attention, needs a map of the image's size", i);
    JL_REQUIRE(in.when <= kPixel,
               "pixel_sampler: node %d, attention, sees whole pixels, but node %d depends on channels of the "
               "pixel itself",
               i, n.input);
    step->when = in.when;
    return JL_OK;
}

// c and h of lstm_cell.h, whose sums are `input`.
inline jl_status Program::read_lstm(const jl_pixel_sampler& s, int32_t i, Step* step) {
    using program_detail::number;
    const jl_sampler_node& n = step->node;
    const Step& sums = steps[static_cast<size_t>(n.input)];
    const bool cell = n.kind == JL_NODE_LSTM_CELL;
    const char* name = cell ? "lstm_cell" : "lstm_hidden";
    JL_REQUIRE(sums.node.channels == 4 * n.channels,
               "pixel_sampler: node %d, %s, has %lld channels, of which each has four sums: node %d has %lld",
               i, name, number(n.channels), n.input, number(sums.node.channels));
    step->when = sums.when;
    if (cell) {
        if (step->rows < 2) step->rows = 2;  // it looks up its own row above
    } else {
        const Step& c = steps[static_cast<size_t>(n.other)];
        JL_REQUIRE(c.node.channels == n.channels,
                   "pixel_sampler: node %d, %s, has %lld channels, node %d has %lld", i, name,
                   number(n.channels), n.other, number(c.node.channels));
        if (c.when > step->when) step->when = c.when;
    }
    JL_REQUIRE(step->when < kGroup || n.channels % s.groups == 0,
               "pixel_sampler: node %d, %s: the image has %d groups, which must divide its %lld channels", i,
               name, s.groups, number(n.channels));
    return JL_OK;
}

inline jl_status Program::read_node(const jl_pixel_sampler& s, int32_t i, Step* step) {
    using program_detail::number;
    const jl_sampler_node& n = step->node;
    JL_REQUIRE(n.channels >= 1 && n.channels < int64_t{1} << 31,
               "pixel_sampler: node %d must have channels, got %lld", i, number(n.channels));
    const bool reads = n.kind >= JL_NODE_MASKED_CONV,
               reads_two = n.kind == JL_NODE_ADD || n.kind == JL_NODE_LSTM_HIDDEN;
    const bool any = sees_rows_above(n);
    const int32_t end = any ? static_cast<int32_t>(steps.size()) : i;
    JL_REQUIRE(!reads || (n.input >= 0 && n.input < end),
               "pixel_sampler: node %d must read a node %s, got %d", i, any ? "of the program" : "before it",
               n.input);
    JL_REQUIRE(!reads || (n.other < i && (n.other >= 0 || !reads_two)),
               "pixel_sampler: node %d must read a node before it, got %d as the other one", i, n.other);
    step->conv = {1, s.height, s.width, 1, n.channels, 1, 1, JL_RASTER_B, JL_PLAIN, JL_F32};
    const Step* in = reads ? &steps[static_cast<size_t>(n.input)] : nullptr;
    step->halvings = reads ? in->halvings : 0;
    JL_REQUIRE(!reads || n.other < 0 || steps[static_cast<size_t>(n.other)].halvings == step->halvings,
               "pixel_sampler: node %d reads nodes %d and %d, of which one is larger", i, n.input, n.other);
    switch (n.kind) {
        case JL_NODE_PIXELS:
            JL_REQUIRE(n.channels == s.channels,
                       "pixel_sampler: node %d, pixels, must have %lld channels, got %lld", i,
                       number(s.channels), number(n.channels));
            step->when = kOwn;
            break;
        case JL_NODE_EMBEDDING:
            JL_REQUIRE(
                n.channels % s.channels == 0 && n.data != nullptr,
                "pixel_sampler: node %d, embedding, needs a table and a multiple of %lld channels, got %lld",
                i, number(s.channels), number(n.channels));
            step->when = kOwn;
            break;
        case JL_NODE_GIVEN:
            JL_REQUIRE(n.data != nullptr || s.batch == 0, "pixel_sampler: node %d, given, is null", i);
            step->when = kRow;
            break;
        case JL_NODE_MASKED_CONV:
            if (const jl_status status = read_conv(s, i, step)) return status;
            break;
        case JL_NODE_ADD: {
            const Step& other = steps[static_cast<size_t>(n.other)];
            JL_REQUIRE(n.channels == in->node.channels && n.channels == other.node.channels,
                       "pixel_sampler: node %d, add, has %lld channels, nodes %d and %d have %lld and %lld",
                       i, number(n.channels), n.input, n.other, number(in->node.channels),
                       number(other.node.channels));
            step->when = in->when > other.when ? in->when : other.when;
            break;
        }
        case JL_NODE_ACTIVATION:
            JL_REQUIRE(n.function >= JL_IDENTITY && n.function <= JL_GELU,
                       "pixel_sampler: node %d, activation, must have a function from 0 to 7, got %d", i,
                       n.function);
            JL_REQUIRE(n.channels == in->node.channels,
                       "pixel_sampler: node %d, activation, has %lld channels, node %d has %lld", i,
                       number(n.channels), n.input, number(in->node.channels));
            step->when = in->when;
            break;
        case JL_NODE_SUBSAMPLE:
        case JL_NODE_UPSAMPLE:
            if (const jl_status status = read_resized(s, i, step)) return status;
            break;
        case JL_NODE_CONCAT_ELU:
            if (const jl_status status = read_concat_elu(s, i, step)) return status;
            break;
        case JL_NODE_ATTENTION:
            if (const jl_status status = read_attention(i, step)) return status;
            break;
        case JL_NODE_LSTM_CELL:
        case JL_NODE_LSTM_HIDDEN:
            if (const jl_status status = read_lstm(s, i, step)) return status;
            break;
        default:
            return fail(JL_BAD_ARGUMENT, "pixel_sampler: node %d is of unknown kind %d", i, n.kind);
    }
    step->groups = step->when >= kGroup ? s.groups : step->conv.groups;
    step->waits_for = -1;
    for (const int32_t read : {n.input, n.other})
        if (reads && read < i && read > step->waits_for &&
            steps[static_cast<size_t>(read)].when == step->when)
            step->waits_for = read;
    return JL_OK;
}

inline jl_status Program::check_parameters(const jl_pixel_sampler& s) const {
    using program_detail::number;
    const Step& last = steps.back();
    JL_REQUIRE(last.when <= kGroup,
               "pixel_sampler: the last node sees the values that are drawn from it; the first kernels must "
               "be of mask A");
    JL_REQUIRE(last.halvings == 0, "pixel_sampler: the last node is smaller than the image: upsample it");
    return check_draw(s, last.node.channels);
}

template <class WeightFloats>
jl_status Program::read(const jl_pixel_sampler* shape, const jl_sampler_node* nodes, int32_t count,
                        WeightFloats weight_floats_of) {
    if (const jl_status status = program_detail::check_shape(shape, nodes, count)) return status;
    const jl_pixel_sampler& s = *shape;
    for (int32_t i = 0; i < count; ++i) {
        steps.push_back({});
        steps.back().node = nodes[i];
        steps.back().rows = 1;
    }
    for (int32_t i = 0; i < count; ++i) {
        Step& step = steps[static_cast<size_t>(i)];
        if (const jl_status status = read_node(s, i, &step)) return status;
        if (step.node.kind != JL_NODE_MASKED_CONV && step.node.kind != JL_NODE_ATTENTION) continue;
        Step& in = steps[static_cast<size_t>(step.node.input)];
        if (step.node.kind == JL_NODE_ATTENTION && in.rows < s.height)
            in.rows = s.height;  // all keys and values
        if (step.taps.side > in.side) in.side = step.taps.side;
        if (step.taps.above >= in.rows) in.rows = step.taps.above + 1;
    }
    for (Step& step : steps) {
        JL_REQUIRE(step.node.kind != JL_NODE_MASKED_CONV ||
                       steps[static_cast<size_t>(step.node.input)].halvings == step.halvings,
                   "pixel_sampler: node %d, which a masked_conv before it reads, is smaller than the image",
                   step.node.input);
        step.map = image_floats;
        JL_REQUIRE(fits({step.rows, s.width + 2 * step.side, step.node.channels}),
                   "pixel_sampler: a map of %lld channels is too large",
                   program_detail::number(step.node.channels));
        image_floats += step.rows * step.row_floats(s.width);
        step.weights = weight_floats;
        if (step.node.kind == JL_NODE_MASKED_CONV) weight_floats += weight_floats_of(step);
        JL_REQUIRE(fits({s.batch, image_floats}) && weight_floats <= kMostElements,
                   "pixel_sampler: so many maps or weights are more than 2^38 values");
    }
    return check_parameters(s);
}

inline jl_status check_sampler(const jl_pixel_sampler* shape, const jl_sampler_node* nodes,
                               int32_t node_count, const jl_random* random, const int32_t* image,
                               jl_workspace workspace) {
    JL_REQUIRE(shape->batch == 0 || (random != nullptr && image != nullptr),
               "pixel_sampler: random and image must not be null");
    const size_t needed = pixel_sampler_workspace(shape, nodes, node_count);
    JL_REQUIRE(workspace.data != nullptr && workspace.bytes >= needed,
               "pixel_sampler: the workspace has %zu bytes, %zu are needed", workspace.bytes, needed);
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE
