// likelihood_draw against draw.h as this compiler reads it, and against the probabilities that are to be drawn from.
#define JL_TABLE reference
#include "draw.h"

#include "case_table.h"

namespace jlatent::test {
namespace {

using namespace reference;

constexpr uint64_t kSeed = 0x299f31d0a4093822ull;
constexpr uint32_t kStep = 7, kSite = 3;

std::vector<int32_t> draws(const jl_likelihood_levels& shape, const std::vector<float>& parameters,
                           float temperature = 1.0f, int32_t top_k = 0, uint32_t site = kSite) {
    Floats parameter_array(parameters);
    auto random = random_state(kSeed, kStep);
    auto x = Array<int32_t>::output(static_cast<size_t>(shape.rows * shape.pixels * shape.channels), 1);
    EXPECT_EQ(kernels().likelihood_draw(&shape, parameter_array.data(), random.data(), site, temperature,
                                        top_k, x.data(), stream()),
              JL_OK)
        << kernels().last_error();
    return x.read();
}

// Raw words of the same counters, by random_bits: draw_word() must give these.
std::vector<uint32_t> words(int64_t count) {
    auto random = random_state(kSeed, kStep);
    auto out = Array<uint32_t>::output(static_cast<size_t>(count));
    EXPECT_EQ(kernels().random_bits(out.data(), count, random.data(), kSite, stream()), JL_OK);
    return out.read();
}

std::vector<float> repeated(const std::vector<float>& values, int64_t times) {
    std::vector<float> all;
    for (int64_t i = 0; i < times; ++i) all.insert(all.end(), values.begin(), values.end());
    return all;
}

struct Case {
    int64_t pixels;
    int32_t channels, levels;
    float temperature;
    int32_t top_k;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << c.pixels << "x" << c.channels << " levels " << c.levels << " temperature " << c.temperature
               << " top " << c.top_k;
}

class LikelihoodDrawTest : public testing::TestWithParam<Case> {};

// The same level on every table, alone or as a warp: there is no tolerance.
TEST_P(LikelihoodDrawTest, CategoricalIsTheDefinitionBitForBit) {
    const Case c = GetParam();
    const int64_t count = 2 * c.pixels * c.channels;
    auto logits = random_floats(static_cast<size_t>(count * c.levels), -6.0f, 3.0f);
    for (size_t i = 0; i < logits.size(); i += 3)
        logits[i] = std::round(logits[i]);  // ties, zeros of both signs
    const std::vector<uint32_t> u = words(count);
    std::vector<int32_t> expected;
    std::vector<float> margins;
    for (int64_t i = 0; i < count; ++i) {
        const Draw draw = draw_categorical(logits.data() + i * c.levels, c.levels, c.temperature, c.top_k,
                                           u[static_cast<size_t>(i)]);
        expected.push_back(draw.level);
        margins.push_back(draw.margin);
    }
    const auto got =
        draws({2, c.pixels, 1, c.channels, c.levels, 0, JL_CATEGORICAL}, logits, c.temperature, c.top_k);
    EXPECT_EQ(got, expected);
    // And by fp64: sorted for top_k, summed in index order. The margin is how far u is from the nearest edge.
    for (size_t i = 0; i < got.size(); ++i) {
        const float* own = logits.data() + i * static_cast<size_t>(c.levels);
        std::vector<float> sorted(own, own + c.levels);
        std::sort(sorted.rbegin(), sorted.rend());
        const float least = c.top_k == 0 ? sorted.back() : sorted[static_cast<size_t>(c.top_k - 1)];
        double total = 0.0, passed = 0.0, margin = 1.0;
        for (int32_t k = 0; k < c.levels; ++k)
            if (own[k] >= least) total += std::exp((static_cast<double>(own[k]) - sorted[0]) / c.temperature);
        const double at = (u[i] + 0.5) / 0x1p32;
        int32_t level = 0;
        for (int32_t k = 0; k < c.levels; ++k) {
            if (!(own[k] >= least)) continue;
            if (passed / total <= at) level = k;
            if (passed > 0.0) margin = std::min(margin, std::abs(at - passed / total));
            passed += std::exp((static_cast<double>(own[k]) - sorted[0]) / c.temperature);
        }
        EXPECT_NEAR(margins[i], margin, 2e-6);
        if (margin > 2e-6) {
            EXPECT_EQ(got[i], level) << "draw " << i;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Cases, LikelihoodDrawTest,
                         testing::Values(Case{1, 1, 2, 1.0f, 0}, Case{37, 1, 4, 1.0f, 2},
                                         Case{5, 3, 31, 0.5f, 0}, Case{9, 3, 256, 1.0f, 0},
                                         Case{9, 3, 256, 0.7f, 10}, Case{9, 3, 256, 2.0f, 256},
                                         Case{9, 1, 257, 1.0f, 1}, Case{3, 1, 1000, 1.5f, 33}));

// Pearson's statistic against its distribution's normal approximation [Wilson, Hilferty 1931], at 4 deviations.
void expect_frequencies(const std::vector<double>& probability, const std::vector<int64_t>& seen) {
    double n = 0.0, chi = 0.0, cells = 0.0, rest = 0.0, rest_seen = 0.0;
    for (const int64_t s : seen) n += static_cast<double>(s);
    const auto add = [&](double expected, double got) {
        chi += (got - expected) * (got - expected) / expected, ++cells;
    };
    for (size_t k = 0; k < seen.size(); ++k) {
        const double expected = n * probability[k], got = static_cast<double>(seen[k]);
        if (expected >= 10.0)
            add(expected, got);
        else
            rest += expected, rest_seen += got;
    }
    if (rest >= 10.0) add(rest, rest_seen);
    const double freedom = cells - 1.0, spread = 2.0 / (9.0 * freedom);
    EXPECT_GE(freedom, 1.0);
    EXPECT_LT((std::cbrt(chi / freedom) - (1.0 - spread)) / std::sqrt(spread), 4.0)
        << chi << " of " << freedom;
    EXPECT_LT(rest_seen, rest + 6.0 * std::sqrt(rest) + 6.0);
}

constexpr int64_t kDraws = 20000;

TEST(LikelihoodDraw, BernoulliHasItsFrequencies) {
    for (const float logit : {-2.0f, 0.0f, 1.5f})
        for (const float temperature : {1.0f, 0.5f}) {
            std::vector<int64_t> seen(2);
            const std::vector<float> logits(kDraws, logit);
            for (const int32_t x : draws({1, kDraws, 1, 1, 2, 0, JL_BERNOULLI}, logits, temperature))
                ++seen.at(static_cast<size_t>(x));
            const double one = 1.0 / (1.0 + std::exp(-static_cast<double>(logit) / temperature));
            expect_frequencies({1.0 - one, one}, seen);
        }
}

TEST(LikelihoodDraw, CategoricalHasItsFrequencies) {
    const std::vector<float> logits = {0.0f,  2.0f, -std::numeric_limits<float>::infinity(),
                                       -1.0f, 1.0f, 2.0f};
    const int64_t count = 1000;  // the emulator takes a while for a warp
    for (const float temperature : {1.0f, 0.5f, 3.0f})
        for (const int32_t top_k : {0, 3}) {
            std::vector<double> probability;
            double sum = 0.0;
            for (const float l : logits) {
                probability.push_back(
                    top_k == 3 && l < 1.0f ? 0.0 : std::exp(static_cast<double>(l) / temperature));
                sum += probability.back();
            }
            for (double& p : probability) p /= sum;
            std::vector<int64_t> seen(logits.size());
            for (const int32_t x :
                 draws({1, count, 1, 1, 6, 0, JL_CATEGORICAL}, repeated(logits, count), temperature, top_k))
                ++seen.at(static_cast<size_t>(x));
            expect_frequencies(probability, seen);
            EXPECT_EQ(seen[2], 0);
        }
}

// The frequency of each colour of 5 levels a channel, coupled channels and all, is what likelihood_levels gives it.
TEST(LikelihoodDraw, MixtureHasTheFrequenciesOfItsLikelihood) {
    const int32_t levels = 5, colours = levels * levels * levels;
    const std::vector<float> pixel = {0.4f,  -0.3f,                               // logits of two components
                                      -0.6f, 0.5f,  0.1f,  0.3f,  -0.2f, 0.9f,    // means
                                      -1.5f, -0.5f, -2.0f, -1.0f, -0.7f, -8.0f,   // log scales
                                      0.9f,  -1.2f, -0.5f, 2.0f,  0.7f,  -0.4f};  // couplings
    jl_likelihood_levels shape = {colours, 1, 1, 3, levels, 2, JL_LOGISTIC_MIXTURE};
    std::vector<int32_t> each;
    for (int32_t i = 0; i < colours; ++i)
        each.insert(each.end(), {i / levels / levels, i / levels % levels, i % levels});
    Floats parameters(repeated(pixel, colours));
    Array<int32_t> x(each);
    auto nll = Floats::output(static_cast<size_t>(colours));
    Workspace w(kernels().likelihood_levels_workspace(&shape));
    ASSERT_OK(kernels().likelihood_levels(&shape, parameters.data(), x.data(), nullptr, nullptr, nll.data(),
                                          nullptr, nullptr, w.get(), stream()));
    std::vector<double> probability;
    for (const float v : nll.read()) probability.push_back(std::exp(-static_cast<double>(v)));

    shape.rows = kDraws;
    const auto drawn = draws(shape, repeated(pixel, kDraws));
    std::vector<int64_t> seen(static_cast<size_t>(colours));
    for (size_t i = 0; i < drawn.size(); i += 3)
        ++seen.at(static_cast<size_t>((drawn[i] * levels + drawn[i + 1]) * levels + drawn[i + 2]));
    expect_frequencies(probability, seen);
}

// Tables may differ where u is next to an edge, and only there.
TEST(LikelihoodDraw, MixtureIsTheDefinitionAwayFromEdges) {
    const MixtureLayout at = {4, 3};
    const int64_t pixels = 500;
    const auto parameters = random_floats(static_cast<size_t>(2 * pixels * at.size()), -3.0f, 1.0f);
    for (const float temperature : {1.0f, 0.6f}) {
        const auto got = draws({2, pixels, 1, 3, 256, 4, JL_LOGISTIC_MIXTURE}, parameters, temperature);
        const jl_random random = {kSeed, kStep, 0};
        const std::vector<uint32_t> u = words(2 * pixels * 3);
        int64_t near = 0;
        for (int64_t i = 0; i < 2 * pixels; ++i) {
            int32_t x[3];
            const float margin = draw_mixture(parameters.data() + i * at.size(), at, 256, temperature,
                                              draw_word(i, 1, random, kSite), u.data() + 3 * i, x);
            if (margin < 1e-5f) {
                ++near;
                continue;
            }
            for (int64_t c = 0; c < 3; ++c)
                EXPECT_EQ(got[static_cast<size_t>(3 * i + c)], x[c]) << "pixel " << i << " channel " << c;
        }
        EXPECT_LT(near, 2 * pixels / 50);
    }
}

// A single logistic: u inverts its distribution function, the margin is the distance to the function at the bin's ends.
TEST(LikelihoodDraw, LogisticInvertsTheDistributionFunction) {
    for (const float temperature : {1.0f, 0.5f})
        for (const uint32_t u :
             {0u, 1u << 20, 0x40000000u, 0x7fffffffu, 0x80000000u, 0xc1234567u, 0xffffffffu}) {
            const float mean = 0.2f, log_scale = -1.0f;
            const Draw draw = draw_logistic(mean, log_scale, 16, temperature, u);
            const double at = (u + 0.5) / 0x1p32, scale = std::exp(-1.0) * temperature;
            const auto edge = [&](int k) {  // between levels k - 1 and k
                return 1.0 / (1.0 + std::exp(-((2.0 * k - 16.0) / 15.0 - static_cast<double>(mean)) / scale));
            };
            int32_t level = 0;
            double margin = 1.0;
            for (int k = 1; k < 16; ++k) {
                if (edge(k) <= at) level = k;
                margin = std::min(margin, std::abs(at - edge(k)));
            }
            EXPECT_EQ(draw.level, level) << "u " << u;
            EXPECT_NEAR(draw.margin, margin, 1e-6) << "u " << u;
        }
}

TEST(LikelihoodDraw, WhatIsNoDistributionGivesMinusOne) {
    const float nan = std::numeric_limits<float>::quiet_NaN(),
                infinity = std::numeric_limits<float>::infinity();
    EXPECT_EQ(draws({4, 1, 1, 1, 3, 0, JL_CATEGORICAL}, {0.0f, nan, 0.0f, infinity, 0.0f, 0.0f, -infinity,
                                                         -infinity, -infinity, -infinity, 0.0f, -infinity}),
              (std::vector<int32_t>{-1, -1, -1, 1}));
    EXPECT_EQ(draws({2, 1, 1, 1, 2, 0, JL_BERNOULLI}, {nan, -infinity}), (std::vector<int32_t>{-1, 0}));
    EXPECT_EQ(draws({2, 1, 1, 2, 4, 1, JL_LOGISTIC_MIXTURE},
                    {0.0f, 0.0f, nan, 0.0f, 0.0f, 0.0f, nan, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f})[1],
              -1);
}

TEST(LikelihoodDraw, SitesAreDifferentDraws) {
    const jl_likelihood_levels shape = {1, 200, 1, 1, 256, 0, JL_CATEGORICAL};
    const std::vector<float> even(200 * 256, 0.0f);
    EXPECT_EQ(draws(shape, even), draws(shape, even));
    EXPECT_NE(draws(shape, even), draws(shape, even, 1.0f, 0, kSite + 1));
}

TEST(LikelihoodDraw, BadArgumentsAreNamed) {
    Floats p(std::vector<float>(64, 0.0f));
    auto random = random_state(kSeed, kStep);
    auto x = Array<int32_t>::output(8);
    const auto run = [&](jl_likelihood_levels s, float temperature, int32_t top_k) {
        return kernels().likelihood_draw(&s, p.data(), random.data(), 0, temperature, top_k, x.data(),
                                         stream());
    };
    const jl_likelihood_levels good = {1, 2, 1, 1, 4, 1, JL_CATEGORICAL};
    EXPECT_BAD_ARGUMENT(run(good, 0.0f, 0), "positive and finite, got 0");
    EXPECT_BAD_ARGUMENT(run(good, std::numeric_limits<float>::infinity(), 0), "got inf");
    EXPECT_BAD_ARGUMENT(run(good, std::numeric_limits<float>::quiet_NaN(), 0), "positive and finite");
    EXPECT_BAD_ARGUMENT(run(good, 1.0f, 5), "got 5 of 4 levels");
    EXPECT_BAD_ARGUMENT(run(good, 1.0f, -1), "got -1 of 4 levels");
    EXPECT_BAD_ARGUMENT(run({1, 2, 1, 1, 4, 1, JL_LOGISTIC_MIXTURE}, 1.0f, 1), "than a categorical");
    EXPECT_BAD_ARGUMENT(run({1, 2, 1, 1, 4, 0, JL_BERNOULLI}, 1.0f, 0), "distribution 0 of 4 levels");
    EXPECT_BAD_ARGUMENT(run({1, 2, 1, 1, 4, 0, JL_GAUSSIAN}, 1.0f, 0), "distribution 1");
    EXPECT_BAD_ARGUMENT(run({1, 0, 1, 1, 4, 0, JL_CATEGORICAL}, 1.0f, 0), "pixels >= 1");
    EXPECT_BAD_ARGUMENT(kernels().likelihood_draw(&good, p.data(), nullptr, 0, 1.0f, 0, x.data(), stream()),
                        "random must not be null");
    EXPECT_BAD_ARGUMENT(
        kernels().likelihood_draw(&good, nullptr, random.data(), 0, 1.0f, 0, x.data(), stream()),
        "must not be null");
}

}  // namespace
}  // namespace jlatent::test
