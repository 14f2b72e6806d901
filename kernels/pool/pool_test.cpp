// pool against loops over windows, in fp64, and its gradient against what each window hands back.
#include "case_table.h"

namespace jlatent::test {
namespace {

//                     batch image channels window stride padding t l b r average
const jl_pool kCases[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0},   {3, 8, 8, 16, 2, 2, 2, 2, 0, 0, 0, 0, 0},
    {2, 7, 9, 5, 3, 3, 2, 2, 1, 1, 1, 1, 0},   {2, 9, 6, 3, 2, 3, 1, 2, 0, 1, 1, 0, 0},
    {1, 1, 31, 17, 1, 4, 1, 3, 0, 2, 0, 1, 0}, {2, 5, 5, 33, 5, 5, 1, 1, 0, 0, 0, 0, 0},
    {2, 4, 5, 2, 2, 2, 5, 3, 1, 0, 1, 1, 0},   {0, 4, 4, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0},
};

class PoolTest : public testing::TestWithParam<std::tuple<jl_pool, bool, bool>> {};

TEST_P(PoolTest, ForwardAndBackwardEqualTheReference) {
    jl_pool s = std::get<0>(GetParam());
    s.average = std::get<1>(GetParam());
    const bool ties = std::get<2>(GetParam());
    const int64_t oh = (s.height + s.pad_top + s.pad_bottom - s.kernel_height) / s.stride_y + 1;
    const int64_t ow = (s.width + s.pad_left + s.pad_right - s.kernel_width) / s.stride_x + 1;
    const size_t x_count = static_cast<size_t>(s.batch * s.height * s.width * s.channels);
    const size_t y_count = static_cast<size_t>(s.batch * oh * ow * s.channels);
    auto x = random_floats(x_count, -1.0f, 1.0f);
    if (ties)
        for (float& v : x) v = std::round(v);
    const auto d_y = random_floats(y_count, -1.0f, 1.0f, 2);

    std::vector<double> y_expected(y_count), dx_expected(x_count, 0.0);
    for (size_t j = 0; j < y_count; ++j) {
        const int64_t i = static_cast<int64_t>(j), c = i % s.channels, ox = i / s.channels % ow,
                      oy = i / s.channels / ow % oh, n = i / s.channels / ow / oh;
        std::vector<size_t> window;
        for (int64_t iy = oy * s.stride_y - s.pad_top; iy < oy * s.stride_y - s.pad_top + s.kernel_height;
             ++iy)
            for (int64_t ix = ox * s.stride_x - s.pad_left;
                 ix < ox * s.stride_x - s.pad_left + s.kernel_width; ++ix)
                if (iy >= 0 && iy < s.height && ix >= 0 && ix < s.width)
                    window.push_back(
                        static_cast<size_t>(((n * s.height + iy) * s.width + ix) * s.channels + c));
        if (s.average) {
            const double share = 1.0 / static_cast<double>(window.size());
            for (const size_t at : window) y_expected[j] += x[at] * share, dx_expected[at] += d_y[j] * share;
        } else {
            const size_t winner = *std::max_element(window.begin(), window.end(),
                                                    [&](size_t a, size_t b) { return x[a] < x[b]; });
            y_expected[j] = x[winner];
            dx_expected[winner] += d_y[j];
        }
    }

    Floats in(x, 1), d(d_y, 1);
    auto y = Floats::output(y_count, 1), plain = Floats::output(y_count), dx = Floats::output(x_count, 1);
    auto winners = Array<int32_t>::output(y_count);
    int32_t* kept = s.average ? nullptr : winners.data();
    ASSERT_OK(kernels().pool_forward(&s, in.data(), y.data(), kept, stream()));
    EXPECT_CLOSE(y.read(), y_expected, 1e-6, s.average ? 1e-6 : 0.0);
    ASSERT_OK(kernels().pool_forward(&s, in.data(), plain.data(), nullptr, stream()));
    EXPECT_EQ(plain.read(), y.read());
    ASSERT_OK(kernels().pool_backward(&s, d.data(), kept, dx.data(), stream()));
    EXPECT_CLOSE(dx.read(), dx_expected, 1e-6, 1e-6);
    winners.read();
}

INSTANTIATE_TEST_SUITE_P(Cases, PoolTest,
                         testing::Combine(testing::ValuesIn(kCases), testing::Bool(), testing::Bool()));

TEST(Pool, NotANumberWinsAndMinusInfinityLoses) {
    const float nan = std::numeric_limits<float>::quiet_NaN(), low = -std::numeric_limits<float>::infinity();
    const jl_pool s = {1, 1, 6, 1, 1, 3, 1, 3, 0, 0, 0, 0, 0};
    Floats x(std::vector<float>{1.0f, nan, 2.0f, low, low, low}), one(std::vector<float>{1.0f, 1.0f});
    auto y = Floats::output(2), dx = Floats::output(6);
    auto winners = Array<int32_t>::output(2);
    ASSERT_OK(kernels().pool_forward(&s, x.data(), y.data(), winners.data(), stream()));
    EXPECT_TRUE(std::isnan(y.read()[0]));
    EXPECT_EQ(y.read()[1], low);
    EXPECT_EQ(winners.read(), (std::vector<int32_t>{1, 0}));
    ASSERT_OK(kernels().pool_backward(&s, one.data(), winners.data(), dx.data(), stream()));
    EXPECT_EQ(dx.read(), (std::vector<float>{0, 1, 0, 1, 0, 0}));
}

TEST(Pool, BadArgumentsAreNamed) {
    Floats x(std::vector<float>(64, 0.0f));
    const auto forward = [&](jl_pool s) {
        return kernels().pool_forward(&s, x.data(), x.data(), nullptr, stream());
    };
    EXPECT_BAD_ARGUMENT(forward({1, 4, 4, 1, 5, 2, 1, 1, 0, 0, 0, 0, 0}), "larger than the padded image");
    EXPECT_BAD_ARGUMENT(forward({1, 4, 4, 1, 2, 2, 0, 1, 0, 0, 0, 0, 0}), "strides");
    EXPECT_BAD_ARGUMENT(forward({1, 4, 4, 1, 2, 2, 1, 1, 2, 0, 0, 0, 0}), "less than the window");
    EXPECT_BAD_ARGUMENT(forward({1, 4, 4, 1, 1 << 15, 2, 1, 1, 0, 0, 0, 0, 0}), "2^15, got 32768x2");
    EXPECT_BAD_ARGUMENT(forward({1, 4, 4, 1, 2, 2, int64_t{1} << 30, 1, 0, 0, 0, 0, 0}), "2^30");
    EXPECT_BAD_ARGUMENT(forward({int64_t{1} << 32, 1 << 20, 4, 1, 2, 2, 1, 1, 0, 0, 0, 0, 0}), "2^38");
    const jl_pool good = {1, 4, 4, 1, 2, 2, 1, 1, 0, 0, 0, 0, 0};
    EXPECT_BAD_ARGUMENT(kernels().pool_forward(nullptr, x.data(), x.data(), nullptr, stream()), "shape");
    EXPECT_BAD_ARGUMENT(kernels().pool_forward(&good, x.data(), nullptr, nullptr, stream()), "null");
    EXPECT_BAD_ARGUMENT(kernels().pool_backward(&good, nullptr, nullptr, x.data(), stream()), "null");
    EXPECT_BAD_ARGUMENT(kernels().pool_backward(&good, x.data(), nullptr, x.data(), stream()), "winners");
}

}  // namespace
}  // namespace jlatent::test
