// resample against loops written straight from the formulas of resample.h.
#include "case_table.h"

namespace jlatent::test {
namespace {

struct Case {
    jl_upsample s;
    size_t shift;  // elements off 16-byte alignment
};

class UpsampleTest : public testing::TestWithParam<Case> {};

TEST_P(UpsampleTest, ForwardAndBackwardEqualTheReference) {
    const jl_upsample s = GetParam().s;
    const size_t small = static_cast<size_t>(s.images * s.height * s.width * s.channels);
    const size_t large = small * static_cast<size_t>(s.factor_y * s.factor_x);
    const auto x = random_floats(small, -1.0f, 1.0f), dy = random_floats(large, -1.0f, 1.0f, 2);
    std::vector<float> expected(large);
    std::vector<double> gradient(small, 0.0);
    const int64_t height = s.height * s.factor_y, width = s.width * s.factor_x;
    for (int64_t n = 0; n < s.images; ++n)
        for (int64_t h = 0; h < height; ++h)
            for (int64_t w = 0; w < width; ++w)
                for (int64_t c = 0; c < s.channels; ++c) {
                    const size_t to = static_cast<size_t>(((n * height + h) * width + w) * s.channels + c);
                    const size_t from = static_cast<size_t>(
                        ((n * s.height + h / s.factor_y) * s.width + w / s.factor_x) * s.channels + c);
                    expected[to] = x[from];
                    gradient[from] += dy[to];
                }
    Floats in(x, GetParam().shift), d(dy, GetParam().shift);
    auto y = Floats::output(large, GetParam().shift), dx = Floats::output(small, GetParam().shift);
    ASSERT_OK(kernels().upsample_forward(&s, in.data(), y.data(), stream()));
    EXPECT_EQ(y.read(), expected);
    ASSERT_OK(kernels().upsample_backward(&s, d.data(), dx.data(), stream()));
    EXPECT_CLOSE(dx.read(), gradient, 1e-6, 1e-7 * static_cast<double>(s.factor_y * s.factor_x));
}

INSTANTIATE_TEST_SUITE_P(Cases, UpsampleTest,
                         testing::Values(Case{{2, 3, 5, 4, 2, 2}, 0}, Case{{2, 3, 5, 4, 2, 2}, 1},
                                         Case{{1, 1, 1, 1, 1, 1}, 0}, Case{{3, 7, 5, 3, 2, 3}, 0},
                                         Case{{2, 4, 4, 64, 2, 2}, 0}, Case{{1, 5, 6, 1, 4, 1}, 2},
                                         Case{{5, 1, 1, 1, 4099, 1}, 0}, Case{{3, 1, 1, 6, 1000, 1}, 0},
                                         Case{{1, 1, 3, 2, 1, 7}, 0}, Case{{0, 2, 2, 2, 2, 2}, 0},
                                         Case{{2, 2, 0, 2, 2, 2}, 0}, Case{{2, 2, 2, 0, 2, 2}, 0},
                                         Case{{4, 16, 16, 12, 2, 2}, 0}));

TEST(Resample, BadArgumentsAreNamed) {
    Floats x(std::vector<float>(4, 0.0f));
    const jl_upsample negative = {1, -2, 1, 1, 1, 1}, shrinking = {1, 1, 1, 1, 0, 2},
                      good = {1, 1, 1, 1, 2, 2};
    EXPECT_BAD_ARGUMENT(kernels().upsample_forward(&negative, x.data(), x.data(), stream()), "[1, -2, 1, 1]");
    EXPECT_BAD_ARGUMENT(kernels().upsample_backward(&shrinking, x.data(), x.data(), stream()), "0 and 2");
    const jl_upsample huge = {int64_t{1} << 32, 1, int64_t{1} << 32, 1, 1, 1},
                      enlarged = {1, 4, 4, 1, 1 << 20, 1 << 20};
    EXPECT_BAD_ARGUMENT(kernels().upsample_forward(&huge, x.data(), x.data(), stream()), "2^38");
    EXPECT_BAD_ARGUMENT(kernels().upsample_backward(&enlarged, x.data(), x.data(), stream()), "2^38");
    EXPECT_BAD_ARGUMENT(kernels().upsample_forward(&good, nullptr, x.data(), stream()), "null");
    EXPECT_BAD_ARGUMENT(kernels().upsample_forward(nullptr, x.data(), x.data(), stream()), "shape");
}

}  // namespace
}  // namespace jlatent::test
