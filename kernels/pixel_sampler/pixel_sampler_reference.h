// What pixel_sampler is held against: naive sampling, by a forward pass of the whole network for every pixel and group, with the
// table's own masked_conv and attention, and draws of draw.h.
#pragma once
#include <optional>

#include "case_table.h"

#define JL_TABLE test_reference
#include "likelihood/draw.h"

namespace jlatent::test {
namespace {

using Levels = std::vector<int32_t>;

// A network of random weights, in the table's memory.
class Network {
  public:
    Network(int64_t batch, int64_t height, int64_t width, int64_t channels, int32_t levels,
            int32_t groups = 1)
        : shape{batch, height, width, channels, 0, levels, groups, JL_BERNOULLI, 0, 1.0f, 5} {}

    jl_pixel_sampler shape;
    std::vector<jl_sampler_node> nodes;

    int pixels() {
        jl_sampler_node n = node(JL_NODE_PIXELS, shape.channels);
        n.scale = 2.0f / static_cast<float>(shape.levels - 1);
        n.offset = -1.0f;
        return add(n);
    }
    int embedding(int64_t dims) {
        jl_sampler_node n = node(JL_NODE_EMBEDDING, shape.channels * dims);
        n.data = array(shape.levels * dims, 1.0f);
        return add(n);
    }
    int given(int64_t channels) {
        jl_sampler_node n = node(JL_NODE_GIVEN, channels);
        n.data = array(pixel_count() * channels, 1.0f);
        return add(n);
    }
    struct Conv {
        jl_taps taps;
        int64_t kernel, channels;
        jl_epilogue epilogue = JL_PLAIN;
        int other = -1;
        bool vector = false;
        int groups = 1;
    };
    int conv(int input, const Conv& c) {
        jl_sampler_node n = node(JL_NODE_MASKED_CONV, c.channels);
        n.input = input;
        n.other = c.other;
        n.function = c.epilogue;
        n.taps = c.taps;
        n.kernel = c.kernel;
        n.groups = c.groups;
        const int64_t filters = c.epilogue >= JL_GATE ? 2 * c.channels : c.channels,
                      depth = nodes[static_cast<size_t>(input)].channels;
        // Enough for any taps; of order 1 whatever the number of products.
        n.data = array(filters * c.kernel * c.kernel * depth,
                       2.5f / std::sqrt(static_cast<float>(c.kernel * (c.kernel / 2 + 1) * depth)));
        n.bias = array(filters, 0.5f);
        if (c.vector) n.vector = array(shape.batch * filters, 0.5f);
        return add(n);
    }
    int sum(int input, int other) {
        jl_sampler_node n = node(JL_NODE_ADD, nodes[static_cast<size_t>(input)].channels);
        n.input = input;
        n.other = other;
        return add(n);
    }
    int activation(int input, jl_activation function) {
        jl_sampler_node n = node(JL_NODE_ACTIVATION, nodes[static_cast<size_t>(input)].channels);
        n.input = input;
        n.function = function;
        return add(n);
    }

    int concat_elu(int input) {
        jl_sampler_node n = node(JL_NODE_CONCAT_ELU, 2 * nodes[static_cast<size_t>(input)].channels);
        n.input = input;
        return add(n);
    }
    int resized(int input, jl_node_kind kind) {
        jl_sampler_node n = node(kind, nodes[static_cast<size_t>(input)].channels);
        n.input = input;
        return add(n);
    }
    // Of a third as many channels as the input.
    int attention(int input, int heads) {
        jl_sampler_node n = node(JL_NODE_ATTENTION, nodes[static_cast<size_t>(input)].channels / 3);
        n.input = input;
        n.groups = heads;
        return add(n);
    }

