// concat_elu against fp64, its gradient against central differences.
#include "case_table.h"

namespace jlatent::test {
namespace {

double elu(double x) { return x < 0.0 ? std::expm1(x) : x; }

struct Extents {
    int64_t rows, channels;
};

class ConcatEluTest : public testing::TestWithParam<Extents> {};

TEST_P(ConcatEluTest, ForwardAndBackwardEqualTheReference) {
    const auto [rows, channels] = GetParam();
    const size_t count = static_cast<size_t>(rows * channels), c = static_cast<size_t>(channels);
    auto x = random_floats(count, -6.0f, 6.0f, 1);
    // Zero, small arguments, where naive formulas cancel, and both ends.
    const float special[] = {0.0f, -0.0f, 1e-8f, -1e-8f, 1e-4f, -1e-4f, 40.0f, -40.0f, 120.0f, -120.0f};
    for (size_t i = 0; i < std::min(count, std::size(special)); ++i) x[i] = special[i];
    const auto dy = random_floats(2 * count, -1.0f, 1.0f, 2);
    for (const size_t shift : {0, 1}) {
        Floats x_array(x, shift), dy_array(dy, 2 * shift);
        auto y = Floats::output(2 * count, 3 * shift), dx = Floats::output(count, shift);
        ASSERT_OK(kernels().concat_elu_forward(x_array.data(), y.data(), rows, channels, stream()));
        ASSERT_OK(kernels().concat_elu_backward(x_array.data(), dy_array.data(), dx.data(), rows, channels,
                                                stream()));
        std::vector<double> expected(2 * count), gradient(count);
        for (size_t i = 0; i < count; ++i) {
            const size_t at = i / std::max<size_t>(1, c) * 2 * c + i % c;
            expected[at] = elu(x[i]);
            expected[at + c] = elu(-static_cast<double>(x[i]));
            const auto loss = [&](const std::vector<double>& p) {
                return dy[at] * elu(p[0]) + dy[at + c] * elu(-p[0]);
            };
            gradient[i] = numeric_gradient(loss, {x[i]}, 1e-6)[0];
        }
        EXPECT_CLOSE(y.read(), expected, 4e-7, 1e-37);
        EXPECT_CLOSE(dx.read(), gradient, 2e-6, 2e-6);  // differences across 0 err by their step
    }
}

INSTANTIATE_TEST_SUITE_P(Cases, ConcatEluTest,
                         testing::Values(Extents{0, 3}, Extents{3, 0}, Extents{1, 1}, Extents{1, 11},
                                         Extents{5, 4}, Extents{7, 3}, Extents{33, 67}, Extents{1025, 2},
                                         Extents{400, 160}));

TEST(ConcatElu, NotANumberIsPassedOn) {
    std::vector<float> values(35, 0.5f);
    values[17] = std::numeric_limits<float>::quiet_NaN();
    Floats x(values), one(std::vector<float>(70, 1.0f));
    auto y = Floats::output(70), dx = Floats::output(35);
    ASSERT_OK(kernels().concat_elu_forward(x.data(), y.data(), 5, 7, stream()));
    ASSERT_OK(kernels().concat_elu_backward(x.data(), one.data(), dx.data(), 5, 7, stream()));
    const std::vector<float> forward = y.read(), backward = dx.read();
    for (size_t i = 0; i < 70; ++i) EXPECT_EQ(std::isnan(forward[i]), i == 31 || i == 38) << i;
    for (size_t i = 0; i < 35; ++i) EXPECT_EQ(std::isnan(backward[i]), i == 17) << i;
}

TEST(ConcatElu, BadArgumentsAreNamed) {
    Floats x(std::vector<float>(8, 0.0f));
    EXPECT_BAD_ARGUMENT(kernels().concat_elu_forward(nullptr, x.data(), 1, 2, stream()), "array is null");
    EXPECT_BAD_ARGUMENT(kernels().concat_elu_forward(x.data(), x.data(), -1, 2, stream()), "-1 and 2");
    EXPECT_BAD_ARGUMENT(kernels().concat_elu_forward(x.data(), x.data(), 2, int64_t{1} << 37, stream()),
                        "2^38");
    EXPECT_BAD_ARGUMENT(kernels().concat_elu_backward(x.data(), nullptr, x.data(), 1, 2, stream()),
                        "concat_elu_backward: an array is null");
    EXPECT_BAD_ARGUMENT(kernels().concat_elu_backward(x.data(), x.data(), nullptr, 1, 2, stream()), "null");
}

}  // namespace
}  // namespace jlatent::test
