// masked_conv in fp64, pixel by pixel from its definition, and the arrays of a test's case.
#pragma once
#include "case_table.h"

namespace jlatent::test {
namespace {

struct Case {
    const char* name;
    int64_t batch, height, width, channels, filters, kernel, groups;
    jl_taps taps;
    jl_epilogue epilogue;
    bool bias, vector, map;
    jl_dtype factors = JL_F32;

    jl_masked_conv shape() const {
        return {batch, height, width, channels, filters, kernel, groups, taps, epilogue, factors};
    }
    bool gated() const { return epilogue == JL_GATE || epilogue == JL_GLU; }
    bool is_a() const { return taps == JL_RASTER_A || taps == JL_VERTICAL_A || taps == JL_HORIZONTAL_A; }
    bool is_raster() const { return taps == JL_RASTER_A || taps == JL_RASTER_B; }
    bool is_vertical() const { return taps == JL_VERTICAL_A || taps == JL_VERTICAL_B; }
    int64_t reach() const { return kernel / 2; }
    int64_t outputs() const { return gated() ? filters / 2 : filters; }

    // Extents of the weight.
    int64_t rows() const {
        return is_raster() ? kernel : !is_vertical() ? 1 : reach() + (taps == JL_VERTICAL_B ? 1 : 0);
    }
    int64_t columns() const {
        return is_raster() || is_vertical() ? kernel : reach() + (!is_a() || groups > 1 ? 1 : 0);
    }
    int64_t own_row() const { return is_raster() || is_vertical() ? reach() : 0; }
    size_t pixels() const { return static_cast<size_t>(batch * height * width); }
    size_t weights() const { return static_cast<size_t>(filters * rows() * columns() * channels); }
    size_t weight_at(int64_t f, int64_t dy, int64_t dx, int64_t c) const {
        return static_cast<size_t>(((f * rows() + own_row() + dy) * columns() + reach() + dx) * channels + c);
    }
    size_t at(int64_t n, int64_t y, int64_t x, int64_t depth, int64_t c) const {
        return static_cast<size_t>(((n * height + y) * width + x) * depth + c);
    }

    bool in_kernel(int64_t dy, int64_t dx) const {
        if (std::abs(dx) > reach() || dy > 0 || dy < -reach()) return false;
        switch (taps) {
            case JL_VERTICAL_A:
                return dy < 0;
            case JL_VERTICAL_B:
                return true;
            case JL_HORIZONTAL_A:
            case JL_HORIZONTAL_B:
                return dy == 0 && dx <= 0;
            default:
                return dy < 0 || dx <= 0;
        }
    }
    // Whether filter f's output at a pixel depends on channel c at (dy, dx) from it.
    bool sees(int64_t f, int64_t dy, int64_t dx, int64_t c) const {
        if (!in_kernel(dy, dx)) return false;
        if (dy != 0 || dx != 0 || is_vertical()) return true;
        const int64_t own = f % outputs() * groups / outputs(), other = c * groups / channels;
        return is_a() ? other < own : other <= own;
    }
    // f(n, y, x, dy, dx) for every pixel and every neighbour that any filter may see, inside the image.
    template <class F>
    void for_neighbours(F f) const {
        for (int64_t n = 0; n < batch; ++n)
            for (int64_t y = 0; y < height; ++y)
                for (int64_t x = 0; x < width; ++x)
                    for (int64_t dy = -std::min(reach(), y); dy <= 0; ++dy)
                        for (int64_t dx = -std::min(reach(), x); dx <= std::min(reach(), width - 1 - x); ++dx)
                            if (in_kernel(dy, dx)) f(n, y, x, dy, dx);
    }
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

using Doubles = std::vector<double>;

struct Inputs {
    Doubles x, weight, bias, vector, map;
};

struct Outputs {
    Doubles a, out, gates;
};

Outputs forward(const Case& c, const Inputs& in) {
    Outputs r = {Doubles(c.pixels() * static_cast<size_t>(c.filters)),
                 Doubles(c.pixels() * static_cast<size_t>(c.outputs())),
                 {}};
    for (int64_t n = 0; n < c.batch; ++n)
        for (int64_t p = 0; p < c.height * c.width; ++p)
            for (int64_t f = 0; f < c.filters; ++f) {
                const size_t i = c.at(n, 0, p, c.filters, f);
                r.a[i] = (c.bias ? in.bias[static_cast<size_t>(f)] : 0.0) +
                         (c.vector ? in.vector[static_cast<size_t>(n * c.filters + f)] : 0.0) +
                         (c.map ? in.map[i] : 0.0);
            }
    c.for_neighbours([&](int64_t n, int64_t y, int64_t x, int64_t dy, int64_t dx) {
        for (int64_t f = 0; f < c.filters; ++f)
            for (int64_t k = 0; k < c.channels; ++k)
                if (c.sees(f, dy, dx, k))
                    r.a[c.at(n, y, x, c.filters, f)] +=
                        in.weight[c.weight_at(f, dy, dx, k)] * in.x[c.at(n, y + dy, x + dx, c.channels, k)];
    });
    r.gates = r.a;
    const size_t filters = static_cast<size_t>(c.filters), outputs = static_cast<size_t>(c.outputs());
    for (size_t p = 0; p < c.pixels(); ++p)
        for (size_t k = 0; k < outputs; ++k) {
            const double a = r.a[p * filters + k];
            double& out = r.out[p * outputs + k];
            out = c.epilogue == JL_RECTIFIED ? std::max(a, 0.0) : a;
            if (!c.gated()) continue;
            const double t = r.gates[p * filters + k] = c.epilogue == JL_GLU ? a : std::tanh(a);
            double& g = r.gates[p * filters + outputs + k];
            g = 1.0 / (1.0 + std::exp(-g));
            out = t * g;
        }
    return r;
}

struct Gradients {
    Doubles x, weight, bias;
};

// Of the sum of d_a a.
Gradients backward(const Case& c, const Inputs& in, const Doubles& d_a) {
    Gradients d = {Doubles(in.x.size(), 0.0), Doubles(in.weight.size(), 0.0),
                   Doubles(static_cast<size_t>(c.filters), 0.0)};
    c.for_neighbours([&](int64_t n, int64_t y, int64_t x, int64_t dy, int64_t dx) {
        for (int64_t f = 0; f < c.filters; ++f)
            for (int64_t k = 0; k < c.channels; ++k)
                if (c.sees(f, dy, dx, k)) {
                    const size_t at_x = c.at(n, y + dy, x + dx, c.channels, k),
                                 at_w = c.weight_at(f, dy, dx, k);
                    const double g = d_a[c.at(n, y, x, c.filters, f)];
                    d.x[at_x] += g * in.weight[at_w];
                    d.weight[at_w] += g * in.x[at_x];
                }
    });
    for (size_t i = 0; i < d_a.size(); ++i) d.bias[i % static_cast<size_t>(c.filters)] += d_a[i];
    return d;
}

// The nearest bf16, by the bits: half of the last one kept is added, ties to even.
float to_bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// The arrays of one case, each at an alignment of its own.
struct Arrays {
    jl_masked_conv shape;
    std::vector<float> x, weight, bias, vector, map, d_a, d_out;  // factors as they are multiplied
    struct {
        std::vector<float> x, weight, d_a;
    } exact;  // factors before they are rounded
    size_t shift;
    Workspace workspace;

