// l2_normalize against fp64 references, written straight from the formulas of l2_normalize.h.
#include "case_table.h"

namespace jlatent::test {
namespace {

constexpr float kEpsilon = 1e-12f;

std::vector<double> reference(const std::vector<double>& x, size_t dims, double epsilon = kEpsilon) {
    std::vector<double> y(x.size());
    for (size_t start = 0; start < x.size(); start += dims) {
        double square = 0.0;
        for (size_t i = start; i < start + dims; ++i) square += x[i] * x[i];
        for (size_t i = start; i < start + dims; ++i) y[i] = x[i] / std::max(std::sqrt(square), epsilon);
    }
    return y;
}

struct Case {
    int64_t rows, dims;
};

class L2NormalizeTest : public testing::TestWithParam<Case> {};

TEST_P(L2NormalizeTest, ForwardAndBackwardEqualTheReference) {
    const auto [rows, dims] = GetParam();
    const size_t count = static_cast<size_t>(rows * dims), width = static_cast<size_t>(dims);
    const auto x = random_floats(count, -2.0f, 2.0f), dy = random_floats(count, -1.0f, 1.0f, 2);
    Floats in(x, 1), gradient(dy, 3), y = Floats::output(count, 2), dx = Floats::output(count, 1);
    ASSERT_OK(kernels().l2_normalize_forward(in.data(), y.data(), rows, dims, kEpsilon, stream()));
    ASSERT_OK(kernels().l2_normalize_backward(in.data(), gradient.data(), dx.data(), rows, dims, kEpsilon,
                                              stream()));
    const auto expected = width == 0 ? std::vector<double>{} : reference(doubles(x), width);
    std::vector<double> derivative(count);
    for (size_t start = 0; start < count; start += width) {
        double product = 0.0, length = 0.0;
        for (size_t i = start; i < start + width; ++i)
            product += expected[i] * dy[i], length += static_cast<double>(x[i]) * x[i];
        for (size_t i = start; i < start + width; ++i)
            derivative[i] = (dy[i] - expected[i] * product) / std::sqrt(length);
    }
    EXPECT_CLOSE(y.read(), expected, 1e-7, 0.0);  // rounded once
    // Rounded once, of a difference that fp64 took.
    EXPECT_CLOSE(dx.read(), derivative, 1e-7, 1e-12);
    ASSERT_OK(kernels().l2_normalize_backward(in.data(), gradient.data(), gradient.data(), rows, dims,
                                              kEpsilon, stream()));
    EXPECT_EQ(gradient.read(), dx.read());  // in place
    ASSERT_OK(kernels().l2_normalize_forward(in.data(), in.data(), rows, dims, kEpsilon, stream()));
    EXPECT_EQ(in.read(), y.read());
}

INSTANTIATE_TEST_SUITE_P(Cases, L2NormalizeTest,
                         testing::Values(Case{0, 5}, Case{4, 0}, Case{1, 1}, Case{9, 1}, Case{5, 2},
                                         Case{3, 31}, Case{37, 32}, Case{2, 33}, Case{19, 257}, Case{9, 512},
                                         Case{2, 513}, Case{37, 1025}, Case{1, 20011}, Case{700, 7}));

TEST(L2Normalize, BackwardEqualsCentralDifferences) {
    const size_t dims = 7;
    const auto x = random_floats(2 * dims, -2.0f, 2.0f), dy = random_floats(2 * dims, -1.0f, 1.0f, 2);
    // The second time every row is shorter than epsilon, where the operation is linear.
    for (const float epsilon : {kEpsilon, 10.0f}) {
        Floats in(x), gradient(dy), dx = Floats::output(2 * dims);
        ASSERT_OK(kernels().l2_normalize_backward(in.data(), gradient.data(), dx.data(), 2,
                                                  static_cast<int64_t>(dims), epsilon, stream()));
        const auto loss = [&](const std::vector<double>& p) {
            double sum = 0.0;
            const auto out = reference(p, dims, epsilon);
            for (size_t i = 0; i < out.size(); ++i) sum += dy[i] * out[i];
            return sum;
        };
        EXPECT_CLOSE(dx.read(), numeric_gradient(loss, doubles(x)), 1e-6, 1e-9);
    }
}

// Two rows, so that what one holds is seen not to reach the other.
std::vector<float> forward(std::vector<float> row) {
    const size_t dims = row.size();
    row.resize(2 * dims, 1.0f);
    Floats in(row), y = Floats::output(2 * dims);
    EXPECT_EQ(kernels().l2_normalize_forward(in.data(), y.data(), 2, static_cast<int64_t>(dims), kEpsilon,
                                             stream()),
              JL_OK);
    const std::vector<float> all = y.read();
    for (size_t d = dims; d < 2 * dims; ++d)
        EXPECT_NEAR(all[d], 1.0 / std::sqrt(static_cast<double>(dims)), 1e-7);
    return {all.begin(), all.begin() + static_cast<int64_t>(dims)};
}

TEST(L2Normalize, NoLengthOverflowsOrDividesByZero) {
    EXPECT_EQ(forward({0.0f, -0.0f, 0.0f}), (std::vector<float>{0.0f, -0.0f, 0.0f}));
    EXPECT_CLOSE(forward({3e38f, -3e38f}), (std::vector<double>{std::sqrt(0.5), -std::sqrt(0.5)}), 1e-7, 0.0);
    EXPECT_CLOSE(forward({3e-11f, 4e-11f}), (std::vector<double>{0.6, 0.8}), 2e-7, 0.0);
    EXPECT_CLOSE(forward({3e-14f, 4e-14f}), (std::vector<double>{0.03, 0.04}), 2e-7, 0.0);
    EXPECT_CLOSE(forward({1e-40f}), (std::vector<double>{1e-28}), 1e-4, 0.0);
}

TEST(L2Normalize, WhatIsNotFiniteStaysInItsRow) {
    const float inf = std::numeric_limits<float>::infinity();
    for (const size_t dims : {3, 40, 600}) {
        std::vector<float> row(dims, 2.0f);
        row[1] = std::nanf("");
        for (const float v : forward(row)) EXPECT_TRUE(std::isnan(v));
        row[1] = -inf;
        const auto y = forward(row);
        for (size_t d = 0; d < dims; ++d)
            if (d == 1)
                EXPECT_TRUE(std::isnan(y[d]));
            else
                EXPECT_EQ(y[d], 0.0f);
    }
}

TEST(L2Normalize, BadArgumentsAreNamed) {
    Floats x(std::vector<float>(4, 0.0f));
    const auto call = [&](const float* in, int64_t rows, int64_t dims, float epsilon) {
        return kernels().l2_normalize_forward(in, x.data(), rows, dims, epsilon, stream());
    };
    EXPECT_BAD_ARGUMENT(call(x.data(), -1, 2, kEpsilon), "-1 and 2");
    EXPECT_BAD_ARGUMENT(call(x.data(), int64_t{1} << 32, int64_t{1} << 32, kEpsilon),
                        "4294967296 x 4294967296");
    EXPECT_BAD_ARGUMENT(call(nullptr, 2, 2, kEpsilon), "l2_normalize_forward");
    for (const float epsilon : {0.0f, -1.0f, 1e-40f, std::nanf(""), std::numeric_limits<float>::infinity()})
        EXPECT_BAD_ARGUMENT(call(x.data(), 2, 2, epsilon), "epsilon must be finite");
    EXPECT_BAD_ARGUMENT(
        kernels().l2_normalize_backward(x.data(), nullptr, x.data(), 2, 2, kEpsilon, stream()), "null");
}

}  // namespace
}  // namespace jlatent::test