    // A row LSTM of h channels over a map: what leads from the input to its gates has their bias.
    int row_lstm(int input, int64_t h, int groups = 1) {
        jl_sampler_node above = node(JL_NODE_MASKED_CONV, 4 * h), cell = node(JL_NODE_LSTM_CELL, h),
                        hidden = node(JL_NODE_LSTM_HIDDEN, h);
        above.input = count() + 3;
        above.taps = JL_VERTICAL_A;
        above.kernel = 3;
        above.groups = 1;
        above.data = array(4 * h * 3 * h, 2.5f / std::sqrt(static_cast<float>(3 * h)));
        const int from_above = add(above);
        const int sums = conv(input, {JL_HORIZONTAL_B, 3, 4 * h, JL_PLAIN, from_above, false, groups});
        cell.input = hidden.input = sums;
        hidden.other = add(cell);
        return add(hidden);
    }

    int64_t pixel_count() const { return shape.batch * shape.height * shape.width; }
    int64_t values() const { return pixel_count() * shape.channels; }
    int64_t parameter_count() const { return nodes.back().channels; }
    int32_t count() const { return static_cast<int32_t>(nodes.size()); }

    // The last node's map for whole images. Where a node reads a later one, of which it sees rows above, every pass makes one
    // more row of all maps right.
    std::vector<float> forward(const Levels& image) {
        std::vector<std::optional<Floats>> maps;
        bool later = false;
        for (const jl_sampler_node& n : nodes) {
            later = later || n.input > static_cast<int>(maps.size());
            maps.emplace_back(std::vector<float>(static_cast<size_t>(pixel_count() * n.channels), 0.0f));
        }
        for (int64_t pass = later ? shape.height : 1; pass > 0; --pass)
            for (size_t i = 0; i < nodes.size() && !testing::Test::HasFatalFailure(); ++i)
                maps[i].emplace(evaluate(nodes[i], image, maps));
        return maps.back()->read();
    }

  private:
    static jl_sampler_node node(jl_node_kind kind, int64_t channels) {
        jl_sampler_node n = {};
        n.kind = kind;
        n.other = -1;
        n.channels = channels;
        return n;
    }
    int add(const jl_sampler_node& n) {
        nodes.push_back(n);
        return count() - 1;
    }
    const float* array(int64_t size, float most) {
        arrays_.emplace_back(
            random_floats(static_cast<size_t>(size), -most, most, static_cast<uint32_t>(arrays_.size()) + 1),
            arrays_.size() % 3);
        return arrays_.back().data();
    }

    // How often a map's sides are halved.
    int halvings(const jl_sampler_node& n) const {
        if (n.kind < JL_NODE_MASKED_CONV) return 0;
        const int change = n.kind == JL_NODE_SUBSAMPLE ? 1 : n.kind == JL_NODE_UPSAMPLE ? -1 : 0;
        return halvings(nodes[static_cast<size_t>(n.input)]) + change;
    }
    // Every second pixel of both sides of maps [batch, 2 height, 2 width, channels].
    static std::vector<float> subsample(const std::vector<float>& x, int64_t rows, int64_t width,
                                        int64_t channels) {
        std::vector<float> out;
        for (int64_t row = 0; row < rows; ++row)  // of all images
            for (int64_t column = 0; column < width; ++column)
                for (int64_t c = 0; c < channels; ++c)
                    out.push_back(
                        x[static_cast<size_t>(((2 * row) * 2 * width + 2 * column) * channels + c)]);
        return out;
    }

