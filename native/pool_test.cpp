// Pooling of dense.h against fp64: odd sizes, padding, overlapping windows, ties.
#include <algorithm>
#include <string>

#include "dense_testing.h"

namespace {

using namespace dense_testing;

//                     batch image channels window stride padding t l b r average
const jl_pool kCases[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0},   {3, 8, 8, 16, 2, 2, 2, 2, 0, 0, 0, 0, 0},
    {2, 7, 9, 5, 3, 3, 2, 2, 1, 1, 1, 1, 0},   {2, 9, 6, 3, 2, 3, 1, 2, 0, 1, 1, 0, 0},
    {1, 1, 31, 17, 1, 4, 1, 3, 0, 2, 0, 1, 0}, {2, 5, 5, 33, 5, 5, 1, 1, 0, 0, 0, 0, 0},
};

int64_t winners_bytes(const jl_pool& s) {
    int64_t bytes = -1;
    EXPECT_EQ(jl_open_dense()->pool_winners_bytes(&s, &bytes), JL_OK) << jl_open_dense()->last_error();
    return bytes;
}

class Pool : public testing::TestWithParam<std::tuple<jl_pool, bool, bool>> {};

TEST_P(Pool, EqualsTheReference) {
    jl_pool s = std::get<0>(GetParam());
    s.average = std::get<1>(GetParam());
    const bool ties = std::get<2>(GetParam());
    const int64_t oh = (s.height + s.pad_top + s.pad_bottom - s.kernel_height) / s.stride_y + 1;
    const int64_t ow = (s.width + s.pad_left + s.pad_right - s.kernel_width) / s.stride_x + 1;
    const int64_t x_count = s.batch * s.height * s.width * s.channels;
    const int64_t y_count = s.batch * oh * ow * s.channels;
    auto x = random_floats(static_cast<size_t>(x_count), 1);
    if (ties)
        for (float& v : x) v = std::round(v);
    const auto d_y = random_floats(static_cast<size_t>(y_count), 2);

    Output y(JL_F32, y_count), plain(JL_F32, y_count), d_x(JL_F32, x_count);
    std::vector<char> winners(static_cast<size_t>(winners_bytes(s)) + 1, '\x55');
    EXPECT_EQ(winners.size() == 1, s.average != 0);
    const auto floats = [](Output& o) { return static_cast<float*>(o.data()); };
    ASSERT_EQ(jl_open_dense()->pool(&s, x.data(), floats(y), winners.data()), JL_OK)
        << jl_open_dense()->last_error();
    ASSERT_EQ(jl_open_dense()->pool(&s, x.data(), floats(plain), nullptr), JL_OK);
    ASSERT_EQ(jl_open_dense()->pool_backward(&s, d_y.data(), winners.data(), floats(d_x)), JL_OK)
        << jl_open_dense()->last_error();
    EXPECT_EQ(winners.back(), '\x55') << "wrote past the winners";

    std::vector<Sum> expected(static_cast<size_t>(x_count));
    for (int64_t n = 0; n < s.batch; ++n)
        for (int64_t oy = 0; oy < oh; ++oy)
            for (int64_t ox = 0; ox < ow; ++ox)
                for (int64_t c = 0; c < s.channels; ++c) {
                    std::vector<size_t> window;
                    for (int64_t ky = 0; ky < s.kernel_height; ++ky)
                        for (int64_t kx = 0; kx < s.kernel_width; ++kx) {
                            const int64_t iy = oy * s.stride_y - s.pad_top + ky;
                            const int64_t ix = ox * s.stride_x - s.pad_left + kx;
                            if (iy >= 0 && iy < s.height && ix >= 0 && ix < s.width)
                                window.push_back(static_cast<size_t>(
                                    ((n * s.height + iy) * s.width + ix) * s.channels + c));
                        }
                    const int64_t j = ((n * oh + oy) * ow + ox) * s.channels + c;
                    const double gradient = d_y[static_cast<size_t>(j)];
                    ASSERT_EQ(y[j], plain[j]);
                    if (s.average) {
                        Sum mean;
                        const double share = 1.0 / static_cast<double>(window.size());
                        for (const size_t i : window) {
                            mean.add(x[i] * share);
                            expected[i].add(gradient * share);
                        }
                        ASSERT_NEAR(y[j], mean.value, mean.tolerance(JL_F32, 0.0));
                    } else {
                        const size_t winner = *std::max_element(
                            window.begin(), window.end(), [&](size_t a, size_t b) { return x[a] < x[b]; });
                        ASSERT_EQ(y[j], x[winner]);
                        expected[winner].add(gradient);
                    }
                }
    for (int64_t i = 0; i < x_count; ++i) {
        const Sum& sum = expected[static_cast<size_t>(i)];
        ASSERT_NEAR(d_x[i], sum.value, sum.tolerance(JL_F32, 0.0)) << "at " << i;
    }
}

