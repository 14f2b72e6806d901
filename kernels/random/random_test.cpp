#include "case_table.h"

namespace jlatent::test {
namespace {

class RandomTest : public testing::TestWithParam<int64_t> {};

// Known answers of philox4x32-10 (Random123, kat_vectors): counter (block, sample, step, site) and key
// (seed).
TEST(Random, BitsAreThePublishedVectors) {
    struct Known {
        uint64_t seed;
        uint32_t step, site;
        std::vector<uint32_t> words;
    };
    // The vector of all zeros fits the counter as it is laid out; the all-ones and pi vectors have other
    // blocks and samples and are checked on philox() itself in philox_test.cpp.
    const Known known = {0, 0, 0, {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}};
    auto state = random_state(known.seed, known.step);
    auto out = Array<uint32_t>::output(4);
    ASSERT_OK(kernels().random_bits(out.data(), 4, state.data(), known.site, stream()));
    EXPECT_EQ(out.read(), known.words);
}

// An independent rendering of the generator, straight from the paper.
std::vector<uint32_t> reference_bits(int64_t count, uint64_t seed, uint32_t step, uint32_t site) {
    std::vector<uint32_t> out;
    for (uint32_t block = 0; static_cast<int64_t>(out.size()) < count; ++block) {
        uint32_t c[4] = {block, 0, step, site},
                 k[2] = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
        for (int round = 0; round < 10; ++round) {
            const uint64_t p0 = 0xD2511F53ull * c[0], p1 = 0xCD9E8D57ull * c[2];
            const uint32_t next[4] = {
                static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(p1),
                static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(p0)};
            std::copy(next, next + 4, c);
            k[0] += 0x9E3779B9u;
            k[1] += 0xBB67AE85u;
        }
        out.insert(out.end(), c, c + 4);
    }
    out.resize(static_cast<size_t>(count));
    return out;
}

TEST_P(RandomTest, BitsEqualTheReference) {
    const int64_t count = GetParam();
    auto state = random_state(0x299f31d0a4093822ull, 0x85a308d3u);
    auto out = Array<uint32_t>::output(static_cast<size_t>(count));
    ASSERT_OK(kernels().random_bits(out.data(), count, state.data(), 7, stream()));
    EXPECT_EQ(out.read(), reference_bits(count, 0x299f31d0a4093822ull, 0x85a308d3u, 7));
}

TEST_P(RandomTest, NormalsAreBoxMullerOfTheBits) {
    const int64_t count = GetParam();
    auto state = random_state(42, 3);
    auto out = Floats::output(static_cast<size_t>(count), 1);  // misaligned on purpose
    ASSERT_OK(kernels().random_normal(out.data(), count, state.data(), 5, stream()));
    const std::vector<uint32_t> bits = reference_bits((count + 3) / 4 * 4, 42, 3, 5);
    std::vector<double> expected(static_cast<size_t>(count));
    for (size_t i = 0; i < expected.size(); ++i) {
        const size_t pair = i / 2 * 2;
        const double u = ((bits[pair] >> 9) + 0.5) / 8388608.0;
        const uint32_t quadrant = bits[pair + 1] >> 30, fraction = (bits[pair + 1] << 2) >> 8;
        const double angle = M_PI / 2.0 * (quadrant + fraction / 16777216.0 - 0.5);
        expected[i] = std::sqrt(-2.0 * std::log(u)) * (i % 2 == 0 ? std::cos(angle) : std::sin(angle));
    }
    EXPECT_CLOSE(out.read(), expected, 1e-6, 2e-6);
}

INSTANTIATE_TEST_SUITE_P(Sizes, RandomTest,
                         testing::Values(0, 1, 3, 4, 5, 63, 64, 65, 1023, 1024, 1025, 1031, 4097, 40009));

TEST(Random, NormalsHaveTheNormalDistribution) {
    const int64_t count = 1 << 18;
    auto state = random_state(1, 0);
    auto out = Floats::output(count);
    ASSERT_OK(kernels().random_normal(out.data(), count, state.data(), 0, stream()));
    std::vector<float> x = out.read();
    double mean = 0.0, square = 0.0;
    for (const float v : x) mean += v, square += static_cast<double>(v) * v;
    mean /= count;
    EXPECT_NEAR(mean, 0.0, 5.0 / std::sqrt(count));
    EXPECT_NEAR(square / count - mean * mean, 1.0, 5.0 * std::sqrt(2.0 / count));
    // Kolmogorov-Smirnov: the largest distance from the normal distribution function, at level 1e-3.
    std::sort(x.begin(), x.end());
    double distance = 0.0;
    for (int64_t i = 0; i < count; ++i) {
        const double cdf = 0.5 * std::erfc(-x[static_cast<size_t>(i)] / std::sqrt(2.0));
        distance = std::max({distance, cdf - static_cast<double>(i) / count, (i + 1.0) / count - cdf});
    }
    EXPECT_LT(distance, 1.95 / std::sqrt(count));
}

TEST(Random, SitesStepsAndSeedsAreDifferentDraws) {
    const auto draw = [](uint64_t seed, uint32_t step, uint32_t site) {
        auto state = random_state(seed, step);
        auto out = Array<uint32_t>::output(64);
        EXPECT_EQ(kernels().random_bits(out.data(), 64, state.data(), site, stream()), JL_OK);
        return out.read();
    };
    const auto base = draw(1, 2, 3);
    EXPECT_EQ(base, draw(1, 2, 3));
    EXPECT_NE(base, draw(1, 2, 4));
    EXPECT_NE(base, draw(1, 3, 3));
    EXPECT_NE(base, draw(2, 2, 3));
    EXPECT_NE(base, draw(1ull << 32 | 1, 2, 3));
}

TEST(Random, AdvanceAddsOneStep) {
    auto state = random_state(9, 41);
    ASSERT_OK(kernels().random_advance(state.data(), stream()));
    const jl_random after = state.read()[0];
    EXPECT_EQ(after.step, 42u);
    EXPECT_EQ(after.seed, 9u);
}

TEST(Random, RefusesWhatTheCounterCannotHold) {
    auto state = random_state(1, 0);
    auto out = Floats::output(4);
    EXPECT_BAD_ARGUMENT(kernels().random_normal(out.data(), -1, state.data(), 0, stream()), "got -1");
    EXPECT_BAD_ARGUMENT(
        kernels().random_normal(out.data(), (int64_t{1} << 34) + 1, state.data(), 0, stream()), "2^34");
    EXPECT_BAD_ARGUMENT(kernels().random_normal(nullptr, 4, state.data(), 0, stream()), "null");
}

}  // namespace
}  // namespace jlatent::test
