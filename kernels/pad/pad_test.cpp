// pad against its formula, element by element, in both types.
#include "case_table.h"

namespace jlatent::test {
namespace {

//                    images height width channels top left bottom right
const jl_pad kCases[] = {
    {2, 3, 5, 4, 1, 2, 0, 1, 0},    {2, 3, 5, 3, 0, 0, 0, 0, 0},    {1, 1, 1, 1, 0, 0, 1, 0, 0},
    {3, 7, 5, 2, -1, -2, 0, -1, 0}, {2, 4, 4, 5, -1, 3, 2, -2, 0},  {2, 2, 3, 4, -2, 0, 1, 0, 0},
    {1, 2, 2, 3, 5, 0, -4, 0, 0},   {2, 0, 3, 2, 1, 0, 1, 0, 0},    {2, 3, 3, 2, -1, 0, -2, 0, 0},
    {0, 3, 3, 2, 1, 1, 1, 1, 0},    {4, 33, 31, 17, 2, 0, 1, 3, 0},
};

template <class T>
void check(jl_pad s, const std::vector<T>& x) {
    const int64_t height = s.height + s.top + s.bottom, width = s.width + s.left + s.right;
    std::vector<T> expected;
    for (int64_t n = 0; n < s.images; ++n)
        for (int64_t h = 0; h < height; ++h)
            for (int64_t w = 0; w < width; ++w)
                for (int64_t c = 0; c < s.channels; ++c) {
                    const int64_t iy = h - s.top, ix = w - s.left;
                    const bool inside = iy >= 0 && iy < s.height && ix >= 0 && ix < s.width;
                    const int64_t from = ((n * s.height + iy) * s.width + ix) * s.channels + c;
                    expected.push_back(inside ? x[static_cast<size_t>(from)] : T{0});
                }
    Array<T> in(x, 1);
    auto out = Array<T>::output(expected.size(), 1);
    ASSERT_OK(kernels().pad(&s, in.data(), out.data(), stream()));
    EXPECT_EQ(out.read(), expected);
}

class PadTest : public testing::TestWithParam<jl_pad> {};

TEST_P(PadTest, EqualsTheReference) {
    jl_pad s = GetParam();
    const size_t count = static_cast<size_t>(s.images * s.height * s.width * s.channels);
    std::vector<float> floats(count);
    std::vector<uint16_t> halves(count);
    for (size_t i = 0; i < count; ++i)
        floats[i] = static_cast<float>(i + 1), halves[i] = static_cast<uint16_t>(i + 1);
    check(s, floats);
    s.dtype = JL_BF16;
    check(s, halves);
}

INSTANTIATE_TEST_SUITE_P(Cases, PadTest, testing::ValuesIn(kCases));

TEST(Pad, BadArgumentsAreNamed) {
    Floats x(std::vector<float>(64, 0.0f)), y(std::vector<float>(64, 0.0f));
    const auto pad = [&](jl_pad s) { return kernels().pad(&s, x.data(), y.data(), stream()); };
    EXPECT_BAD_ARGUMENT(pad({1, -2, 1, 1, 0, 0, 0, 0, 0}), "[1, -2, 1, 1]");
    EXPECT_BAD_ARGUMENT(pad({1, 2, 3, 1, -2, 0, -1, 0, 0}), "image of 2x3");
    EXPECT_BAD_ARGUMENT(pad({1, 2, 2, 1, 0, 0, 0, 0, 2}), "type 2");
    EXPECT_BAD_ARGUMENT(pad({1, 2, 2, 1, int64_t{1} << 62, 0, 0, 0, 0}), "within 2^38");
    EXPECT_BAD_ARGUMENT(pad({int64_t{1} << 20, 2, 2, 1, 1 << 20, 0, 0, 0, 0}), "y has more");
    EXPECT_BAD_ARGUMENT(pad({int64_t{1} << 37, 2, 2, 1, 0, 0, 0, 0, 0}), "x has more");
    const jl_pad good = {1, 2, 2, 1, 0, 0, 0, 0, 0};
    EXPECT_BAD_ARGUMENT(kernels().pad(&good, x.data(), nullptr, stream()), "null");
    EXPECT_BAD_ARGUMENT(kernels().pad(nullptr, x.data(), y.data(), stream()), "shape");
}

}  // namespace
}  // namespace jlatent::test