    Floats evaluate(const jl_sampler_node& n, const Levels& image, std::vector<std::optional<Floats>>& maps) {
        const auto map = [&](int i) { return maps[static_cast<size_t>(i)]->data(); };
        const int64_t height = shape.height >> halvings(n), width = shape.width >> halvings(n);
        const size_t size = static_cast<size_t>(shape.batch * height * width * n.channels);
        Floats out = Floats::output(size);
        const auto ok = [](jl_status status) { ASSERT_EQ(status, JL_OK) << kernels().last_error(); };
        switch (n.kind) {
            case JL_NODE_PIXELS: {
                std::vector<float> values(size);
                for (size_t i = 0; i < size; ++i)
                    values[i] = n.scale * static_cast<float>(image[i]) + n.offset;
                return Floats(values);
            }
            case JL_NODE_EMBEDDING: {
                const jl_embedding e = {values(), shape.levels, n.channels / shape.channels};
                Array<int32_t> codes(image);
                ok(kernels().embedding_forward(&e, n.data, codes.data(), out.data(), nullptr, stream()));
                return out;
            }
            case JL_NODE_GIVEN: {
                std::vector<float> values(size);
                copy_out(values.data(), n.data, size * sizeof(float));
                return Floats(values);
            }
            case JL_NODE_MASKED_CONV: {
                const jl_masked_conv s = {shape.batch,
                                          height,
                                          width,
                                          nodes[static_cast<size_t>(n.input)].channels,
                                          n.function >= JL_GATE ? 2 * n.channels : n.channels,
                                          n.kernel,
                                          n.groups,
                                          n.taps,
                                          n.function,
                                          JL_F32};
                Workspace w(kernels().masked_conv_workspace(&s));
                ok(kernels().masked_conv_forward(&s, map(n.input), n.data, n.bias, n.vector,
                                                 n.other < 0 ? nullptr : map(n.other), out.data(), nullptr,
                                                 w.get(), stream()));
                return out;
            }
            case JL_NODE_ATTENTION: {
                const jl_causal_attention s = {shape.batch, shape.height * shape.width, n.groups,
                                               n.channels / n.groups};
                ok(kernels().causal_attention_forward(&s, map(n.input), out.data(), nullptr, stream()));
                return out;
            }
            case JL_NODE_ADD:
                ok(kernels().add(map(n.input), map(n.other), out.data(), static_cast<int64_t>(size),
                                 stream()));
                return out;
            case JL_NODE_SUBSAMPLE:
                return Floats(subsample(maps[static_cast<size_t>(n.input)]->read(), shape.batch * height,
                                        width, n.channels));
            case JL_NODE_UPSAMPLE: {
                const jl_upsample s = {shape.batch, height / 2, width / 2, n.channels, 2, 2};
                ok(kernels().upsample_forward(&s, map(n.input), out.data(), stream()));
                return out;
            }
            case JL_NODE_CONCAT_ELU:
                ok(kernels().concat_elu_forward(map(n.input), out.data(), shape.batch * height * width,
                                                n.channels / 2, stream()));
                return out;
            case JL_NODE_LSTM_CELL:
            case JL_NODE_LSTM_HIDDEN:
                return lstm(n, maps[static_cast<size_t>(n.input)]->read(),
                            n.other < 0 ? std::vector<float>() : maps[static_cast<size_t>(n.other)]->read());
            default:
                ok(kernels().activation_forward(n.function, map(n.input), out.data(),
                                                static_cast<int64_t>(size), stream()));
                return out;
        }
    }

    // c from one row of an image to the next, or h of c.
    Floats lstm(const jl_sampler_node& n, const std::vector<float>& sums, const std::vector<float>& c) const {
        const auto gate = [&](size_t i) { return 1.0 / (1.0 + std::exp(-static_cast<double>(sums[i]))); };
        const size_t a_row = static_cast<size_t>(shape.width * n.channels);
        std::vector<float> out(sums.size() / 4);
        for (size_t i = 0; i < out.size(); ++i) {
            const bool first = i / a_row % static_cast<size_t>(shape.height) == 0;
            out[i] = static_cast<float>(n.kind == JL_NODE_LSTM_HIDDEN
                                            ? gate(4 * i) * std::tanh(c[i])
                                            : gate(4 * i + 1) * (first ? 0.0f : out[i - a_row]) +
                                                  gate(4 * i + 2) * std::tanh(sums[4 * i + 3]));
        }
        return Floats(out);
    }

