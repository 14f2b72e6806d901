// softmax against fp64 references, written straight from the formulas of softmax.h.
#include "case_table.h"

namespace jlatent::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<double> reference(bool log, const std::vector<double>& x, size_t columns) {
    std::vector<double> y(x.size());
    for (size_t start = 0; start < x.size(); start += columns) {
        double most = -kInfinity, sum = 0.0;
        for (size_t c = start; c < start + columns; ++c) most = std::max(most, x[c]);
        for (size_t c = start; c < start + columns; ++c) sum += std::exp(x[c] - most);
        for (size_t c = start; c < start + columns; ++c)
            y[c] = log ? x[c] - most - std::log(sum) : std::exp(x[c] - most) / sum;
    }
    return y;
}

struct Case {
    int64_t rows, columns;
};

class SoftmaxTest : public testing::TestWithParam<Case> {};

TEST_P(SoftmaxTest, ForwardAndBackwardEqualTheReference) {
    const auto [rows, columns] = GetParam();
    const size_t count = static_cast<size_t>(rows * columns), width = static_cast<size_t>(columns);
    for (const bool log : {false, true}) {
        const auto x = random_floats(count, -9.0f, 9.0f, 1), dy = random_floats(count, -1.0f, 1.0f, 2);
        Floats in(x, 1), gradient(dy, 3);
        auto y = Floats::output(count, 2), dx = Floats::output(count, 1);
        ASSERT_OK(kernels().softmax_forward(log, in.data(), y.data(), rows, columns, stream()));
        ASSERT_OK(
            kernels().softmax_backward(log, y.data(), gradient.data(), dx.data(), rows, columns, stream()));
        const std::vector<double> expected =
            width == 0 ? std::vector<double>{} : reference(log, doubles(x), width);
        // x - m is rounded before its exponential: up to 18 times 6e-8. log: the same, absolute.
        EXPECT_CLOSE(y.read(), expected, log ? 2e-7 : 2e-6, log ? 2e-6 : 1e-12);
        std::vector<double> derivative(count);
        for (size_t start = 0; start < count; start += width) {
            double sum = 0.0;
            for (size_t c = start; c < start + width; ++c) sum += log ? dy[c] : expected[c] * dy[c];
            for (size_t c = start; c < start + width; ++c)
                derivative[c] = log ? dy[c] - std::exp(expected[c]) * sum : expected[c] * (dy[c] - sum);
        }
        EXPECT_CLOSE(dx.read(), derivative, 4e-6, 2e-7 + 1e-7 * (log ? std::sqrt(columns) : 0.0));
        // In place.
        ASSERT_OK(kernels().softmax_backward(log, y.data(), gradient.data(), gradient.data(), rows, columns,
                                             stream()));
        EXPECT_EQ(gradient.read(), dx.read());
        ASSERT_OK(kernels().softmax_forward(log, in.data(), in.data(), rows, columns, stream()));
        EXPECT_EQ(in.read(), y.read());
    }
}

INSTANTIATE_TEST_SUITE_P(Cases, SoftmaxTest,
                         testing::Values(Case{0, 5}, Case{4, 0}, Case{1, 1}, Case{9, 1}, Case{5, 2},
                                         Case{3, 31}, Case{37, 32}, Case{2, 33}, Case{19, 257}, Case{9, 512},
                                         Case{2, 513}, Case{37, 1025}, Case{1, 20011}, Case{700, 7}));

TEST(Softmax, BackwardEqualsCentralDifferences) {
    const size_t columns = 7;
    const auto x = random_floats(columns, -2.0f, 2.0f), dy = random_floats(columns, -1.0f, 1.0f, 2);
    for (const bool log : {false, true}) {
        Floats in(x), gradient(dy);
        auto y = Floats::output(columns), dx = Floats::output(columns);
        ASSERT_OK(kernels().softmax_forward(log, in.data(), y.data(), 1, columns, stream()));
        ASSERT_OK(
            kernels().softmax_backward(log, y.data(), gradient.data(), dx.data(), 1, columns, stream()));
        const auto loss = [&](const std::vector<double>& p) {
            double sum = 0.0;
            const auto out = reference(log, p, columns);
            for (size_t i = 0; i < columns; ++i) sum += dy[i] * out[i];
            return sum;
        };
        EXPECT_CLOSE(dx.read(), numeric_gradient(loss, doubles(x)), 1e-6, 5e-7);
    }
}

