// elementwise against fp64 references, written straight from the formulas of elementwise.h.
#include "case_table.h"

namespace jlatent::test {
namespace {

double value(int32_t activation, double x) {
    switch (activation) {
        case JL_RELU:
            return x > 0.0 ? x : 0.0;
        case JL_TANH:
            return std::tanh(x);
        case JL_SIGMOID:
            return 1.0 / (1.0 + std::exp(-x));
        case JL_SOFTPLUS:
            return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
        case JL_ELU:
            return x < 0.0 ? std::expm1(x) : x;
        case JL_SILU:
            return x / (1.0 + std::exp(-x));
        // 1/2 (1 + tanh u) = 1 / (1 + e^-2u), the form that keeps its digits for large negative x
        case JL_GELU:
            return x / (1.0 + std::exp(-2.0 * std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
        default:
            return x;
    }
}

bool from_input(int32_t activation) { return activation == JL_SILU || activation == JL_GELU; }

class ActivationTest : public testing::TestWithParam<int32_t> {};

TEST_P(ActivationTest, ForwardAndBackwardEqualTheReference) {
    for (const size_t count : {0, 1, 3, 4, 5, 1023, 1025, 4097, 50021}) {
        auto x = random_floats(count, -12.0f, 12.0f, 1);
        // Small arguments, where naive formulas cancel; zero and both ends.
        const float special[] = {0.0f,  1e-8f,  -1e-8f,  1e-4f, -1e-4f, 0.01f, -0.01f, 0.5f,
                                 -0.5f, 0.624f, -0.626f, 40.0f, -40.0f, 87.0f, -87.0f};
        for (size_t i = 0; i < std::min(count, std::size(special)); ++i) x[i] = special[i];
        const auto dy = random_floats(count, -1.0f, 1.0f, 2);
        Floats x_array(x, 1), dy_array(dy, 2);
        auto y = Floats::output(count, 3), dx = Floats::output(count, 1);
        const int64_t n = static_cast<int64_t>(count);
        ASSERT_OK(kernels().activation_forward(GetParam(), x_array.data(), y.data(), n, stream()));
        ASSERT_OK(kernels().activation_backward(GetParam(),
                                                from_input(GetParam()) ? x_array.data() : y.data(),
                                                dy_array.data(), dx.data(), n, stream()));
        std::vector<double> expected, derivative;
        for (size_t i = 0; i < count; ++i) {
            expected.push_back(value(GetParam(), x[i]));
            // Differences straddle relu's kink within their step of it.
            const bool near_kink = GetParam() == JL_RELU && std::abs(x[i]) < 2e-6f;
            const auto f = [](const std::vector<double>& p) {
                return value(static_cast<int32_t>(p[1]), p[0]);
            };
            const double slope = near_kink
                                     ? (x[i] > 0.0f ? 1.0 : 0.0)
                                     : numeric_gradient(f, {x[i], static_cast<double>(GetParam())}, 1e-6)[0];
            derivative.push_back(dy[i] * slope);
        }
        // Relative, near 0 too: an exponential, a sum and a quotient err by 1e-7 each. Below 1e-37 floats
        // lose digits. gelu's exponent is rounded before it is used: up to 87 times three roundings of 6e-8
        // in its far tail, and no more than 1e-7 of the result's scale where the result matters.
        const bool gelu = GetParam() == JL_GELU;
        EXPECT_CLOSE(y.read(), expected, gelu ? 2e-5 : 4e-7, 1e-37);
        if (gelu) EXPECT_CLOSE(y.read(), expected, 4e-7, 1e-7);
        // Absolute: 1 - y y and the like lose what y has rounded away, and dy is at most 1.
        EXPECT_CLOSE(dx.read(), derivative, 2e-7, 2e-7);
    }
}

// In a vector and in what is left over; a NaN in `saved` too, though dy is a number.
TEST_P(ActivationTest, NotANumberIsPassedOn) {
    const size_t count = 37;
    for (const size_t at : {size_t{0}, size_t{18}, count - 1}) {
        std::vector<float> values(count, 0.5f);
        values[at] = std::numeric_limits<float>::quiet_NaN();
        Floats x(values), one(std::vector<float>(count, 1.0f));
        auto y = Floats::output(count), dx = Floats::output(count);
        const int64_t n = static_cast<int64_t>(count);
        ASSERT_OK(kernels().activation_forward(GetParam(), x.data(), y.data(), n, stream()));
        ASSERT_OK(kernels().activation_backward(GetParam(), x.data(), one.data(), dx.data(), n, stream()));
        const std::vector<float> forward = y.read(), backward = dx.read();
        for (size_t i = 0; i < count; ++i) {
            EXPECT_EQ(std::isnan(forward[i]), i == at) << i;
            // identity's derivative is 1 whatever was saved
            EXPECT_EQ(std::isnan(backward[i]), i == at && GetParam() != JL_IDENTITY) << i;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(All, ActivationTest,
                         testing::Range(static_cast<int32_t>(JL_IDENTITY),
                                        static_cast<int32_t>(JL_GELU) + 1));

TEST(Elementwise, AddMultiplyScaleFill) {
    for (const size_t count : {0, 1, 4, 5, 1023, 40003}) {
        const auto a = random_floats(count, -1.0f, 1.0f, 1), b = random_floats(count, -1.0f, 1.0f, 2);
        Floats left(a), right(b, 1), factor(std::vector<float>{-2.5f});
        auto out = Floats::output(count, 2);
        const int64_t n = static_cast<int64_t>(count);
        std::vector<float> sum(count), product(count), scaled(count);
        for (size_t i = 0; i < count; ++i)
            sum[i] = a[i] + b[i], product[i] = a[i] * b[i], scaled[i] = -2.5f * a[i];
        ASSERT_OK(kernels().multiply(left.data(), right.data(), out.data(), n, stream()));
        EXPECT_EQ(out.read(), product);
        ASSERT_OK(kernels().add(left.data(), right.data(), out.data(), n, stream()));
        EXPECT_EQ(out.read(), sum);
        ASSERT_OK(kernels().add(left.data(), right.data(), right.data(), n, stream()));  // in place
        EXPECT_EQ(right.read(), sum);
        ASSERT_OK(kernels().scale(left.data(), factor.data(), out.data(), n, stream()));
        EXPECT_EQ(out.read(), scaled);
        ASSERT_OK(kernels().scale(left.data(), factor.data(), left.data(), n, stream()));  // in place
        EXPECT_EQ(left.read(), scaled);
        ASSERT_OK(kernels().fill(out.data(), 3.25f, n, stream()));
        EXPECT_EQ(out.read(), std::vector<float>(count, 3.25f));
    }
}

float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint32_t to_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

TEST(Elementwise, Bf16RoundsToTheNearestEven) {
    std::vector<float> values;
    for (uint32_t bits :
         {0x3f800000u, 0x3f808000u, 0x3f818000u, 0x3f807fffu, 0x3f808001u, 0x7f7fffffu, 0x7f800000u,
          0xff800000u, 0x7f800001u, 0xffc00000u, 0x00000001u, 0x80000000u, 0x00008001u})
        values.push_back(from_bits(bits));
    const std::vector<uint16_t> expected = {0x3f80, 0x3f80, 0x3f82, 0x3f80, 0x3f81, 0x7f80, 0x7f80,
                                            0xff80, 0x7fc0, 0xffc0, 0x0000, 0x8000, 0x0001};
    for (const size_t shift : {0, 1}) {
        Floats x(values, shift);
        auto halves = Array<uint16_t>::output(values.size());
        ASSERT_OK(kernels().to_bf16(x.data(), halves.data(), static_cast<int64_t>(values.size()), stream()));
        EXPECT_EQ(halves.read(), expected);
    }
}

TEST(Elementwise, EveryBf16ComesBackAsItIs) {
    std::vector<uint16_t> all(1 << 16);
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
    for (const size_t left_out : {0, 1, 3}) {  // whole quads, and not
        const std::vector<uint16_t> some(all.begin() + static_cast<int64_t>(left_out), all.end());
        const int64_t count = static_cast<int64_t>(some.size());
        Array<uint16_t> halves(some);
        auto floats = Floats::output(some.size());
        auto back = Array<uint16_t>::output(some.size());
        ASSERT_OK(kernels().from_bf16(halves.data(), floats.data(), count, stream()));
        ASSERT_OK(kernels().to_bf16(floats.data(), back.data(), count, stream()));
        const auto wide = floats.read();
        const auto again = back.read();
        for (size_t i = 0; i < some.size(); ++i) {
            ASSERT_EQ(to_bits(wide[i]), static_cast<uint32_t>(some[i]) << 16);
            const bool signalling = std::isnan(wide[i]) && (some[i] & 0x40) == 0;
            ASSERT_EQ(again[i], signalling ? some[i] | 0x40 : some[i]);
        }
    }
    EXPECT_BAD_ARGUMENT(kernels().to_bf16(nullptr, nullptr, 1, stream()), "null");
    EXPECT_BAD_ARGUMENT(kernels().from_bf16(nullptr, nullptr, -1, stream()), "-1");
}

// Every activation in every pair of types, with and without a bias, in place where the types allow it.
TEST_P(ActivationTest, AfterABiasInEveryType) {
    for (const auto& [rows, columns] :
         {std::pair<int64_t, int64_t>{7, 13}, {1, 1}, {129, 3}, {4, 64}, {3, 20011}, {0, 5}, {5, 0}}) {
        const size_t count = static_cast<size_t>(rows * columns);
        const auto bias = random_floats(static_cast<size_t>(columns), -1.0f, 1.0f, 2);
        for (const bool biased : {true, false})
            for (const auto& [from, to] :
                 {std::pair<int32_t, int32_t>{JL_F32, JL_F32}, {JL_F32, JL_BF16}, {JL_BF16, JL_BF16}}) {
                auto x = random_floats(count, -6.0f, 6.0f, 1);
                Floats wide(x, 1), b(bias, 1);
                auto narrow = Array<uint16_t>::output(count, 1);
                if (from == JL_BF16) {
                    ASSERT_OK(
                        kernels().to_bf16(wide.data(), narrow.data(), static_cast<int64_t>(count), stream()));
                    const auto halves = narrow.read();
                    for (size_t i = 0; i < count; ++i)
                        x[i] = from_bits(static_cast<uint32_t>(halves[i]) << 16);
                }
                std::vector<double> expected(count);
                for (size_t i = 0; i < count; ++i) {
                    const size_t c = i % static_cast<size_t>(columns);
                    expected[i] = value(GetParam(), biased ? x[i] + bias[c] : x[i]);
                }
                const void* in = from == JL_F32 ? static_cast<void*>(wide.data()) : narrow.data();
                void* out = to == JL_F32 ? static_cast<void*>(wide.data()) : narrow.data();
                ASSERT_OK(kernels().bias_activation(GetParam(), from, in, biased ? b.data() : nullptr, to,
                                                    out, rows, columns, stream()));
                std::vector<float> actual = wide.read();
                if (to == JL_BF16) {
                    const auto halves = narrow.read();
                    for (size_t i = 0; i < count; ++i)
                        actual[i] = from_bits(static_cast<uint32_t>(halves[i]) << 16);
                }
                // x + bias is rounded before f, whose slope is at most 1.2; bf16 rounds once more.
                EXPECT_CLOSE(actual, expected, to == JL_F32 ? 2e-6 : 0x1p-8, 1e-6);
            }
    }
}

struct Extents {
    int64_t outer, n, inner;
};

class SumAxisTest : public testing::TestWithParam<Extents> {};

TEST_P(SumAxisTest, EqualsTheReference) {
    const auto [outer, n, inner] = GetParam();
    const size_t o = static_cast<size_t>(outer), j = static_cast<size_t>(n), c = static_cast<size_t>(inner);
    const auto x = random_floats(o * j * c, -1.0f, 1.0f);
    Floats in(x, 1);
    auto out = Floats::output(o * c);
    Workspace w(kernels().sum_axis_workspace(outer, n, inner));
    std::vector<double> expected(o * c, 0.0);
    for (size_t i = 0; i < x.size(); ++i) expected[i / (j * c) * c + i % c] += x[i];
    std::vector<float> first;
    for (int repeat = 0; repeat < 2; ++repeat) {  // the workspace is ready again; the bits are the same
        ASSERT_OK(kernels().sum_axis(in.data(), out.data(), outer, n, inner, w.get(), stream()));
        const std::vector<float> sums = out.read();
        EXPECT_CLOSE(sums, expected, 1e-6, 1e-7 * std::sqrt(static_cast<double>(n)) * 8.0 + 1e-7);
        if (repeat == 1) {
            EXPECT_EQ(sums, first);
        }
        first = sums;
    }
}

INSTANTIATE_TEST_SUITE_P(Cases, SumAxisTest,
                         testing::Values(Extents{1, 0, 3}, Extents{1, 1, 1}, Extents{1, 128, 784},
                                         Extents{1, 7, 33}, Extents{1, 256, 31}, Extents{1, 257, 32},
                                         Extents{1, 1025, 65}, Extents{1, 20011, 3}, Extents{1, 3, 5000},
                                         Extents{1, 5, 0}, Extents{0, 5, 3}, Extents{3, 7, 1},
                                         Extents{9, 512, 1}, Extents{3, 513, 1}, Extents{2, 33001, 1},
                                         Extents{1, 100003, 1}, Extents{5, 49, 67}, Extents{2, 1500, 5},
                                         Extents{40, 300, 2}, Extents{4, 0, 1}));

struct Blocks {
    int64_t rows, columns, x_stride, out_stride;
    size_t shift;
};

TEST(Elementwise, CopyBlocksLeavesTheRestAlone) {
    for (const Blocks& b :
         {Blocks{3, 4, 8, 12, 0}, Blocks{3, 4, 8, 12, 1}, Blocks{7, 3, 3, 5, 0},
          Blocks{1, 9001, 9001, 9001, 0}, Blocks{5, 8, 9, 8, 0}, Blocks{0, 3, 3, 3, 0}, Blocks{4, 0, 2, 2, 0},
          Blocks{2500, 7, 11, 9, 2}, Blocks{3, 4096, 4100, 4096, 0}}) {
        const auto x = random_floats(static_cast<size_t>(b.rows * b.x_stride), -1.0f, 1.0f);
        auto expected = random_floats(static_cast<size_t>(b.rows * b.out_stride), -1.0f, 1.0f, 2);
        Floats in(x, b.shift), out(expected, b.shift);
        for (int64_t r = 0; r < b.rows; ++r)
            for (int64_t c = 0; c < b.columns; ++c)
                expected[static_cast<size_t>(r * b.out_stride + c)] =
                    x[static_cast<size_t>(r * b.x_stride + c)];
        ASSERT_OK(kernels().copy_blocks(in.data(), b.x_stride, out.data(), b.out_stride, b.rows, b.columns,
                                        stream()));
        EXPECT_EQ(out.read(), expected);
    }
}

TEST(Elementwise, BadArgumentsAreNamed) {
    Floats x(std::vector<float>(4, 0.0f));
    Workspace w(1024);
    EXPECT_BAD_ARGUMENT(kernels().activation_forward(99, x.data(), x.data(), 4, stream()), "99");
    EXPECT_BAD_ARGUMENT(kernels().activation_forward(JL_RELU, nullptr, x.data(), 4, stream()), "null");
    EXPECT_BAD_ARGUMENT(kernels().add(x.data(), x.data(), x.data(), -1, stream()), "-1");
    const auto after_bias = [&](int32_t from, int32_t to, float* y, int64_t rows) {
        return kernels().bias_activation(JL_RELU, from, x.data(), nullptr, to, y, rows, 2, stream());
    };
    EXPECT_BAD_ARGUMENT(after_bias(JL_BF16, JL_F32, x.data(), 2), "types 1 to 0");
    EXPECT_BAD_ARGUMENT(after_bias(JL_F32, JL_F32, nullptr, 2), "null");
    EXPECT_BAD_ARGUMENT(after_bias(JL_F32, JL_F32, x.data(), -2), "-2 and 2");
    EXPECT_BAD_ARGUMENT(after_bias(JL_F32, JL_F32, x.data(), int64_t{1} << 40), "2^38");
    EXPECT_BAD_ARGUMENT(kernels().add(x.data(), x.data(), x.data(), (int64_t{1} << 38) + 1, stream()),
                        "2^38");
    const int64_t huge = int64_t{1} << 32;
    EXPECT_BAD_ARGUMENT(kernels().sum_axis(x.data(), x.data(), huge, 1, huge, w.get(), stream()), "x 1 x");
    EXPECT_BAD_ARGUMENT(kernels().copy_blocks(x.data(), huge, x.data(), 2, huge, 2, stream()),
                        "strides 4294967296 and 2");
    EXPECT_BAD_ARGUMENT(kernels().scale(x.data(), nullptr, x.data(), 4, stream()), "factor");
    EXPECT_BAD_ARGUMENT(kernels().multiply(x.data(), nullptr, x.data(), 4, stream()), "multiply");
    EXPECT_BAD_ARGUMENT(kernels().sum_axis(x.data(), x.data(), 1, 2, 2, {w.get().data, 4}, stream()),
                        "4 bytes");
    EXPECT_BAD_ARGUMENT(kernels().sum_axis(x.data(), x.data(), 1, -2, 2, w.get(), stream()), "[1, -2, 2]");
    EXPECT_BAD_ARGUMENT(kernels().copy_blocks(x.data(), 1, x.data(), 2, 2, 2, stream()), "1 and 2");
    EXPECT_BAD_ARGUMENT(kernels().copy_blocks(x.data(), 2, nullptr, 2, 2, 2, stream()), "null");
}

}  // namespace
}  // namespace jlatent::test
