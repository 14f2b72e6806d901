// likelihood against an fp64 reference, written straight from the formulas of likelihood.h.
#include "case_table.h"

namespace jlatent::test {
namespace {

struct Case {
    int64_t rows, dims, samples;
    int32_t distribution, learned_scale;
    size_t shift;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << c.rows << "x" << c.dims << " samples " << c.samples << " distribution " << c.distribution
               << (c.learned_scale ? " learned" : "") << " shift " << c.shift;
}

std::vector<Case> cases() {
    std::vector<Case> all;
    const int64_t sizes[][3] = {{1, 1, 1},   {3, 5, 1},    {6, 7, 3},    {128, 784, 1}, {40, 257, 2},
                                {9, 256, 1}, {2, 4096, 1}, {2, 4097, 1}, {1, 20001, 1}, {1500, 3, 5}};
    for (const auto& [rows, dims, samples] : sizes) {
        all.push_back({rows, dims, samples, JL_BERNOULLI, 0, 0});
        for (const int32_t learned : {0, 1}) {
            all.push_back({rows, dims, samples, JL_GAUSSIAN, learned, static_cast<size_t>(learned)});
            all.push_back({rows, dims, samples, JL_LAPLACE, learned, 2});
        }
    }
    return all;
}

double nll(int32_t distribution, double location, double scale, double x) {
    switch (distribution) {
        case JL_BERNOULLI:
            return std::max(location, 0.0) + std::log1p(std::exp(-std::abs(location))) - x * location;
        case JL_GAUSSIAN:
            return 0.5 * (std::log(2.0 * M_PI) + scale + (x - location) * (x - location) * std::exp(-scale));
        default:
            return std::log(2.0) + scale + std::abs(x - location) * std::exp(-scale);
    }
}

class LikelihoodTest : public testing::TestWithParam<Case> {};

TEST_P(LikelihoodTest, LossAndGradientEqualTheReference) {
    const Case c = GetParam();
    const size_t rows = static_cast<size_t>(c.rows), dims = static_cast<size_t>(c.dims),
                 per = c.learned_scale ? 2 : 1;
    const auto parameters = random_floats(rows * per * dims, -3.0f, 3.0f, 1),
               x = random_floats(rows / static_cast<size_t>(c.samples) * dims, 0.0f, 1.0f, 2);
    const auto row_weight = random_floats(rows, -1.0f, 2.0f, 3);
    const float weight = 0.25f, log_scale = -0.7f;
    std::vector<double> nll_rows(rows, 0.0), gradient(rows * per * dims);
    double total = 0.0, magnitude = 0.0;
    for (size_t r = 0; r < rows; ++r) {
        for (size_t d = 0; d < dims; ++d) {
            const size_t at = r * per * dims + d;
            const double target = x[r / static_cast<size_t>(c.samples) * dims + d],
                         w = static_cast<double>(weight) * row_weight[r];
            const double location = parameters[at],
                         scale = c.learned_scale ? parameters[at + dims] : log_scale;
            nll_rows[r] += nll(c.distribution, location, scale, target);
            const auto differences = numeric_gradient(
                [&](const std::vector<double>& p) { return nll(c.distribution, p[0], p[1], target); },
                {location, scale});
            gradient[at] = w * differences[0];
            if (c.learned_scale) gradient[at + dims] = w * differences[1];
        }
        total += static_cast<double>(weight) * row_weight[r] * nll_rows[r];
        magnitude += std::abs(static_cast<double>(weight) * row_weight[r] * nll_rows[r]);
    }

    Floats parameter_array(parameters, c.shift), x_array(x, c.shift), row_weight_array(row_weight),
        weight_array(std::vector<float>{weight});
    const jl_likelihood shape = {c.rows, c.dims, c.samples, c.distribution, c.learned_scale, log_scale, 0.0f};
    Workspace w(kernels().likelihood_workspace(&shape));
    auto got_rows = Floats::output(rows), got_total = Floats::output(1),
         got_gradient = Floats::output(gradient.size(), c.shift);
    for (int repeat = 0; repeat < 2; ++repeat)
        ASSERT_OK(kernels().likelihood(&shape, parameter_array.data(), x_array.data(),
                                       row_weight_array.data(), weight_array.data(), got_rows.data(),
                                       got_total.data(), got_gradient.data(), w.get(), stream()));
    // A row sums dims terms of up to e^3 * 16; differences have their own error of 1e-8.
    EXPECT_CLOSE(got_rows.read(), nll_rows, 3e-6, 1e-6);
    EXPECT_CLOSE(got_total.read(), std::vector<double>{total}, 0.0, 4e-6 * magnitude + 1e-6);
    EXPECT_CLOSE(got_gradient.read(), gradient, 1e-6, 3e-7);

    // In place, rows and total left out: the same gradient, bit for bit.
    Floats in_place(parameters, c.shift);
    ASSERT_OK(kernels().likelihood(&shape, in_place.data(), x_array.data(), row_weight_array.data(),
                                   weight_array.data(), nullptr, nullptr, in_place.data(), w.get(),
                                   stream()));
    EXPECT_EQ(in_place.read(), got_gradient.read());
    // Without weights and gradient.
    auto plain_total = Floats::output(1), plain_rows = Floats::output(rows);
    ASSERT_OK(kernels().likelihood(&shape, parameter_array.data(), x_array.data(), nullptr, nullptr,
                                   plain_rows.data(), plain_total.data(), nullptr, w.get(), stream()));
    double sum = 0.0, sizes = 0.0;
    for (const double v : nll_rows) sum += v, sizes += std::abs(v);
    EXPECT_CLOSE(plain_rows.read(), nll_rows, 3e-6, 1e-6);
    EXPECT_CLOSE(plain_total.read(), std::vector<double>{sum}, 0.0, 4e-6 * sizes + 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Cases, LikelihoodTest, testing::ValuesIn(cases()));

TEST(Likelihood, ExtremeLogitsStayExact) {
    const std::vector<float> logits = {200.0f, -200.0f, 1e4f,   -1e4f, 88.0f,
                                       -88.0f, 20.0f,   -20.0f, 0.0f,  1e-8f};
    for (const float target : {0.0f, 1.0f, 0.3f}) {
        Floats parameters(logits), x(std::vector<float>(logits.size(), target));
        const int64_t n = static_cast<int64_t>(logits.size());
        const jl_likelihood shape = {n, 1, 1, JL_BERNOULLI, 0, 0.0f, 0.0f};
        Workspace w(kernels().likelihood_workspace(&shape));
        // one value a row, so that every loss is seen
        auto rows = Floats::output(logits.size()), gradient = Floats::output(logits.size());
        ASSERT_OK(kernels().likelihood(&shape, parameters.data(), x.data(), nullptr, nullptr, rows.data(),
                                       nullptr, gradient.data(), w.get(), stream()));
        std::vector<double> expected, expected_gradient;
        for (const double a : doubles(logits)) {
            // Without cancellation, or the reference itself would lose what is tested at x = 1.
            const double rest = a > 0.0 ? 1.0 - target : -static_cast<double>(target);
            const double tail = std::exp(-std::abs(a)) / (1.0 + std::exp(-std::abs(a)));
            expected.push_back(a * rest + std::log1p(std::exp(-std::abs(a))));
            expected_gradient.push_back(a > 0.0 ? rest - tail : rest + tail);
        }
        // Every digit: exp, log and a quotient err by 1e-7 each. Below 1e-37 floats lose digits.
        EXPECT_CLOSE(rows.read(), expected, 4e-7, 1e-37);
        EXPECT_CLOSE(gradient.read(), expected_gradient, 4e-7, 1e-37);
    }
}

// Short rows, and rows that fill vectors and blocks: the NaN stays in its row and its gradient.
TEST(Likelihood, NotANumberIsPassedOn) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (const int32_t distribution : {JL_BERNOULLI, JL_GAUSSIAN, JL_LAPLACE})
        for (const size_t dims : {2, 40, 300}) {
            std::vector<float> parameter_values(3 * dims, 0.5f), x_values(3 * dims, 0.25f);
            const size_t in_parameters = 1, in_x = 2 * dims + dims / 2;
            parameter_values[in_parameters] = x_values[in_x] = nan;
            Floats parameters(parameter_values), x(x_values);
            const jl_likelihood shape = {3, static_cast<int64_t>(dims), 1, distribution, 0, 0.0f, 0.0f};
            Workspace w(kernels().likelihood_workspace(&shape));
            auto rows = Floats::output(3), total = Floats::output(1), gradient = Floats::output(3 * dims);
            ASSERT_OK(kernels().likelihood(&shape, parameters.data(), x.data(), nullptr, nullptr, rows.data(),
                                           total.data(), gradient.data(), w.get(), stream()));
            const std::vector<float> r = rows.read(), g = gradient.read();
            EXPECT_TRUE(std::isnan(r[0]) && std::isfinite(r[1]) && std::isnan(r[2]));
            EXPECT_TRUE(std::isnan(total.read()[0]));
            for (size_t i = 0; i < g.size(); ++i)
                EXPECT_EQ(std::isnan(g[i]), i == in_parameters || i == in_x)
                    << "distribution " << distribution << " dims " << dims << " at " << i;
        }
}

TEST(Likelihood, LaplaceGradientAtItsLocationIsZero) {
    Floats parameters(std::vector<float>{0.25f}), x(std::vector<float>{0.25f});
    const jl_likelihood shape = {1, 1, 1, JL_LAPLACE, 0, 0.0f, 0.0f};
    Workspace w(kernels().likelihood_workspace(&shape));
    auto gradient = Floats::output(1);
    ASSERT_OK(kernels().likelihood(&shape, parameters.data(), x.data(), nullptr, nullptr, nullptr, nullptr,
                                   gradient.data(), w.get(), stream()));
    EXPECT_EQ(gradient.read()[0], 0.0f);
}

TEST(Likelihood, NoRowsMakeATotalOfZero) {
    const jl_likelihood shape = {0, 5, 1, JL_BERNOULLI, 0, 0.0f, 0.0f};
    Workspace w(kernels().likelihood_workspace(&shape));
    auto total = Floats::output(1);
    ASSERT_OK(kernels().likelihood(&shape, nullptr, nullptr, nullptr, nullptr, nullptr, total.data(), nullptr,
                                   w.get(), stream()));
    EXPECT_EQ(total.read()[0], 0.0f);
}

TEST(Likelihood, BadArgumentsAreNamed) {
    Floats x(std::vector<float>(8, 0.0f));
    Workspace w(4096);
    const auto run = [&](jl_likelihood s, jl_workspace workspace) {
        return kernels().likelihood(&s, x.data(), x.data(), nullptr, nullptr, nullptr, nullptr, nullptr,
                                    workspace, stream());
    };
    EXPECT_BAD_ARGUMENT(run({2, 0, 1, JL_BERNOULLI, 0, 0.0f, 0.0f}, w.get()), "dims >= 1");
    EXPECT_BAD_ARGUMENT(run({-1, 1, 1, JL_BERNOULLI, 0, 0.0f, 0.0f}, w.get()), "got -1");
    EXPECT_BAD_ARGUMENT(run({int64_t{1} << 32, int64_t{1} << 32, 1, JL_BERNOULLI, 0, 0.0f, 0.0f}, w.get()),
                        "2^37");
    EXPECT_BAD_ARGUMENT(run({2, 1, 0, JL_BERNOULLI, 0, 0.0f, 0.0f}, w.get()), "got 0 and 2");
    EXPECT_BAD_ARGUMENT(run({2, 1, 3, JL_BERNOULLI, 0, 0.0f, 0.0f}, w.get()), "samples must divide rows");
    EXPECT_BAD_ARGUMENT(run({2, 1, 1, JL_BERNOULLI, 1, 0.0f, 0.0f}, w.get()), "no scale");
    EXPECT_BAD_ARGUMENT(run({2, 1, 1, 7, 0, 0.0f, 0.0f}, w.get()), "distribution 7");
    EXPECT_BAD_ARGUMENT(run({2, 1, 1, JL_BERNOULLI, 0, 0.0f, 0.0f}, {w.get().data, 4}), "4 bytes");
    const jl_likelihood good = {2, 1, 1, JL_BERNOULLI, 0, 0.0f, 0.0f};
    EXPECT_BAD_ARGUMENT(kernels().likelihood(&good, x.data(), nullptr, nullptr, nullptr, nullptr, nullptr,
                                             nullptr, w.get(), stream()),
                        "must not be null");
    EXPECT_BAD_ARGUMENT(kernels().likelihood(nullptr, x.data(), x.data(), nullptr, nullptr, nullptr, nullptr,
                                             nullptr, w.get(), stream()),
                        "shape is null");
}

}  // namespace
}  // namespace jlatent::test
