// dense.h against fp64: odd sizes, both layouts, every activation, poisoned output.
#include "dense.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace {

double activate(int32_t activation, double x) {
    switch (activation) {
        case JL_RELU:
            return x > 0.0 ? x : 0.0;
        case JL_TANH:
            return std::tanh(x);
        case JL_SIGMOID:
            return 1.0 / (1.0 + std::exp(-x));
        case JL_SOFTPLUS:
            return x > 0.0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
        case JL_ELU:
            return x < 0.0 ? std::expm1(x) : x;
        case JL_SILU:
            return x / (1.0 + std::exp(-x));
        case JL_GELU:
            return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
        default:
            return x;
    }
}

std::vector<float> random_floats(size_t count, unsigned seed) {
    std::mt19937 engine(seed);
    std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
    std::vector<float> values(count);
    for (float& v : values) v = uniform(engine);
    return values;
}

void check(const jl_matmul& s, bool with_bias) {
    const auto a = random_floats(static_cast<size_t>(s.m * s.k), 1),
               b = random_floats(static_cast<size_t>(s.k * s.n), 2);
    const auto bias = random_floats(static_cast<size_t>(s.n), 3);
    std::vector<float> out(static_cast<size_t>(s.m * s.n) + 1, -1e30f);
    ASSERT_EQ(jl_open_dense()->matmul(&s, a.data(), b.data(), with_bias ? bias.data() : nullptr, out.data()),
              JL_OK)
        << jl_open_dense()->last_error();
    EXPECT_EQ(out.back(), -1e30f) << "wrote past the end";
    for (int64_t i = 0; i < s.m; ++i)
        for (int64_t j = 0; j < s.n; ++j) {
            double sum = with_bias ? bias[static_cast<size_t>(j)] : 0.0, magnitude = std::abs(sum);
            for (int64_t l = 0; l < s.k; ++l) {
                const double x = a[static_cast<size_t>(s.transpose_a ? l * s.m + i : i * s.k + l)];
                const double y = b[static_cast<size_t>(s.transpose_b ? j * s.k + l : l * s.n + j)];
                sum += x * y;
                magnitude += std::abs(x * y);
            }
            // Rounding of a sum of k terms: at most k eps sum |terms|; activations are 1.2-Lipschitz and add
            // their own 1e-6.
            const double tolerance = 1.2e-7 * static_cast<double>(s.k) * magnitude + 2e-6;
            ASSERT_NEAR(out[static_cast<size_t>(i * s.n + j)], activate(s.activation, sum), tolerance)
                << "at [" << i << ", " << j << "] of " << s.m << "x" << s.n << "x" << s.k;
        }
}

TEST(Dense, MatmulEqualsTheReference) {
    const int64_t sizes[][3] = {{1, 1, 1},      {1, 7, 3},      {5, 1, 9},    {17, 33, 65},
                                {128, 40, 400}, {128, 400, 20}, {3, 257, 129}};
    for (const auto& [m, n, k] : sizes)
        for (int transposes = 0; transposes < 4; ++transposes)
            for (const bool bias : {false, true})
                check({m, n, k, transposes & 1, transposes >> 1, JL_IDENTITY, 0}, bias);
}

TEST(Dense, ActivationsAreFused) {
    for (int32_t activation = JL_IDENTITY; activation <= JL_GELU; ++activation)
        check({13, 31, 5, 0, 1, activation, 0}, true);
}

TEST(Dense, EmptyMatricesAreLeftAlone) {
    const jl_matmul none = {0, 5, 3, 0, 0, JL_IDENTITY, 0};
    EXPECT_EQ(jl_open_dense()->matmul(&none, nullptr, nullptr, nullptr, nullptr), JL_OK);
}

TEST(Dense, BadArgumentsAreNamed) {
    float x = 0.0f;
    const jl_matmul bad_k = {1, 1, 0, 0, 0, JL_IDENTITY, 0}, bad_activation = {1, 1, 1, 0, 0, 99, 0};
    EXPECT_EQ(jl_open_dense()->matmul(&bad_k, &x, &x, nullptr, &x), JL_BAD_ARGUMENT);
    EXPECT_NE(std::string(jl_open_dense()->last_error()).find("k >= 1"), std::string::npos);
    EXPECT_NE(jl_open_dense()->matmul(&bad_activation, &x, &x, nullptr, &x), JL_OK);
    EXPECT_NE(std::string(jl_open_dense()->last_error()).find("99"), std::string::npos);
}

}  // namespace
