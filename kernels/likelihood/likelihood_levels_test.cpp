// likelihood_levels against references of fp64 and more, written straight from the formulas of its headers.
#include "case_table.h"
#include "likelihood_levels_reference.h"

namespace jlatent::test {
namespace {

const float kNan = std::numeric_limits<float>::quiet_NaN(),
            kInfinity = std::numeric_limits<float>::infinity();

struct Case {
    int64_t rows, pixels, samples;
    int32_t channels, levels, components;  // no components: categorical
    size_t shift;

    jl_likelihood_levels shape() const {
        return {rows,
                pixels,
                samples,
                channels,
                levels,
                components,
                components == 0 ? JL_CATEGORICAL : JL_LOGISTIC_MIXTURE};
    }
    size_t size() const {  // parameters of a value, or of a mixture's pixel
        return static_cast<size_t>(
            components == 0 ? levels : components * (1 + 2 * channels + channels * (channels - 1) / 2));
    }
    size_t units() const { return static_cast<size_t>(components == 0 ? pixels * channels : pixels); }
    size_t values() const { return components == 0 ? 1 : static_cast<size_t>(channels); }  // of a unit
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << c.rows << "x" << c.pixels << "x" << c.channels << " samples " << c.samples << " levels "
               << c.levels << " components " << c.components << " shift " << c.shift;
}

struct Reference {
    std::vector<double> rows, gradient;
};

// Losses, and the gradients of nll_rows times weight[row]: central differences, whose own error is 1e-9 here.
Reference reference(const Case& c, const std::vector<float>& parameters, const std::vector<int32_t>& x,
                    const std::vector<float>& weight) {
    Reference r{std::vector<double>(static_cast<size_t>(c.rows)), std::vector<double>(parameters.size())};
    for (size_t row = 0; row < r.rows.size(); ++row)
        for (size_t unit = 0; unit < c.units(); ++unit) {
            const size_t at = (row * c.units() + unit) * c.size();
            const int32_t* own =
                x.data() + (row / static_cast<size_t>(c.samples) * c.units() + unit) * c.values();
            std::vector<Wide> p(parameters.begin() + static_cast<std::ptrdiff_t>(at),
                                parameters.begin() + static_cast<std::ptrdiff_t>(at + c.size()));
            const auto nll = [&] {
                return c.components == 0 ? categorical(p, own)
                                         : mixture(p, own, c.channels, c.levels, c.components);
            };
            const Wide loss = nll();
            r.rows[row] += static_cast<double>(loss);
            for (size_t i = 0; i < c.size(); ++i) {
                if (c.components == 0) {  // differences would take levels^2 exponentials
                    const Wide probability = std::exp(p[i] - p[static_cast<size_t>(*own)] - loss);
                    r.gradient[at + i] = static_cast<double>(
                        weight[row] * (probability - (static_cast<int32_t>(i) == *own ? 1 : 0)));
                    continue;
                }
                const Wide here = p[i], h = 1e-6;
                p[i] = here + h;
                const Wide above = nll();
                p[i] = here - h;
                const Wide below = nll();
                p[i] = here;
                r.gradient[at + i] = static_cast<double>(weight[row] * (above - below) / (2 * h));
            }
        }
    return r;
}

std::vector<int32_t> random_levels(size_t count, int32_t levels, uint32_t seed) {
    std::mt19937 engine(seed);
    std::vector<int32_t> x(count);
    for (size_t i = 0; i < count; ++i)  // the ends often
        x[i] = i % 5 == 0   ? 0
               : i % 5 == 1 ? levels - 1
                            : static_cast<int32_t>(engine() % static_cast<uint32_t>(levels));
    return x;
}

class LikelihoodLevelsTest : public testing::TestWithParam<Case> {};

TEST_P(LikelihoodLevelsTest, LossAndGradientEqualTheReference) {
    const Case c = GetParam();
    const size_t rows = static_cast<size_t>(c.rows), count = rows * c.units() * c.size();
    const auto parameters =
        random_floats(count, c.components == 0 ? -8.0f : -3.0f, c.components == 0 ? 8.0f : 1.0f, 1);
    const auto x = random_levels(rows / static_cast<size_t>(c.samples) * c.units() * c.values(), c.levels, 2);
    const auto row_weight = random_floats(rows, -1.0f, 2.0f, 3);
    const float weight = 0.25f;
    std::vector<float> both(row_weight);
    for (float& w : both) w *= weight;
    const Reference expected = reference(c, parameters, x, both);
    double total = 0.0, magnitude = 0.0;
    for (size_t r = 0; r < rows; ++r) {
        total += static_cast<double>(both[r]) * expected.rows[r];
        magnitude += std::abs(static_cast<double>(both[r]) * expected.rows[r]);
    }

    Floats parameter_array(parameters, c.shift), row_weight_array(row_weight),
        weight_array(std::vector<float>{weight});
    Array<int32_t> x_array(x, c.shift);
    const jl_likelihood_levels shape = c.shape();
    Workspace w(kernels().likelihood_levels_workspace(&shape));
    auto got_rows = Floats::output(rows), got_total = Floats::output(1),
         got_gradient = Floats::output(count, c.shift);
    for (int repeat = 0; repeat < 2; ++repeat)
        ASSERT_OK(kernels().likelihood_levels(&shape, parameter_array.data(), x_array.data(),
                                              row_weight_array.data(), weight_array.data(), got_rows.data(),
                                              got_total.data(), got_gradient.data(), w.get(), stream()));
    // A mean and its value are rounded to 1e-7, which scales of down to e^-3 make 20 times larger.
    const double absolute = c.components == 0 ? 3e-7 : 6e-6;
    EXPECT_CLOSE(got_rows.read(), expected.rows, 2e-6, absolute);
    EXPECT_CLOSE(got_total.read(), std::vector<double>{total}, 0.0, 2e-6 * magnitude + absolute);
    EXPECT_CLOSE(got_gradient.read(), expected.gradient, 2e-6, absolute);

    // In place, rows and total left out: the same gradient, bit for bit.
    Floats in_place(parameters, c.shift);
    ASSERT_OK(kernels().likelihood_levels(&shape, in_place.data(), x_array.data(), row_weight_array.data(),
                                          weight_array.data(), nullptr, nullptr, in_place.data(), w.get(),
                                          stream()));
    EXPECT_EQ(in_place.read(), got_gradient.read());
    // Without weights and gradient.
    auto plain_total = Floats::output(1), plain_rows = Floats::output(rows);
    ASSERT_OK(kernels().likelihood_levels(&shape, parameter_array.data(), x_array.data(), nullptr, nullptr,
                                          plain_rows.data(), plain_total.data(), nullptr, w.get(), stream()));
    double sum = 0.0;
    for (const double v : expected.rows) sum += v;
    EXPECT_CLOSE(plain_rows.read(), expected.rows, 2e-6, absolute);
    EXPECT_CLOSE(plain_total.read(), std::vector<double>{sum}, 2e-6, absolute);
}

INSTANTIATE_TEST_SUITE_P(Categorical, LikelihoodLevelsTest,
                         testing::Values(Case{1, 1, 1, 1, 2, 0, 0}, Case{3, 5, 1, 1, 4, 0, 1},
                                         Case{6, 7, 3, 3, 63, 0, 0}, Case{2, 11, 1, 3, 64, 0, 2},
                                         Case{4, 33, 2, 3, 256, 0, 0}, Case{2, 9, 1, 1, 257, 0, 3},
                                         Case{2, 70, 2, 1, 512, 0, 0}, Case{1, 3, 1, 1, 5003, 0, 0},
                                         Case{300, 2, 5, 1, 3, 0, 0}));
INSTANTIATE_TEST_SUITE_P(Mixture, LikelihoodLevelsTest,
                         testing::Values(Case{1, 1, 1, 1, 2, 1, 0}, Case{3, 5, 1, 1, 256, 2, 1},
                                         Case{4, 17, 2, 3, 256, 10, 0}, Case{6, 16, 3, 3, 4, 5, 2},
                                         Case{2, 33, 1, 2, 16, 3, 0}, Case{1, 5, 1, 5, 7, 2, 0},
                                         Case{150, 3, 5, 1, 32, 2, 0}, Case{2, 65, 1, 1, 100, 1, 3},
                                         Case{1, 2, 1, 26, 3, 1, 0}, Case{1, 3, 1, 1, 9, 95, 0}));

// Losses of rows, and gradients if wanted, of rows that are a pixel each.
struct Losses {
    std::vector<float> rows, gradient;
};

Losses losses(const Case& c, const std::vector<float>& parameters, const std::vector<int32_t>& x) {
    const jl_likelihood_levels shape = c.shape();
    Floats parameter_array(parameters);
    Array<int32_t> x_array(x);
    Workspace w(kernels().likelihood_levels_workspace(&shape));
    auto rows = Floats::output(static_cast<size_t>(c.rows)), gradient = Floats::output(parameters.size());
    EXPECT_EQ(kernels().likelihood_levels(&shape, parameter_array.data(), x_array.data(), nullptr, nullptr,
                                          rows.data(), nullptr, gradient.data(), w.get(), stream()),
              JL_OK)
        << kernels().last_error();
    return {rows.read(), gradient.read()};
}

std::vector<float> repeated(const std::vector<float>& values, int64_t times) {
    std::vector<float> all;
    for (int64_t i = 0; i < times; ++i) all.insert(all.end(), values.begin(), values.end());
    return all;
}

void expect_sum_of_one(const Case& c, const std::vector<float>& pixel, double tolerance) {
    std::vector<int32_t> x;
    for (int64_t row = 0; row < c.rows; ++row)
        for (int64_t ch = 0, rest = row; ch < c.channels; ++ch, rest /= c.levels)
            x.push_back(static_cast<int32_t>(rest % c.levels));
    double sum = 0.0;
    for (const float nll : losses(c, repeated(pixel, c.rows), x).rows)
        sum += std::exp(-static_cast<double>(nll));
    EXPECT_NEAR(sum, 1.0, tolerance) << c;
}

TEST(LikelihoodLevels, ProbabilitiesSumToOne) {
    expect_sum_of_one({256, 1, 1, 1, 256, 0, 0}, random_floats(256, -5.0f, 5.0f), 1e-6);
    // Every colour of 5 levels a channel, and a grey mixture whose scales are many bins and a small part of one.
    expect_sum_of_one({125, 1, 1, 3, 5, 2, 0}, random_floats(20, -2.0f, 1.0f), 3e-6);
    for (const float log_scale : {-8.0f, -7.0f, -5.0f, -2.0f, 0.0f, 3.0f, 12.0f})
        for (const int32_t levels : {2, 4, 256})
            expect_sum_of_one({levels, 1, 1, 1, levels, 2, 0}, {0.3f, -0.4f, 0.1f, -1.5f, log_scale, -3.0f},
                              4e-6);
}

// One component: the loss is its bin's alone. From bins that hold nearly everything to those that hold nearly nothing.
TEST(LikelihoodLevels, ExtremeMeansAndScalesKeepTheirDigits) {
    for (const int32_t levels : {2, 4, 256})
        for (const float log_scale : {-30.0f, -7.0f, -6.9f, -4.0f, 0.0f, 4.0f, 20.0f, 80.0f}) {
            std::vector<float> parameters;
            std::vector<int32_t> x;
            for (const float mean : {0.0f, 0.5f, -1.0f, 1.0f, 1.5f, -40.0f, 1e4f, -1e20f})
                for (const int32_t level : {0, 1, levels / 2, levels - 1}) {
                    parameters.insert(parameters.end(), {0.7f, mean, log_scale});
                    x.push_back(level);
                }
            const Case c = {static_cast<int64_t>(x.size()), 1, 1, 1, levels, 1, 0};
            const Losses got = losses(c, parameters, x);
            for (size_t i = 0; i < x.size(); ++i) {
                const Wide mean = parameters[3 * i + 1], s = std::max(log_scale, -7.0f),
                           half = Wide{1} / (levels - 1);
                const Wide v = Wide{2} * x[i] / (levels - 1) - 1, inverse = std::exp(-s);
                const Wide a = (v + half - mean) * inverse, b = (v - half - mean) * inverse,
                           w = 2 * half * inverse;
                const bool first = x[i] == 0, last = x[i] == levels - 1;
                const Wide loss = -(first  ? log_sigmoid(a)
                                    : last ? log_sigmoid(-b)
                                           : log_difference(a, b, w));
                // d log sigmoid(a) = sigmoid(-a), d log(1 - e^-w) = w' / (e^w - 1)
                const Wide right = last ? 0 : std::exp(log_sigmoid(-a)),
                           left = first ? 0 : std::exp(log_sigmoid(b));
                const Wide d_mean = (right - left) * inverse,
                           d_scale = a * right - b * left + (first || last ? 0 : w / std::expm1(w));
                // What rounding the value and the mean does to a and b.
                const double error = static_cast<double>(1.5e-7 * (1 + std::abs(mean)) * inverse);
                SCOPED_TRACE(testing::Message() << "levels " << levels << " level " << x[i] << " mean "
                                                << mean << " log scale " << log_scale);
                EXPECT_NEAR(got.rows[i], loss, 6e-7 * std::abs(static_cast<double>(loss)) + 2e-7 + 2 * error);
                EXPECT_EQ(got.gradient[3 * i], 0.0f);
                EXPECT_NEAR(got.gradient[3 * i + 1], d_mean,
                            static_cast<double>(inverse) * (3e-7 + error) +
                                4e-7 * std::abs(static_cast<double>(d_mean)));
                const double size = static_cast<double>(std::abs(a * right) + std::abs(b * left) + 1);
                EXPECT_NEAR(got.gradient[3 * i + 2], log_scale < -7.0f ? 0 : d_scale,
                            size * 6e-7 + 3 * error);
            }
        }
}

TEST(LikelihoodLevels, HugeLogitsAndMasks) {
    for (const int32_t levels : {5, 300}) {
        const auto row = [&](float all) { return std::vector<float>(static_cast<size_t>(levels), all); };
        std::vector<std::vector<float>> rows = {row(-1e30f),     row(-kInfinity), row(3e30f),
                                                row(-kInfinity), row(0.0f),       row(1e30f)};
        rows[0][2] = 1e30f;
        rows[1][2] = -5.0f;
        rows[1][4] = -5.0f;
        rows[4][0] = -kInfinity;  // what happened was masked
        rows[5][1] = kInfinity;
        const std::vector<int32_t> x = {2, 2, 2, 2, 0, 1};
        std::vector<float> all;
        for (const auto& r : rows) all.insert(all.end(), r.begin(), r.end());
        const Losses got = losses({6, 1, 1, 1, levels, 0, 0}, all, x);
        EXPECT_EQ(got.rows[0], 0.0f);
        EXPECT_NEAR(got.rows[1], std::log(2.0), 1e-7);
        EXPECT_NEAR(got.rows[2], std::log(levels), 1e-6);
        EXPECT_TRUE(std::isnan(got.rows[3]));
        EXPECT_EQ(got.rows[4], kInfinity);
        EXPECT_TRUE(std::isnan(got.rows[5]));
        for (size_t k = 0; k < static_cast<size_t>(levels); ++k) {
            const size_t n = static_cast<size_t>(levels);
            EXPECT_EQ(got.gradient[k], 0.0f);
            EXPECT_FLOAT_EQ(got.gradient[n + k], k == 2 ? -0.5f : k == 4 ? 0.5f : 0.0f);
            EXPECT_NEAR(got.gradient[2 * n + k], 1.0 / levels - (k == 2 ? 1 : 0), 1e-7);
            EXPECT_TRUE(std::isnan(got.gradient[3 * n + k]) && std::isnan(got.gradient[5 * n + k]));
            EXPECT_NEAR(got.gradient[4 * n + k], k == 0 ? -1.0 : 1.0 / (levels - 1), 1e-7);
        }
    }
    // A mixture whose first component is masked is its second one.
    const Losses one = losses({1, 1, 1, 1, 8, 1, 0}, {0.3f, 0.2f, -1.0f}, {4});
    const Losses two = losses({1, 1, 1, 1, 8, 2, 0}, {-kInfinity, 0.3f, 0.9f, 0.2f, -2.0f, -1.0f}, {4});
    EXPECT_FLOAT_EQ(one.rows[0], two.rows[0]);
    EXPECT_EQ(two.gradient[0], 0.0f);
    EXPECT_EQ(two.gradient[2], 0.0f);
    EXPECT_FLOAT_EQ(one.gradient[1], two.gradient[3]);
}

bool on_cpu() { return std::string(kernels().name).rfind("cpu", 0) == 0; }

// Of rows of three units: the NaN, or the level that is none, stays where it is.
TEST(LikelihoodLevels, NotANumberAndNoLevelStayInTheirUnit) {
    for (const Case& c :
         {Case{4, 3, 1, 1, 5, 0, 0}, Case{4, 3, 1, 1, 300, 0, 0}, Case{4, 3, 1, 3, 5, 2, 0}}) {
        const size_t row = c.units() * c.size(), row_values = c.units() * c.values();
        std::vector<float> parameters(4 * row, 0.5f);
        std::vector<int32_t> x(4 * row_values, 2);
        parameters[1] = kNan;
        if (!on_cpu()) x[2 * row_values] = -1, x[3 * row_values] = c.levels;
        const Losses got = losses(c, parameters, x);
        for (size_t r = 0; r < 4; ++r) {
            const bool wrong = r == 0 || (r >= 2 && !on_cpu());
            EXPECT_EQ(std::isnan(got.rows[r]), wrong) << c << " row " << r;
            for (size_t i = 0; i < row; ++i)
                EXPECT_EQ(std::isnan(got.gradient[r * row + i]), wrong && i < c.size())
                    << c << " row " << r << " at " << i;
        }
    }
}

TEST(LikelihoodLevels, TheCpuNamesWhatIsNoLevel) {
    if (!on_cpu()) GTEST_SKIP() << "elsewhere it is NaN: above";
    Floats p(std::vector<float>(16, 0.0f)), values(std::vector<float>{0.5f, 1.25f});
    auto out = Array<int32_t>::output(2);
    Workspace w(4096);
    for (const int32_t distribution : {JL_CATEGORICAL, JL_LOGISTIC_MIXTURE})
        for (const int32_t wrong : {-1, 4}) {
            Array<int32_t> x(std::vector<int32_t>{0, 3, wrong, 1});
            const jl_likelihood_levels s = {2, 2, 1, 1, 4, 1, distribution};
            EXPECT_BAD_ARGUMENT(kernels().likelihood_levels(&s, p.data(), x.data(), nullptr, nullptr, nullptr,
                                                            nullptr, nullptr, w.get(), stream()),
                                "x[2] is " + std::to_string(wrong) + ", but there are 4 levels");
        }
    EXPECT_BAD_ARGUMENT(kernels().levels_of_values(values.data(), 2, 256, out.data(), stream()),
                        "values[1] is 1.25");
}

TEST(LikelihoodLevels, NoRowsMakeATotalOfZero) {
    for (const Case& c : {Case{0, 5, 1, 1, 4, 0, 0}, Case{0, 5, 1, 3, 4, 2, 0}}) {
        const jl_likelihood_levels shape = c.shape();
        Workspace w(kernels().likelihood_levels_workspace(&shape));
        auto total = Floats::output(1);
        ASSERT_OK(kernels().likelihood_levels(&shape, nullptr, nullptr, nullptr, nullptr, nullptr,
                                              total.data(), nullptr, w.get(), stream()));
        EXPECT_EQ(total.read()[0], 0.0f);
    }
}

TEST(LikelihoodLevels, ValuesBecomeLevels) {
    std::vector<float> values;
    std::vector<int32_t> expected;
    for (int32_t level = 0; level < 256; ++level) {
        values.push_back(static_cast<float>(level) / 255.0f);
        expected.push_back(level);
    }
    values.push_back(0.5002f);
    expected.push_back(128);
    if (!on_cpu()) {
        values.insert(values.end(), {-0.01f, 1.01f, kNan, kInfinity});
        expected.insert(expected.end(), 4, -1);
    }
    Floats value_array(values, 1);
    auto x = Array<int32_t>::output(values.size(), 1);
    ASSERT_OK(kernels().levels_of_values(value_array.data(), static_cast<int64_t>(values.size()), 256,
                                         x.data(), stream()));
    EXPECT_EQ(x.read(), expected);
    EXPECT_BAD_ARGUMENT(kernels().levels_of_values(value_array.data(), 1, 1, x.data(), stream()), "got 1");
    EXPECT_BAD_ARGUMENT(kernels().levels_of_values(nullptr, 1, 2, x.data(), stream()), "null");
}

TEST(LikelihoodLevels, BadArgumentsAreNamed) {
    Floats p(std::vector<float>(64, 0.0f));
    Array<int32_t> x(std::vector<int32_t>(8, 0));
    Workspace w(4096);
    const auto run = [&](jl_likelihood_levels s) {
        return kernels().likelihood_levels(&s, p.data(), x.data(), nullptr, nullptr, nullptr, nullptr,
                                           nullptr, w.get(), stream());
    };
    EXPECT_BAD_ARGUMENT(run({-1, 1, 1, 1, 4, 0, JL_CATEGORICAL}), "got -1, 1 and 1");
    EXPECT_BAD_ARGUMENT(run({1, 0, 1, 1, 4, 0, JL_CATEGORICAL}), "got 1, 0 and 1");
    EXPECT_BAD_ARGUMENT(run({1, 1, 1, 0, 4, 0, JL_CATEGORICAL}), "got 1, 1 and 0");
    EXPECT_BAD_ARGUMENT(run({1, 1, 1, 1, 1, 0, JL_CATEGORICAL}), "levels must be in [2, 2^24], got 1");
    EXPECT_BAD_ARGUMENT(run({1, 1, 1, 3, 4, 0, JL_LOGISTIC_MIXTURE}), "got 0 of 3 channels");
    EXPECT_BAD_ARGUMENT(run({1, 1, 1, 3, 4, 35, JL_LOGISTIC_MIXTURE}), "got 35 of 3 channels");
    EXPECT_BAD_ARGUMENT(run({1, 1, 1, 27, 4, 1, JL_LOGISTIC_MIXTURE}), "got 1 of 27 channels");
    EXPECT_BAD_ARGUMENT(run({int64_t{1} << 32, int64_t{1} << 32, 1, 1, 4, 0, JL_CATEGORICAL}), "2^38");
    EXPECT_BAD_ARGUMENT(run({2, 1, 3, 1, 4, 0, JL_CATEGORICAL}), "samples must divide rows, got 3 and 2");
    EXPECT_BAD_ARGUMENT(run({2, 1, 1, 1, 2, 0, JL_BERNOULLI}), "distribution 0");
    const jl_likelihood_levels good = {2, 1, 1, 1, 4, 0, JL_CATEGORICAL};
    EXPECT_BAD_ARGUMENT(kernels().likelihood_levels(&good, p.data(), nullptr, nullptr, nullptr, nullptr,
                                                    nullptr, nullptr, w.get(), stream()),
                        "must not be null");
    EXPECT_BAD_ARGUMENT(kernels().likelihood_levels(&good, p.data(), x.data(), nullptr, nullptr, nullptr,
                                                    nullptr, nullptr, {w.get().data, 4}, stream()),
                        "4 bytes");
    EXPECT_BAD_ARGUMENT(kernels().likelihood_levels(nullptr, p.data(), x.data(), nullptr, nullptr, nullptr,
                                                    nullptr, nullptr, w.get(), stream()),
                        "shape is null");
}

}  // namespace
}  // namespace jlatent::test
