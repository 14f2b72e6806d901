// finite_scalar_quantize against an fp64 reference written from its formulas, and its codes, bit for bit, against the
// header's own arithmetic as this program's compiler does it.
#define JL_TABLE reference
#include "finite_scalar_quantize.h"

#include "case_table.h"

namespace jlatent::test {
namespace {

using Codes = Array<int32_t>;
using Shape = jl_finite_scalar_quantize;
namespace exact = jlatent::reference;

Shape shape_of(int64_t rows, const std::vector<int32_t>& levels) {
    Shape s = {rows, static_cast<int64_t>(levels.size()), {}};
    std::copy(levels.begin(), levels.end(), s.levels);
    return s;
}

// The paper's bound of a value, before it is rounded.
double bounded(double x, int32_t levels) {
    const double half = (levels - 1) * (1 - 1e-3) / 2, offset = levels % 2 == 0 ? 0.5 : 0.0;
    return std::tanh(x + std::tan(offset / half)) * half - offset;
}

// Unlike floats, 0 and -0 differ.
std::vector<uint32_t> bits(const std::vector<float>& values) {
    std::vector<uint32_t> words(values.size());
    for (size_t i = 0; i < values.size(); ++i) words[i] = exact::bits_of_float(values[i]);
    return words;
}

struct Outputs {
    std::vector<int32_t> codes;
    std::vector<float> q;
};

Outputs forward(const Shape& s, const std::vector<float>& x, size_t shift = 0) {
    Floats in(x, shift);
    Codes codes = Codes::output(static_cast<size_t>(s.rows), shift);
    Floats q = Floats::output(x.size(), shift);
    EXPECT_EQ(kernels().finite_scalar_quantize_forward(&s, in.data(), codes.data(), q.data(), stream()),
              JL_OK)
        << kernels().last_error();
    EXPECT_EQ(in.read(), x);
    return {codes.read(), q.read()};
}

std::vector<float> decode(const Shape& s, const std::vector<int32_t>& codes) {
    Codes in(codes, 1);
    Floats q = Floats::output(codes.size() * static_cast<size_t>(s.dims), 1);
    EXPECT_EQ(kernels().finite_scalar_quantize_decode(&s, in.data(), q.data(), stream()), JL_OK)
        << kernels().last_error();
    return q.read();
}

// What every table should give, bit for bit.
Outputs exact_forward(const Shape& s, const std::vector<float>& x) {
    const auto row = exact::levels_of(s);
    Outputs out = {std::vector<int32_t>(static_cast<size_t>(s.rows), 0), std::vector<float>(x.size())};
    const size_t dims = static_cast<size_t>(s.dims);
    for (size_t i = 0; i < x.size(); ++i) {
        const auto& l = row.of[i % dims];
        const float level = exact::round_to_level(x[i], l.half, l.shift, l.offset);
        out.q[i] = level / static_cast<float>(l.width);
        out.codes[i / dims] += (static_cast<int32_t>(level) + l.width) * l.basis;
    }
    return out;
}

struct Case {
    int64_t rows;
    std::vector<int32_t> levels;
    size_t shift;
};

class FiniteScalarQuantizeTest : public testing::TestWithParam<Case> {};

TEST_P(FiniteScalarQuantizeTest, ForwardIsThePapersAndDecodeTurnsItBack) {
    const Case& c = GetParam();
    const Shape s = shape_of(c.rows, c.levels);
    const size_t dims = c.levels.size(), count = static_cast<size_t>(c.rows) * dims;
    const auto x = random_floats(count, -3.0f, 3.0f);
    const Outputs out = forward(s, x, c.shift);
    size_t close = 0;
    for (size_t n = 0; n < static_cast<size_t>(c.rows); ++n) {
        int64_t code = 0, basis = 1;
        for (size_t d = 0; d < dims; ++d) {
            const int32_t levels = c.levels[d], width = levels / 2;
            const double value = bounded(x[n * dims + d], levels), level = out.q[n * dims + d] * width;
            const bool tie = std::abs(std::abs(value - std::floor(value)) - 0.5) < 1e-6 * levels;
            close += tie;
            if (tie)
                EXPECT_LT(std::abs(level - value), 0.5 + 1e-6 * levels) << n << ", " << d;
            else
                EXPECT_EQ(out.q[n * dims + d],
                          static_cast<float>(std::nearbyint(value)) / static_cast<float>(width))
                    << n << ", " << d;
            code += (std::llround(level) + width) * basis;
            basis *= levels;
        }
        EXPECT_EQ(out.codes[n], code) << n;
    }
    if (*std::max_element(c.levels.begin(), c.levels.end()) < 100) {
        EXPECT_LE(close, count / 1000 + 1) << "too many were let off as ties";
    }
    EXPECT_EQ(bits(decode(s, out.codes)), bits(out.q));
    const Outputs expected = exact_forward(s, x);
    EXPECT_EQ(out.codes, expected.codes);
    EXPECT_EQ(bits(out.q), bits(expected.q));
}

TEST_P(FiniteScalarQuantizeTest, BackwardIsTheBoundsSlope) {
    const Case& c = GetParam();
    const Shape s = shape_of(c.rows, c.levels);
    const size_t dims = c.levels.size(), count = static_cast<size_t>(c.rows) * dims;
    const auto x = random_floats(count, -6.0f, 6.0f), dq = random_floats(count, -1.0f, 1.0f, 2);
    Floats in(x, c.shift), d_q(dq, c.shift), d_x = Floats::output(count, c.shift);
    ASSERT_OK(kernels().finite_scalar_quantize_backward(&s, in.data(), d_q.data(), d_x.data(), stream()));
    std::vector<double> expected(count);
    for (size_t i = 0; i < count; ++i) {
        const int32_t levels = c.levels[i % dims];
        const double h = 1e-5, slope = (bounded(x[i] + h, levels) - bounded(x[i] - h, levels)) / (2 * h);
        expected[i] = dq[i] * slope / (levels / 2);
    }
    EXPECT_CLOSE(d_x.read(), expected, 3e-6, 1e-9);
    ASSERT_OK(kernels().finite_scalar_quantize_backward(&s, in.data(), d_q.data(), d_q.data(), stream()));
    EXPECT_EQ(d_q.read(), d_x.read());  // in place
}

INSTANTIATE_TEST_SUITE_P(Cases, FiniteScalarQuantizeTest,
                         testing::Values(Case{0, {3}, 0}, Case{1, {2}, 0}, Case{1, {7}, 1},
                                         Case{15, {8, 6, 5}, 0}, Case{16, {8, 5, 5, 5}, 3},
                                         Case{17, {7, 5, 5, 5, 5}, 1}, Case{511, {8, 8, 8, 6, 5}, 0},
                                         Case{513, {4, 3}, 0}, Case{1025, std::vector<int32_t>(30, 2), 1},
                                         Case{3000, {2, 3, 4, 5, 6, 7, 8, 9, 10}, 0},
                                         Case{700, {1000, 1001, 2000}, 0}, Case{100, {2147483647}, 0},
                                         Case{5001, {3}, 2}));

// About the largest x that rounds to at most `level`, where bits decide.
float boundary(const exact::ScalarLevels& l, int32_t level) {
    float low = -20.0f, high = 20.0f;
    for (int i = 0; i < 60; ++i) {
        const float middle = low + (high - low) / 2;
        (exact::round_to_level(middle, l.half, l.shift, l.offset) <= level ? low : high) = middle;
    }
    return low;
}

TEST(FiniteScalarQuantize, CodesAreTheSameBitsRightAtTheBoundaries) {
    for (int32_t levels = 2; levels <= 17; ++levels) {
        const auto l = exact::levels_of(shape_of(1, {levels})).of[0];
        std::vector<float> x = {0.0f, -0.0f, 1e-40f, -1e-40f, 1e30f, -1e30f, 3.4e38f, -3.4e38f, -l.shift};
        for (int32_t level = -l.width; level < levels - 1 - l.width; ++level) {
            float at = boundary(l, level);
            for (int i = 0; i < 20; ++i) at = std::nextafter(at, -100.0f);
            for (int i = 0; i < 40; ++i) x.push_back(at = std::nextafter(at, 100.0f));
        }
        const Shape s = shape_of(static_cast<int64_t>(x.size()), {levels});
        const Outputs out = forward(s, x), expected = exact_forward(s, x);
        EXPECT_EQ(out.codes, expected.codes) << levels;
        EXPECT_EQ(bits(out.q), bits(expected.q)) << levels;
        const auto [low, high] = std::minmax_element(out.codes.begin(), out.codes.end());
        EXPECT_EQ(*low, 0) << levels;
        EXPECT_EQ(*high, levels - 1) << levels;
    }
}

TEST(FiniteScalarQuantize, CodesAreTheSameBitsEverywhere) {
    for (const float range : {0.1f, 1.0f, 10.0f}) {
        const Shape s = shape_of(4000, {8, 5, 5, 5});
        const auto x = random_floats(16000, -range, range, 7);
        const Outputs out = forward(s, x), expected = exact_forward(s, x);
        EXPECT_EQ(out.codes, expected.codes);
        EXPECT_EQ(bits(out.q), bits(expected.q));
    }
}

TEST(FiniteScalarQuantize, EveryCodeIsReached) {
    const Shape s = shape_of(3000, {4, 3, 2});
    std::vector<int> seen(24, 0);
    for (const int32_t code : forward(s, random_floats(9000, -2.0f, 2.0f)).codes)
        ++seen.at(static_cast<size_t>(code));
    EXPECT_EQ(std::count(seen.begin(), seen.end(), 0), 0);
}

// At x = -s an even number of levels gives exactly -1/2, which rounds to 0 and not to -1.
TEST(FiniteScalarQuantize, TiesGoToEven) {
    for (const int32_t levels : {2, 4, 6, 16}) {
        const double half = (levels - 1) * (1 - 1e-3) / 2;
        const Outputs out = forward(shape_of(1, {levels}), {-static_cast<float>(std::tan(0.5 / half))});
        EXPECT_EQ(out.q[0], 0.0f) << levels;
        EXPECT_EQ(out.codes[0], levels / 2) << levels;
    }
}

bool on_cpu() { return std::string(kernels().name).rfind("cpu", 0) == 0; }

TEST(FiniteScalarQuantize, RowsThatAreNotFiniteAreRefusedOrMarked) {
    const Shape s = shape_of(40, {5, 5, 5});
    const auto clean = random_floats(120, -1.0f, 1.0f);
    const Outputs whole = forward(s, clean);
    for (const float bad :
         {std::nanf(""), std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
        auto x = clean;
        x[3 * 33 + 1] = x[3 * 36] = bad;
        Floats in(x), q = Floats::output(120);
        Codes codes = Codes::output(40);
        const auto call = [&] {
            return kernels().finite_scalar_quantize_forward(&s, in.data(), codes.data(), q.data(), stream());
        };
        if (on_cpu()) {
            EXPECT_BAD_ARGUMENT(call(), "row 33 of x is not finite");
            continue;
        }
        ASSERT_OK(call());
        const auto code = codes.read();
        const auto value = q.read();
        for (size_t n = 0; n < 40; ++n) {
            const bool marked = n == 33 || n == 36;
            EXPECT_EQ(code[n], marked ? -1 : whole.codes[n]) << n;
            for (size_t i = 3 * n; i < 3 * n + 3; ++i)
                if (marked)
                    EXPECT_TRUE(std::isnan(value[i])) << i;
                else
                    EXPECT_EQ(value[i], whole.q[i]) << i;
        }
    }
}

TEST(FiniteScalarQuantize, CodesOutOfRangeAreRefusedOrMarked) {
    const Shape s = shape_of(4, {3, 2});
    Codes codes(std::vector<int32_t>{5, 6, 0, -1});
    Floats q = Floats::output(8);
    const auto call = [&] {
        return kernels().finite_scalar_quantize_decode(&s, codes.data(), q.data(), stream());
    };
    if (on_cpu()) {
        EXPECT_BAD_ARGUMENT(call(), "codes[1] is 6, but there are 6 codes");
        return;
    }
    ASSERT_OK(call());
    const auto value = q.read();
    const std::vector<float> first = {1.0f, 0.0f}, third = {-1.0f, -1.0f};
    for (size_t d = 0; d < 2; ++d) {
        EXPECT_EQ(value[d], first[d]);
        EXPECT_EQ(value[4 + d], third[d]);
        EXPECT_TRUE(std::isnan(value[2 + d]) && std::isnan(value[6 + d]));
    }
}

TEST(FiniteScalarQuantize, BadArgumentsAreNamed) {
    Floats x(std::vector<float>(62, 0.0f));
    Codes codes(std::vector<int32_t>(2, 0));
    const auto call = [&](const Shape* s) {
        return kernels().finite_scalar_quantize_forward(s, x.data(), codes.data(), x.data(), stream());
    };
    const auto with = [&](int64_t rows, const std::vector<int32_t>& levels) {
        const Shape s = shape_of(rows, levels);
        return call(&s);
    };
    Shape large = shape_of(2, {2});
    large.dims = 31;
    EXPECT_BAD_ARGUMENT(call(nullptr), "shape is null");
    EXPECT_BAD_ARGUMENT(call(&large), "got 2 and 31");
    EXPECT_BAD_ARGUMENT(with(2, {}), "got 2 and 0");
    EXPECT_BAD_ARGUMENT(with(-1, {2}), "got -1 and 1");
    EXPECT_BAD_ARGUMENT(with(int64_t{1} << 37, {2, 2, 2}), "137438953472 x 3");
    EXPECT_BAD_ARGUMENT(with(2, {2, 1}), "levels[1] must be at least 2, got 1");
    EXPECT_BAD_ARGUMENT(with(2, {65536, 32768}), "below 2^31");
    const Shape s = shape_of(2, {2});
    EXPECT_BAD_ARGUMENT(kernels().finite_scalar_quantize_forward(&s, x.data(), nullptr, x.data(), stream()),
                        "null");
    EXPECT_BAD_ARGUMENT(kernels().finite_scalar_quantize_backward(&s, x.data(), nullptr, x.data(), stream()),
                        "null");
    EXPECT_BAD_ARGUMENT(kernels().finite_scalar_quantize_decode(&s, nullptr, x.data(), stream()), "null");
}

}  // namespace
}  // namespace jlatent::test