// Two rows, so that what one holds is seen not to reach the other.
std::vector<float> forward(bool log, std::vector<float> row) {
    const size_t columns = row.size();
    row.resize(2 * columns, 0.0f);
    Floats in(row);
    auto y = Floats::output(2 * columns);
    EXPECT_EQ(kernels().softmax_forward(log, in.data(), y.data(), 2, static_cast<int64_t>(columns), stream()),
              JL_OK);
    const std::vector<float> all = y.read();
    for (size_t c = columns; c < 2 * columns; ++c) EXPECT_TRUE(std::isfinite(all[c]));
    return {all.begin(), all.begin() + static_cast<int64_t>(columns)};
}

TEST(Softmax, HugeLogitsDoNotOverflow) {
    const float huge = 3e38f;
    EXPECT_EQ(forward(false, {huge, -huge, 0.0f}), (std::vector<float>{1.0f, 0.0f, 0.0f}));
    EXPECT_CLOSE(forward(false, {huge, huge}), (std::vector<double>{0.5, 0.5}), 1e-7, 0.0);
    EXPECT_CLOSE(forward(true, {huge, huge, 1000.0f}),
                 (std::vector<double>{-std::log(2.0), -std::log(2.0), -3e38}), 1e-6, 0.0);
    EXPECT_EQ(forward(false, {-huge}), (std::vector<float>{1.0f}));
    EXPECT_EQ(forward(true, {-huge}), (std::vector<float>{0.0f}));
}

TEST(Softmax, InfinitiesFollowTheHeader) {
    const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
    for (const size_t columns : {3, 40, 600}) {
        std::vector<float> row(columns, -inf);
        row[1] = row[columns - 1] = 2.0f;
        std::vector<double> p(columns, 0.0), q(columns, -kInfinity);
        p[1] = p[columns - 1] = 0.5, q[1] = q[columns - 1] = -std::log(2.0);
        EXPECT_CLOSE(forward(false, row), p, 1e-6, 0.0);
        EXPECT_CLOSE(forward(true, row), q, 1e-6, 0.0);
        for (const float bad : {inf, nan, -inf}) {
            std::vector<float> spoilt(columns, bad == -inf ? -inf : 0.0f);
            spoilt[columns / 2] = bad;
            for (const bool log : {false, true})
                for (const float v : forward(log, spoilt)) EXPECT_TRUE(std::isnan(v)) << bad << " " << log;
        }
    }
}

// Masked entries have no gradient, and take none from the others.
TEST(Softmax, BackwardPastMinusInfinity) {
    const float inf = std::numeric_limits<float>::infinity();
    Floats x(std::vector<float>{1.0f, -inf, 1.0f}), dy(std::vector<float>{1.0f, 5.0f, 0.0f});
    auto y = Floats::output(3), dx = Floats::output(3);
    ASSERT_OK(kernels().softmax_forward(0, x.data(), y.data(), 1, 3, stream()));
    ASSERT_OK(kernels().softmax_backward(0, y.data(), dy.data(), dx.data(), 1, 3, stream()));
    EXPECT_CLOSE(dx.read(), (std::vector<double>{0.25, 0.0, -0.25}), 1e-6, 0.0);
}

TEST(Softmax, BadArgumentsAreNamed) {
    Floats x(std::vector<float>(4, 0.0f));
    EXPECT_BAD_ARGUMENT(kernels().softmax_forward(0, x.data(), x.data(), -1, 2, stream()), "-1 and 2");
    EXPECT_BAD_ARGUMENT(
        kernels().softmax_forward(0, x.data(), x.data(), int64_t{1} << 32, int64_t{1} << 32, stream()),
        "4294967296 x 4294967296");
    EXPECT_BAD_ARGUMENT(kernels().softmax_forward(0, nullptr, x.data(), 2, 2, stream()), "softmax_forward");
    EXPECT_BAD_ARGUMENT(kernels().softmax_backward(1, x.data(), nullptr, x.data(), 2, 2, stream()), "null");
}

}  // namespace
}  // namespace jlatent::test