    explicit Arrays(const Case& c)
        : shape(c.shape()),
          x(random_floats(c.pixels() * static_cast<size_t>(c.channels), -1.0f, 1.0f, 1)),
          weight(random_floats(c.weights(), -1.0f, 1.0f, 2)),
          bias(random_floats(c.bias ? static_cast<size_t>(c.filters) : 0, -1.0f, 1.0f, 3)),
          vector(random_floats(c.vector ? static_cast<size_t>(c.batch * c.filters) : 0, -1.0f, 1.0f, 4)),
          map(random_floats(c.map ? c.pixels() * static_cast<size_t>(c.filters) : 0, -1.0f, 1.0f, 5)),
          d_a(random_floats(c.pixels() * static_cast<size_t>(c.filters), -1.0f, 1.0f, 6)),
          d_out(random_floats(c.pixels() * static_cast<size_t>(c.outputs()), -1.0f, 1.0f, 7)),
          shift(static_cast<size_t>(c.channels % 4)),
          workspace(kernels().masked_conv_workspace(&shape)) {
        // Of order 1 whatever the number of products, so that gates do not saturate.
        for (float& w : weight)
            w *= 2.0f / std::sqrt(static_cast<float>(c.rows() * c.columns() * c.channels));
        exact = {x, weight, d_a};
        if (c.factors == JL_BF16)
            for (std::vector<float>* factors : {&x, &weight, &d_a})
                for (float& v : *factors) v = to_bf16(v);
    }
    Inputs doubled() const {
        return {doubles(x), doubles(weight), doubles(bias), doubles(vector), doubles(map)};
    }

    // Out and gates of forward with these x and weight.
    std::pair<std::vector<float>, std::vector<float>> forward(const std::vector<float>& x_,
                                                              const std::vector<float>& weight_,
                                                              bool gates = true) {
        Floats in(x_, shift), w(weight_, shift), b(bias), v(vector, shift), m(map, shift);
        auto out = Floats::output(d_out.size(), shift),
             kept = Floats::output(gates && shape.epilogue >= JL_GATE ? d_a.size() : 0);
        const auto optional = [](Floats& array) { return array.size() == 0 ? nullptr : array.data(); };
        EXPECT_EQ(
            kernels().masked_conv_forward(&shape, in.data(), w.data(), optional(b), optional(v), optional(m),
                                          out.data(), optional(kept), workspace.get(), stream()),
            JL_OK)
            << kernels().last_error();
        return {out.read(), kept.read()};
    }
    std::vector<float> backward_data(const std::vector<float>& d_a_, const std::vector<float>& weight_) {
        Floats d(d_a_, shift), w(weight_, shift);
        auto d_x = Floats::output(x.size(), shift);
        EXPECT_EQ(kernels().masked_conv_backward_data(&shape, d.data(), w.data(), d_x.data(), workspace.get(),
                                                      stream()),
                  JL_OK)
            << kernels().last_error();
        return d_x.read();
    }
    // d_weight and d_bias.
    std::pair<std::vector<float>, std::vector<float>> backward_weight(const std::vector<float>& x_,
                                                                      bool with_bias = true) {
        return backward_weight(x_, d_a, with_bias);
    }
    std::pair<std::vector<float>, std::vector<float>> backward_weight(const std::vector<float>& x_,
                                                                      const std::vector<float>& d_a_,
                                                                      bool with_bias = true) {
        Floats in(x_, shift), d(d_a_, shift);
        auto d_weight = Floats::output(weight.size(), shift),
             d_bias = Floats::output(with_bias ? static_cast<size_t>(shape.filters) : 0);
        EXPECT_EQ(kernels().masked_conv_backward_weight(&shape, in.data(), d.data(), d_weight.data(),
                                                        with_bias ? d_bias.data() : nullptr, workspace.get(),
                                                        stream()),
                  JL_OK)
            << kernels().last_error();
        return {d_weight.read(), d_bias.read()};
    }
};

}  // namespace
}  // namespace jlatent::test