    std::vector<Floats> arrays_;
};

constexpr jl_random kState = {0x1234567890abcdefull, 3, 0};

struct Sample {
    Levels image;
    std::vector<float> parameters, margins;
};

// Draws channels [first, end) of a pixel.
float draw_channels(const jl_pixel_sampler& s, int64_t pixel, int64_t first, int64_t end,
                    const float* parameters, int64_t count, const int32_t* given, int32_t* out) {
    namespace r = test_reference;
    const int64_t element = s.first_image * s.height * s.width + pixel;
    float margin = 1.0f;
    if (s.distribution == JL_LOGISTIC_MIXTURE) {
        bool all = true;
        std::vector<uint32_t> words;
        for (int64_t c = 0; c < end; ++c) {
            all = all && given[c] >= 0;
            words.push_back(r::draw_word(element * s.channels + c, 0, kState, s.site));
        }
        if (all) {
            std::copy(given, given + end, out);
            return margin;
        }
        const int components = static_cast<int>(count / (1 + 2 * end + end * (end - 1) / 2));
        return r::draw_mixture(parameters, {components, static_cast<int>(end)}, s.levels, s.temperature,
                               r::draw_word(element, 1, kState, s.site), words.data(), out);
    }
    for (int64_t c = first; c < end; ++c) {
        out[c] = given[c];
        if (given[c] >= 0) continue;
        const uint32_t word = r::draw_word(element * s.channels + c, 0, kState, s.site);
        const r::Draw d =
            s.distribution == JL_BERNOULLI
                ? r::draw_bernoulli(parameters[c], s.temperature, word)
                : r::draw_categorical(parameters + c * s.levels, s.levels, s.temperature, s.top_k, word);
        out[c] = d.level;
        margin = std::min(margin, d.margin);
    }
    return margin;
}

Sample naive(Network& network, const Levels& given) {
    const jl_pixel_sampler& s = network.shape;
    const int64_t count = network.parameter_count(), an_image = s.height * s.width,
                  a_group = s.channels / s.groups;
    Sample r = {
        Levels(given.size(), 0), {}, std::vector<float>(static_cast<size_t>(network.pixel_count()), 1.0f)};
    for (int64_t p = 0; p < an_image; ++p)
        for (int64_t g = 0; g < s.groups; ++g) {
            const std::vector<float> all = network.forward(r.image);
            for (int64_t n = 0; n < s.batch; ++n) {
                const int64_t pixel = n * an_image + p, at = pixel * s.channels;
                const float margin =
                    draw_channels(s, pixel, g * a_group, (g + 1) * a_group, all.data() + pixel * count, count,
                                  given.data() + at, r.image.data() + at);
                float& least = r.margins[static_cast<size_t>(pixel)];
                least = std::min(least, margin);
            }
        }
    r.parameters = network.forward(r.image);
    return r;
}

// In a workspace of rubbish.
Sample sample(Network& network, const Levels& given) {
    const jl_pixel_sampler& s = network.shape;
    const size_t bytes = kernels().pixel_sampler_workspace(&s, network.nodes.data(), network.count()),
                 pixels = static_cast<size_t>(network.pixel_count());
    EXPECT_GT(bytes, 0u) << kernels().last_error();
    auto workspace = Array<unsigned char>::output(bytes);
    Array<int32_t> take(given), image = Array<int32_t>::output(given.size(), 1);
    auto parameters = Floats::output(pixels * static_cast<size_t>(network.parameter_count()), 1),
         margins = Floats::output(pixels, 1);
    auto random = random_state(kState.seed, kState.step);
    EXPECT_EQ(kernels().pixel_sampler(&s, network.nodes.data(), network.count(), take.data(), random.data(),
                                      image.data(), parameters.data(), margins.data(),
                                      {workspace.data(), bytes}, stream()),
              JL_OK)
        << kernels().last_error();
    workspace.read();
    return {image.read(), parameters.read(), margins.read()};
}

}  // namespace
}  // namespace jlatent::test
