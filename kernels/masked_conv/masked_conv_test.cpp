// masked_conv against an fp64 reference, and what it must not see.
#include "masked_conv_reference.h"

namespace jlatent::test {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

class MaskedConvTest : public testing::TestWithParam<Case> {};

// Sums of m products around 1 err with the root of m.
double tolerance(int64_t m) { return 4e-7 * (4.0 + std::sqrt(static_cast<double>(m))); }

TEST_P(MaskedConvTest, ForwardEqualsTheReference) {
    const Case c = GetParam();
    Arrays a(c);
    const Outputs expected = forward(c, a.doubled());
    const double error = tolerance(c.rows() * c.columns() * c.channels);
    const auto [out, gates] = a.forward(a.x, a.weight);
    EXPECT_CLOSE(out, expected.out, error, error);
    if (c.gated()) EXPECT_CLOSE(gates, expected.gates, error, error);
    EXPECT_EQ(a.forward(a.x, a.weight, false).first, out) << "without gates, in a used workspace";
}

TEST_P(MaskedConvTest, BackwardEqualsTheReference) {
    const Case c = GetParam();
    Arrays a(c);
    const Gradients expected = backward(c, a.doubled(), doubles(a.d_a));
    const double error = tolerance(c.rows() * c.columns() * c.filters);
    EXPECT_CLOSE(a.backward_data(a.d_a, a.weight), expected.x, error, error);
    const double sums = tolerance(c.batch * c.height * c.width);
    const auto [d_weight, d_bias] = a.backward_weight(a.x);
    EXPECT_CLOSE(d_weight, expected.weight, sums, sums);
    EXPECT_CLOSE(d_bias, expected.bias, sums, sums);
    EXPECT_EQ(a.backward_weight(a.x, false).first, d_weight) << "without a bias, in a used workspace";
}

// Who gives factors of f32 gets the same as who rounds them first; the bias is summed as it is.
TEST_P(MaskedConvTest, FactorsAreRoundedToBf16) {
    Case c = GetParam();
    c.factors = JL_BF16;
    Arrays a(c);
    EXPECT_EQ(a.forward(a.exact.x, a.exact.weight).first, a.forward(a.x, a.weight).first);
    EXPECT_EQ(a.backward_data(a.exact.d_a, a.exact.weight), a.backward_data(a.d_a, a.weight));
    const auto [d_weight, d_bias] = a.backward_weight(a.exact.x, a.exact.d_a);
    EXPECT_EQ(d_weight, a.backward_weight(a.x).first);
    const double sums = tolerance(c.batch * c.height * c.width);
    EXPECT_CLOSE(d_bias, backward(c, a.doubled(), doubles(a.exact.d_a)).bias, sums, sums);
}

TEST_P(MaskedConvTest, GateGradientsAreCentralDifferences) {
    const Case c = GetParam();
    if (!c.gated()) return;
    Arrays a(c);
    const Outputs r = forward(c, a.doubled());
    const auto out = [&](const Doubles& sums) {
        return (c.epilogue == JL_GLU ? sums[0] : std::tanh(sums[0])) / (1.0 + std::exp(-sums[1]));
    };
    Doubles expected(r.a.size());
    const size_t outputs = static_cast<size_t>(c.outputs());
    for (size_t i = 0; i < a.d_out.size(); ++i) {
        const size_t at = i / outputs * 2 * outputs + i % outputs;
        const Doubles slope = numeric_gradient(out, {r.a[at], r.a[at + outputs]});
        expected[at] = a.d_out[i] * slope[0];
        expected[at + outputs] = a.d_out[i] * slope[1];
    }
    Floats gates(std::vector<float>(r.gates.begin(), r.gates.end()), a.shift), d_out(a.d_out, a.shift);
    auto d_a = Floats::output(a.d_a.size(), a.shift);
    ASSERT_OK(
        kernels().masked_conv_backward_gate(&a.shape, gates.data(), d_out.data(), d_a.data(), stream()));
    EXPECT_CLOSE(d_a.read(), expected, 1e-6, 1e-6);
}

// What is not seen may be NaN: dead taps, all pixels that no tap reaches. Where only some channels of a pixel are hidden,
// it may be any finite number. Not a bit of the output changes.
TEST_P(MaskedConvTest, WhatIsNotSeenDoesNotMatter) {
    const Case c = GetParam();
    if (c.pixels() == 0) return;
    Arrays a(c);
    std::vector<float> weight = a.weight;
    for (int64_t f = 0; f < c.filters; ++f)
        for (int64_t k = 0; k < c.channels; ++k)
            for (int64_t row = 0; row < c.rows(); ++row)
                for (int64_t column = 0; column < c.columns(); ++column) {
                    const int64_t dy = row - c.own_row(), dx = column - c.reach();
                    if (!c.sees(f, dy, dx, k)) weight[c.weight_at(f, dy, dx, k)] = kNaN;
                }
    const std::vector<float> out = a.forward(a.x, a.weight).first, d_x = a.backward_data(a.d_a, a.weight);
    EXPECT_EQ(a.forward(a.x, weight).first, out);
    EXPECT_EQ(a.backward_data(a.d_a, weight), d_x);

    const int64_t all = c.height * c.width;
    for (const int64_t p : {int64_t{0}, all / 3, all / 2, all - 1}) {
        const int64_t n = p % c.batch, y = p / c.width, x = p % c.width;
        SCOPED_TRACE("pixel " + std::to_string(y) + ", " + std::to_string(x) + " of image " +
                     std::to_string(n));
        for (int64_t own = 0; own < c.groups; ++own) {
            // One filter of the group stands for all.
            const int64_t o = own * c.outputs() / c.groups;
            std::vector<std::vector<float>> seen;
            const float largest = c.factors == JL_F32 ? std::numeric_limits<float>::max() : 0x1.fep127f;
            for (const float filling : {largest, -7e12f}) {
                std::vector<float> masked(a.x.size(), kNaN);
                for (int64_t i = 0; i < c.height; ++i)
                    for (int64_t j = 0; j < c.width; ++j)
                        for (int64_t k = 0; k < c.channels; ++k) {
                            const size_t at = c.at(n, i, j, c.channels, k);
                            if (c.sees(o, i - y, j - x, k))
                                masked[at] = a.x[at];
                            else if (i == y && j == x && c.groups > 1)
                                masked[at] = filling;
                        }
                seen.push_back(a.forward(masked, a.weight).first);
                for (int64_t k = o; k < o + c.outputs() / c.groups; ++k) {
                    const size_t at = c.at(n, y, x, c.outputs(), k);
                    ASSERT_EQ(seen.back()[at], out[at]) << "output " << k << ", filling " << filling;
                }
            }
        }
        // The gradient of a pixel is that of the pixels that see it.
        std::vector<float> masked(a.d_a.size(), kNaN);
        for (int64_t i = 0; i < c.height; ++i)
            for (int64_t j = 0; j < c.width; ++j)
                for (int64_t f = 0; f < c.filters; ++f) {
                    const size_t at = c.at(n, i, j, c.filters, f);
                    const bool sees =
                        c.in_kernel(y - i, x - j) && (c.groups > 1 || c.sees(f, y - i, x - j, 0));
                    if (sees) masked[at] = a.d_a[at];
                }
        const std::vector<float> d = a.backward_data(masked, a.weight);
        for (int64_t k = 0; k < c.channels; ++k)
            ASSERT_EQ(d[c.at(n, y, x, c.channels, k)], d_x[c.at(n, y, x, c.channels, k)]) << "channel " << k;
    }

    // Nobody sees an image's last pixel but itself, and that only by its centre.
    if (!c.is_a() || c.groups > 1) return;
    const float filling = c.factors == JL_F32 ? kNaN : 1e30f;
    std::vector<float> x = a.x;
    for (int64_t n = 0; n < c.batch; ++n)
        for (int64_t k = 0; k < c.channels; ++k)
            x[c.at(n, c.height - 1, c.width - 1, c.channels, k)] = filling;
    EXPECT_EQ(a.backward_weight(x), a.backward_weight(a.x));
}

// Small enough to ask for the gradient of every element. The kernels equal the reference; this is the reference's own.
TEST_P(MaskedConvTest, GradientsAreCentralDifferences) {
    const Case c = GetParam();
    if (c.pixels() * static_cast<size_t>(c.channels) > 100 || c.weights() > 400) return;
    Arrays a(c);
    const Inputs in = a.doubled();
    const Doubles d_a = doubles(a.d_a);
    const auto loss = [&](const Inputs& at) {
        const Outputs r = forward(c, at);
        double sum = 0.0;
        for (size_t i = 0; i < d_a.size(); ++i) sum += d_a[i] * r.a[i];
        return sum;
    };
    const Gradients d = backward(c, in, d_a);
    const auto compare = [&](const Doubles& gradient, Doubles Inputs::*member) {
        const auto at = [&](const Doubles& values) {
            Inputs moved = in;
            moved.*member = values;
            return loss(moved);
        };
        EXPECT_CLOSE(std::vector<float>(gradient.begin(), gradient.end()), numeric_gradient(at, in.*member),
                     1e-6, 1e-6);
    };
    compare(d.x, &Inputs::x);
    compare(d.weight, &Inputs::weight);
    if (c.bias) compare(d.bias, &Inputs::bias);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, MaskedConvTest,
    testing::Values(
        Case{"b1", 3, 3, 5, 4, 6, 1, 1, JL_RASTER_B, JL_PLAIN, true, false, false},
        Case{"b1_groups", 2, 2, 3, 6, 9, 1, 3, JL_RASTER_B, JL_PLAIN, true, false, false},
        Case{"a1_groups", 1, 2, 3, 3, 6, 1, 3, JL_RASTER_A, JL_RECTIFIED, true, false, false},
        Case{"a3", 3, 5, 7, 3, 5, 3, 1, JL_RASTER_A, JL_PLAIN, true, false, false},
        Case{"b3", 1, 4, 4, 2, 3, 3, 1, JL_RASTER_B, JL_RECTIFIED, false, false, false},
        Case{"b3_wide", 1, 9, 13, 37, 70, 3, 1, JL_RASTER_B, JL_PLAIN, true, true, true},
        Case{"a3_groups", 2, 3, 5, 6, 4, 3, 2, JL_RASTER_A, JL_GATE, true, true, false},
        Case{"b3_groups", 2, 6, 5, 9, 66, 3, 3, JL_RASTER_B, JL_GATE, true, false, true},
        Case{"a5", 1, 7, 9, 1, 33, 5, 1, JL_RASTER_A, JL_PLAIN, false, false, false},
        Case{"b5_gate", 3, 5, 6, 5, 38, 5, 1, JL_RASTER_B, JL_GATE, true, true, true},
        Case{"a7", 1, 11, 12, 3, 32, 7, 1, JL_RASTER_A, JL_GATE, true, false, false},
        Case{"b3_unit", 2, 5, 7, 6, 42, 3, 1, JL_RASTER_B, JL_GLU, true, true, true},
        Case{"b5_unit_groups", 1, 3, 5, 6, 12, 5, 3, JL_RASTER_B, JL_GLU, true, false, false},
        Case{"vertical_b3_unit", 1, 4, 4, 2, 4, 3, 1, JL_VERTICAL_B, JL_GLU, true, false, true},
        Case{"a7_groups", 1, 9, 8, 3, 12, 7, 3, JL_RASTER_A, JL_PLAIN, true, false, false},
        Case{"b7_small", 2, 2, 3, 4, 5, 7, 1, JL_RASTER_B, JL_PLAIN, true, false, false},
        Case{"long", 1, 37, 40, 6, 20, 3, 1, JL_RASTER_B, JL_PLAIN, true, false, false},
        Case{"deep", 1, 3, 4, 260, 36, 3, 1, JL_RASTER_B, JL_PLAIN, true, false, false},
        Case{"vertical_a3", 2, 5, 6, 3, 4, 3, 1, JL_VERTICAL_A, JL_PLAIN, true, false, false},
        Case{"vertical_a7", 1, 8, 9, 2, 10, 7, 1, JL_VERTICAL_A, JL_GATE, true, true, false},
        Case{"vertical_b1", 1, 3, 3, 2, 3, 1, 1, JL_VERTICAL_B, JL_PLAIN, true, false, false},
        Case{"vertical_b3", 3, 6, 5, 17, 34, 3, 1, JL_VERTICAL_B, JL_GATE, true, true, true},
        Case{"vertical_b5", 2, 4, 7, 3, 6, 5, 1, JL_VERTICAL_B, JL_RECTIFIED, true, false, false},
        Case{"horizontal_a3", 2, 4, 5, 3, 4, 3, 1, JL_HORIZONTAL_A, JL_PLAIN, true, false, false},
        Case{"horizontal_a7_groups", 1, 3, 9, 6, 12, 7, 3, JL_HORIZONTAL_A, JL_GATE, true, true, true},
        Case{"horizontal_b3", 3, 5, 7, 8, 36, 3, 1, JL_HORIZONTAL_B, JL_GATE, true, true, true},
        Case{"horizontal_b5_groups", 1, 2, 8, 4, 6, 5, 2, JL_HORIZONTAL_B, JL_PLAIN, true, false, false},
        Case{"one_pixel_a", 3, 1, 1, 5, 6, 3, 1, JL_RASTER_A, JL_GATE, true, true, true},
        Case{"one_pixel_b", 1, 1, 1, 5, 6, 7, 1, JL_RASTER_B, JL_PLAIN, false, false, false},
        Case{"one_pixel_groups", 1, 1, 1, 6, 6, 5, 3, JL_RASTER_A, JL_PLAIN, true, false, false},
        Case{"one_column", 1, 19, 1, 4, 5, 5, 1, JL_RASTER_B, JL_PLAIN, true, false, false},
        Case{"one_row", 1, 1, 29, 4, 5, 5, 1, JL_RASTER_A, JL_PLAIN, true, false, false},
        Case{"no_images", 0, 4, 5, 3, 6, 3, 1, JL_RASTER_B, JL_GATE, true, true, true},
        Case{"bf16_b1", 3, 3, 5, 40, 6, 1, 1, JL_RASTER_B, JL_PLAIN, true, false, false, JL_BF16},
        Case{"bf16_a3", 3, 5, 7, 3, 5, 3, 1, JL_RASTER_A, JL_PLAIN, true, false, false, JL_BF16},
        Case{"bf16_a5", 2, 7, 9, 12, 33, 5, 1, JL_RASTER_A, JL_PLAIN, false, false, false, JL_BF16},
        Case{"bf16_b3_wide", 1, 9, 13, 37, 70, 3, 1, JL_RASTER_B, JL_PLAIN, true, true, true, JL_BF16},
        Case{"bf16_b3_groups", 2, 6, 5, 9, 66, 3, 3, JL_RASTER_B, JL_GATE, true, false, true, JL_BF16},
        Case{"bf16_b5_unit_groups", 1, 3, 5, 24, 48, 5, 3, JL_RASTER_B, JL_GLU, true, false, false, JL_BF16},
        Case{"bf16_long", 1, 37, 40, 16, 20, 3, 1, JL_RASTER_B, JL_RECTIFIED, true, false, false, JL_BF16},
        Case{"bf16_deep", 1, 3, 4, 260, 36, 3, 1, JL_RASTER_B, JL_PLAIN, true, false, false, JL_BF16},
        Case{"bf16_vertical_a7", 1, 8, 9, 8, 10, 7, 1, JL_VERTICAL_A, JL_GATE, true, true, false, JL_BF16},
        Case{"bf16_vertical_b3", 3, 6, 5, 17, 34, 3, 1, JL_VERTICAL_B, JL_GATE, true, true, true, JL_BF16},
        Case{"bf16_horizontal_a3", 2, 4, 5, 9, 4, 3, 1, JL_HORIZONTAL_A, JL_PLAIN, true, false, false,
             JL_BF16},
        Case{"bf16_horizontal_b3", 3, 5, 7, 8, 36, 3, 1, JL_HORIZONTAL_B, JL_GATE, true, true, true, JL_BF16},
        Case{"bf16_one_pixel", 1, 1, 1, 8, 6, 7, 1, JL_RASTER_B, JL_PLAIN, false, false, false, JL_BF16},
        Case{"bf16_one_column", 1, 19, 1, 40, 50, 5, 1, JL_RASTER_B, JL_PLAIN, true, false, false, JL_BF16},
        Case{"bf16_one_row", 1, 1, 29, 10, 5, 5, 1, JL_RASTER_A, JL_PLAIN, true, false, false, JL_BF16},
        Case{"bf16_no_images", 0, 4, 5, 16, 6, 3, 1, JL_RASTER_B, JL_GATE, true, true, true, JL_BF16}),
    [](const testing::TestParamInfo<Case>& c) { return std::string(c.param.name); });

// One product a sum, of factors of any size: how many digits of f32 a table keeps.
TEST(MaskedConv, ProductsKeepTheirDigits) {
    const Case c = {"products", 1, 40, 50, 1, 20, 1, 1, JL_RASTER_B, JL_PLAIN, false, false, false};
    Arrays a(c);
    for (std::vector<float>* values : {&a.x, &a.weight})
        for (size_t i = 0; i < values->size(); ++i)
            (*values)[i] = std::ldexp((*values)[i], static_cast<int>(i * 7 % 81) - 40);
    const Outputs expected = forward(c, a.doubled());
    EXPECT_CLOSE(a.forward(a.x, a.weight).first, expected.out, 4e-7, 0.0);
}

TEST(MaskedConv, LargeSumsSaturateGatesWithoutNaN) {
    const Case c = {"gate", 1, 2, 2, 2, 4, 3, 1, JL_RASTER_B, JL_GATE, true, false, false};
    Arrays a(c);
    for (const float value : {1e6f, -1e6f, 3e38f, -3e38f}) {
        a.bias.assign(4, value);
        const auto [out, gates] = a.forward(a.x, a.weight);
        for (const float v : out) EXPECT_EQ(v, value > 0.0f ? 1.0f : -0.0f);
        for (const float v : gates) EXPECT_TRUE(v == 1.0f || v == 0.0f || v == -1.0f) << v;
    }
}

TEST(MaskedConv, BadArgumentsAreNamed) {
    const jl_masked_conv good = {2, 3, 4, 6, 12, 3, 3, JL_RASTER_B, JL_GATE, JL_F32};
    Workspace w(kernels().masked_conv_workspace(&good));
    Floats x(std::vector<float>(2 * 3 * 4 * 12, 0.0f)), weight(std::vector<float>(12 * 9 * 6, 0.0f));
    auto out = Floats::output(2 * 3 * 4 * 12);
    const auto forward = [&](jl_masked_conv s) {
        return kernels().masked_conv_forward(&s, x.data(), weight.data(), nullptr, nullptr, nullptr,
                                             out.data(), nullptr, w.get(), stream());
    };
    ASSERT_OK(forward(good));
    jl_masked_conv s = good;
    s.batch = -1;
    EXPECT_BAD_ARGUMENT(forward(s), "got -1, 3, 4, 6 and 12");
    s = good, s.width = 0;
    EXPECT_BAD_ARGUMENT(forward(s), "got 2, 3, 0, 6 and 12");
    for (const int64_t kernel : {-1, 0, 2, 32768, 32769}) {
        s = good, s.kernel = kernel;
        EXPECT_BAD_ARGUMENT(forward(s), "odd and from 1 to 32767, got " + std::to_string(kernel));
    }
    s = good, s.groups = 0;
    EXPECT_BAD_ARGUMENT(forward(s), "got 0 groups, 6 channels and 6 outputs");
    s = good, s.groups = 4;
    EXPECT_BAD_ARGUMENT(forward(s), "got 4 groups, 6 channels and 6 outputs");
    s = good, s.filters = 8;
    EXPECT_BAD_ARGUMENT(forward(s), "got 3 groups, 6 channels and 4 outputs");
    s = good, s.filters = 11;
    EXPECT_BAD_ARGUMENT(forward(s), "even number of filters, got 11");
    s = good, s.taps = JL_VERTICAL_B;
    EXPECT_BAD_ARGUMENT(forward(s), "one group, got 3");
    for (const jl_taps taps : {JL_RASTER_A, JL_VERTICAL_A, JL_HORIZONTAL_A}) {
        s = good, s.taps = taps, s.kernel = s.groups = 1;
        EXPECT_BAD_ARGUMENT(forward(s), "mask A leaves nothing");
    }
    s = good, s.taps = 6;
    EXPECT_BAD_ARGUMENT(forward(s), "from 0 to 5, got 6");
    s = good, s.epilogue = -1;
    EXPECT_BAD_ARGUMENT(forward(s), "from 0 to 3, got -1");
    s = good, s.epilogue = 4;
    EXPECT_BAD_ARGUMENT(forward(s), "from 0 to 3, got 4");
    for (const int factors : {-1, 2}) {
        s = good, s.factors = factors;
        EXPECT_BAD_ARGUMENT(forward(s), "0 (f32) or 1 (bf16), got " + std::to_string(factors));
    }
    s = good, s.height = s.width = int64_t{1} << 31;
    EXPECT_BAD_ARGUMENT(forward(s), "2^38");
    s = good, s.kernel = 32767, s.channels = int64_t{3} << 10;
    EXPECT_BAD_ARGUMENT(forward(s), "kernel 32767");
    EXPECT_BAD_ARGUMENT(forward(good) == JL_OK ? kernels().masked_conv_forward(
                                                     nullptr, x.data(), weight.data(), nullptr, nullptr,
                                                     nullptr, out.data(), nullptr, w.get(), stream())
                                               : JL_OK,
                        "shape");
    EXPECT_BAD_ARGUMENT(kernels().masked_conv_forward(&good, nullptr, weight.data(), nullptr, nullptr,
                                                      nullptr, out.data(), nullptr, w.get(), stream()),
                        "must not be null");
    EXPECT_BAD_ARGUMENT(
        kernels().masked_conv_forward(&good, x.data(), weight.data(), nullptr, nullptr, nullptr, out.data(),
                                      nullptr, {w.get().data, 4}, stream()),
        "masked_conv_forward: the workspace has 4 bytes");
    s = good, s.epilogue = JL_PLAIN;
    EXPECT_BAD_ARGUMENT(kernels().masked_conv_forward(&s, x.data(), weight.data(), nullptr, nullptr, nullptr,
                                                      out.data(), out.data(), w.get(), stream()),
                        "only a gate has gates");
    EXPECT_BAD_ARGUMENT(kernels().masked_conv_backward_gate(&s, x.data(), x.data(), out.data(), stream()),
                        "not a gate");
    EXPECT_BAD_ARGUMENT(kernels().masked_conv_backward_gate(&good, nullptr, x.data(), out.data(), stream()),
                        "null");
    EXPECT_BAD_ARGUMENT(
        kernels().masked_conv_backward_data(&good, x.data(), nullptr, out.data(), w.get(), stream()), "null");
    EXPECT_BAD_ARGUMENT(
        kernels().masked_conv_backward_weight(&good, x.data(), x.data(), nullptr, nullptr, w.get(), stream()),
        "null");
    EXPECT_BAD_ARGUMENT(kernels().masked_conv_backward_weight(&good, x.data(), x.data(), out.data(), nullptr,
                                                              {w.get().data, 4}, stream()),
                        "masked_conv_backward_weight: the workspace has 4 bytes");
}

}  // namespace
}  // namespace jlatent::test