INSTANTIATE_TEST_SUITE_P(Cases, Pool,
                         testing::Combine(testing::ValuesIn(kCases), testing::Bool(), testing::Bool()));

TEST(PoolArguments, BadOnesAreNamed) {
    float memory[64] = {};
    constexpr int64_t kPad = (1 << 20) - 1;
    const auto message = [&](const jl_pool& s) {
        EXPECT_EQ(jl_open_dense()->pool(&s, memory, memory, nullptr), JL_BAD_ARGUMENT);
        EXPECT_EQ(jl_open_dense()->pool_backward(&s, memory, memory, memory), JL_BAD_ARGUMENT);
        int64_t bytes = 1;
        EXPECT_EQ(jl_open_dense()->pool_winners_bytes(&s, &bytes), JL_BAD_ARGUMENT);
        EXPECT_EQ(bytes, 0);
        return std::string(jl_open_dense()->last_error());
    };
    EXPECT_NE(message({1, 4, 4, 1, 5, 2, 1, 1, 0, 0, 0, 0, 0}).find("larger than the padded image"),
              std::string::npos);
    EXPECT_NE(message({1, 4, 4, 1, 2, 2, 0, 1, 0, 0, 0, 0, 0}).find("strides"), std::string::npos);
    EXPECT_NE(message({1, 4, 4, 1, 2, 2, 1, 1, 2, 0, 0, 0, 0}).find("less than the window"),
              std::string::npos);
    EXPECT_NE(
        message({int64_t{1} << 32, 1 << 20, 4, 1, 2, 2, 1, 1, 0, 0, 0, 0, 0}).find("4294967296x1048576x4x1"),
        std::string::npos);
    EXPECT_NE(message({1, 4, 4, 1, int64_t{1} << 40, 2, 1, 1, 0, 0, 0, 0, 0}).find("2^30"),
              std::string::npos);
    EXPECT_NE(message({1, 4, 4, 1, 1 << 20, 1 << 20, 1, 1, kPad, kPad, kPad, kPad, 0}).find("2^38"),
              std::string::npos)
        << "of y";
    EXPECT_EQ(jl_open_dense()->pool(nullptr, memory, memory, nullptr), JL_BAD_ARGUMENT);
    EXPECT_EQ(jl_open_dense()->pool_winners_bytes(nullptr), 0);
    EXPECT_NE(std::string(jl_open_dense()->last_error()).find("shape is null"), std::string::npos);
    const jl_pool good = {1, 4, 4, 1, 2, 2, 1, 1, 0, 0, 0, 0, 0};
    EXPECT_EQ(jl_open_dense()->pool(&good, memory, nullptr, nullptr), JL_BAD_ARGUMENT);
    EXPECT_EQ(jl_open_dense()->pool(&good, nullptr, memory, nullptr), JL_BAD_ARGUMENT);
    EXPECT_EQ(jl_open_dense()->pool_backward(&good, nullptr, memory, memory), JL_BAD_ARGUMENT);
    EXPECT_EQ(jl_open_dense()->pool_backward(&good, memory, memory, nullptr), JL_BAD_ARGUMENT);
    EXPECT_EQ(jl_open_dense()->pool_backward(&good, memory, nullptr, memory), JL_BAD_ARGUMENT);
    EXPECT_NE(std::string(jl_open_dense()->last_error()).find("winners"), std::string::npos);
}

}  // namespace
