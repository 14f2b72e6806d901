// dropout against the bits of random_bits, the documented rule, and the share it should keep.
#include "case_table.h"

namespace jlatent::test {
namespace {

constexpr uint32_t kSite = 11;

std::vector<uint32_t> bits_of(size_t count, uint64_t seed, uint32_t step) {
    auto state = random_state(seed, step);
    auto out = Array<uint32_t>::output(count);
    EXPECT_EQ(kernels().random_bits(out.data(), static_cast<int64_t>(count), state.data(), kSite, stream()),
              JL_OK);
    return out.read();
}

class DropoutTest : public testing::TestWithParam<size_t> {};

TEST_P(DropoutTest, KeepsWhatTheBitsSay) {
    const size_t count = GetParam();
    const int64_t n = static_cast<int64_t>(count);
    const auto x = random_floats(count, -1.0f, 1.0f);
    const auto bits = bits_of(count, 77, 5);
    auto state = random_state(77, 5);
    std::vector<float> drops = {0.0f, 0.1f, 0.5f, 0.999f, 0x1.fffffep-1f};
    // A word that an f32 holds, as the threshold: it is kept.
    const auto exact = std::find_if(bits.begin(), bits.end(), [](uint32_t w) { return (w & 0xff) == 0; });
    if (exact != bits.end()) drops.push_back(static_cast<float>(*exact) / 4294967296.0f);
    for (const float drop : drops) {
        Floats in(x, 1);
        auto y = Floats::output(count, 2);
        const float scale = 1.0f / (1.0f - drop);
        std::vector<float> inverted(count), masked(count);
        for (size_t i = 0; i < count; ++i) {
            const bool kept = bits[i] >= static_cast<double>(drop) * 4294967296.0;
            inverted[i] = kept ? scale * x[i] : 0.0f;
            masked[i] = kept ? x[i] : 0.0f;
        }
        ASSERT_OK(kernels().dropout(in.data(), y.data(), n, state.data(), kSite, drop, scale, stream()));
        EXPECT_EQ(y.read(), inverted) << drop;
        if (drop == 0.0f) {
            EXPECT_EQ(y.read(), x);
        }
        ASSERT_OK(kernels().dropout(in.data(), in.data(), n, state.data(), kSite, drop, 1.0f, stream()));
        EXPECT_EQ(in.read(), masked) << drop;  // in place
    }
}

INSTANTIATE_TEST_SUITE_P(Sizes, DropoutTest,
                         testing::Values(0, 1, 3, 4, 5, 63, 64, 65, 1023, 1025, 4099, 40009));

TEST(Dropout, BackwardIsTheMaskOfForward) {
    const size_t count = 777;
    auto state = random_state(3, 2);
    Floats ones(std::vector<float>(count, 1.0f)), dy(random_floats(count, 1.0f, 2.0f));
    auto y = Floats::output(count), dx = Floats::output(count);
    ASSERT_OK(kernels().dropout(ones.data(), y.data(), count, state.data(), kSite, 0.3f, 1.0f, stream()));
    ASSERT_OK(kernels().dropout(dy.data(), dx.data(), count, state.data(), kSite, 0.3f, 1.0f, stream()));
    const auto mask = y.read(), gradient = dx.read(), given = dy.read();
    for (size_t i = 0; i < count; ++i) EXPECT_EQ(gradient[i], mask[i] * given[i]) << i;
}

TEST(Dropout, DropsTheShareAskedForAndKeepsTheMean) {
    const size_t count = 1 << 18;
    auto state = random_state(1, 0);
    Floats x(std::vector<float>(count, 1.0f));
    auto y = Floats::output(count);
    const double p = 0.3;
    ASSERT_OK(kernels().dropout(x.data(), y.data(), count, state.data(), 4, 0.3f, 1.0f / 0.7f, stream()));
    size_t dropped = 0;
    for (const float v : y.read()) dropped += v == 0.0f;
    const double deviation = std::sqrt(p * (1.0 - p) * count);
    EXPECT_NEAR(static_cast<double>(dropped), p * count, 5.0 * deviation);
}

TEST(Dropout, OtherStepsAndSeedsDropOtherElements) {
    const auto draw = [](uint64_t seed, uint32_t step) {
        auto state = random_state(seed, step);
        Floats x(std::vector<float>(256, 1.0f));
        auto y = Floats::output(256);
        EXPECT_EQ(kernels().dropout(x.data(), y.data(), 256, state.data(), kSite, 0.5f, 2.0f, stream()),
                  JL_OK);
        return y.read();
    };
    EXPECT_EQ(draw(1, 1), draw(1, 1));
    EXPECT_NE(draw(1, 1), draw(1, 2));
    EXPECT_NE(draw(1, 1), draw(2, 1));
}

// What is dropped is gone, whatever it was; what is kept stays what it was.
TEST(Dropout, NotANumberIsDroppedOrKept) {
    const size_t count = 64;
    const auto bits = bits_of(count, 9, 9);
    auto state = random_state(9, 9);
    Floats x(std::vector<float>(count, std::numeric_limits<float>::quiet_NaN()));
    auto y = Floats::output(count);
    ASSERT_OK(kernels().dropout(x.data(), y.data(), count, state.data(), kSite, 0.5f, 2.0f, stream()));
    const auto values = y.read();
    for (size_t i = 0; i < count; ++i)
        if (bits[i] >= 0x80000000u)
            EXPECT_TRUE(std::isnan(values[i])) << i;
        else
            EXPECT_EQ(values[i], 0.0f) << i;
}

TEST(Dropout, BadArgumentsAreNamed) {
    auto state = random_state(1, 0);
    Floats x(std::vector<float>(4, 0.0f));
    const auto call = [&](const float* in, int64_t count, float drop) {
        return kernels().dropout(in, x.data(), count, state.data(), 0, drop, 1.0f, stream());
    };
    EXPECT_BAD_ARGUMENT(call(x.data(), -1, 0.5f), "got -1");
    EXPECT_BAD_ARGUMENT(call(x.data(), (int64_t{1} << 34) + 1, 0.5f), "2^34");
    EXPECT_BAD_ARGUMENT(call(x.data(), 4, 1.0f), "got 1");
    EXPECT_BAD_ARGUMENT(call(x.data(), 4, -0.1f), "got -0.1");
    EXPECT_BAD_ARGUMENT(call(x.data(), 4, std::nanf("")), "nan");
    EXPECT_BAD_ARGUMENT(call(nullptr, 4, 0.5f), "null");
}

}  // namespace
}  // namespace jlatent::test
