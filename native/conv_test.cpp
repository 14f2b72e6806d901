// Convolutions of dense.h against sums in fp64 over every tap: odd sizes, strides, dilation, one-sided padding,
// groups, extents of 1.
#include <string>

#include "dense_testing.h"

namespace {

using namespace dense_testing;

struct Extents {
    int64_t height, width;
};

Extents out_of(const jl_conv& s) {
    return {(s.height + s.pad_top + s.pad_bottom - s.dilation_y * (s.kernel_height - 1) - 1) / s.stride_y + 1,
            (s.width + s.pad_left + s.pad_right - s.dilation_x * (s.kernel_width - 1) - 1) / s.stride_x + 1};
}

// tap(x index, y index, weight index) for every product of the convolution.
template <class Tap>
void for_each_tap(const jl_conv& s, Tap tap) {
    const auto [oh, ow] = out_of(s);
    const int64_t group_channels = s.channels / s.groups, group_filters = s.filters / s.groups;
    for (int64_t n = 0; n < s.batch; ++n)
        for (int64_t oy = 0; oy < oh; ++oy)
            for (int64_t ox = 0; ox < ow; ++ox)
                for (int64_t f = 0; f < s.filters; ++f)
                    for (int64_t ky = 0; ky < s.kernel_height; ++ky)
                        for (int64_t kx = 0; kx < s.kernel_width; ++kx) {
                            const int64_t iy = oy * s.stride_y - s.pad_top + ky * s.dilation_y;
                            const int64_t ix = ox * s.stride_x - s.pad_left + kx * s.dilation_x;
                            if (iy < 0 || iy >= s.height || ix < 0 || ix >= s.width) continue;
                            for (int64_t c = 0; c < group_channels; ++c) {
                                const int64_t channel = f / group_filters * group_channels + c;
                                tap(((n * s.height + iy) * s.width + ix) * s.channels + channel,
                                    ((n * oh + oy) * ow + ox) * s.filters + f,
                                    ((f * s.kernel_height + ky) * s.kernel_width + kx) * group_channels + c);
                            }
                        }
}

struct Case {
    const char* name;
    jl_conv shape;
};

//                     batch  image  in  out  kernel  stride  padding t l b r  dilation groups
const Case kCases[] = {
    {"pointwise", {3, 5, 7, 9, 4, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0}},
    {"one of everything", {1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0}},
    {"3x3 same", {2, 9, 11, 5, 6, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0}},
    {"4x4 by 2", {3, 14, 14, 32, 64, 4, 4, 2, 2, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0}},
    {"4x4 by 2, one channel", {5, 28, 28, 1, 32, 4, 4, 2, 2, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0}},
    {"rest of a stride", {2, 10, 9, 3, 5, 3, 2, 3, 2, 0, 1, 1, 0, 1, 1, 1, 0, 0, 0}},
    {"one-sided padding", {2, 6, 7, 16, 16, 2, 3, 1, 1, 1, 2, 0, 0, 1, 1, 1, 0, 0, 0}},
    {"dilated", {2, 13, 12, 4, 8, 3, 3, 1, 2, 2, 3, 2, 3, 2, 3, 1, 0, 0, 0}},
    {"groups", {2, 8, 6, 12, 18, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 3, 0, 0, 0}},
    {"depthwise", {2, 7, 7, 16, 16, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 16, 0, 0, 0}},
    {"one dimension", {3, 1, 37, 7, 10, 1, 5, 1, 2, 0, 2, 0, 2, 1, 1, 1, 0, 0, 0}},
    {"one dimension, groups, dilation", {2, 1, 30, 8, 8, 1, 3, 1, 1, 0, 4, 0, 0, 1, 2, 4, 0, 0, 0}},
    {"kernel as large as the image", {4, 5, 4, 6, 3, 5, 4, 1, 1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0}},
    {"strides beyond the image", {1, 7, 5, 6, 6, 3, 3, 1, 2147483646, 0, 0, 0, 3, 2, 1, 1, 0, 0, 0}},
    {"far dilation of single taps",
     {2, 6, 5, 8, 4, 1, 1, 2147483647, 1, 0, 0, 0, 0, 2147483647, 1 << 30, 1, 0, 0, 0}},
    {"outputs of padding alone", {2, 5, 4, 5, 1, 2, 1, 3, 1, 0, 2, 0, 3, 2, 1, 1, 0, 0, 0}},
    {"rows of padding alone", {2, 4, 5, 5, 3, 1, 2, 1, 1, 2, 0, 3, 0, 1, 1, 1, 0, 0, 0}},
    {"prime channels", {1, 17, 19, 13, 31, 5, 5, 2, 1, 2, 2, 2, 2, 1, 1, 1, 0, 0, 0}},
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

struct Types {
    const char* name;
    int64_t in, out;
};

class Conv : public testing::TestWithParam<std::tuple<Case, Types>> {
  protected:
    Conv() {
        shape = std::get<0>(GetParam()).shape;
        shape.dtype = std::get<1>(GetParam()).in;
        shape.out_dtype = std::get<1>(GetParam()).out;
        const auto [oh, ow] = out_of(shape);
        x_count = shape.batch * shape.height * shape.width * shape.channels;
        y_count = shape.batch * oh * ow * shape.filters;
        weight_count =
            shape.filters * shape.kernel_height * shape.kernel_width * (shape.channels / shape.groups);
    }
    static Stored random(int64_t dtype, int64_t count, unsigned seed) {
        return Stored(dtype, random_floats(static_cast<size_t>(count), seed));
    }

    jl_conv shape;
    int64_t x_count, y_count, weight_count;
};

TEST_P(Conv, Forward) {
    const Stored x = random(shape.dtype, x_count, 1), weight = random(shape.dtype, weight_count, 2);
    const auto bias = random_floats(static_cast<size_t>(shape.filters), 3);
    std::vector<Sum> expected(static_cast<size_t>(y_count));
    for_each_tap(shape, [&](int64_t i, int64_t j, int64_t k) {
        expected[static_cast<size_t>(j)].add(x[i] * weight[k]);
    });
    for (const bool with_bias : {false, true})
        for (const int64_t activation : {JL_IDENTITY, JL_RELU, JL_ELU}) {
            jl_conv s = shape;
            s.activation = activation;
            Output y(s.out_dtype, y_count);
            ASSERT_EQ(jl_open_dense()->conv(&s, x.data(), weight.data(), with_bias ? bias.data() : nullptr,
                                            y.data()),
                      JL_OK)
                << jl_open_dense()->last_error();
            for (int64_t j = 0; j < y_count; ++j) {
                Sum sum = expected[static_cast<size_t>(j)];
                if (with_bias) sum.add(bias[static_cast<size_t>(j % s.filters)]);
                const double result = activate(activation, sum.value);
                ASSERT_NEAR(y[j], result, sum.tolerance(s.out_dtype, result)) << "at " << j;
            }
        }
}

TEST_P(Conv, Transpose) {
    const Stored y = random(shape.dtype, y_count, 4), weight = random(shape.dtype, weight_count, 5);
    const auto bias = random_floats(static_cast<size_t>(shape.channels), 6);
    std::vector<Sum> expected(static_cast<size_t>(x_count));
    for_each_tap(shape, [&](int64_t i, int64_t j, int64_t k) {
        expected[static_cast<size_t>(i)].add(y[j] * weight[k]);
    });
    for (const bool with_bias : {false, true})
        for (const int64_t activation : {JL_IDENTITY, JL_RELU, JL_SIGMOID}) {
            jl_conv s = shape;
            s.activation = activation;
            Output x(s.out_dtype, x_count);
            ASSERT_EQ(jl_open_dense()->conv_transpose(&s, y.data(), weight.data(),
                                                      with_bias ? bias.data() : nullptr, x.data()),
                      JL_OK)
                << jl_open_dense()->last_error();
            for (int64_t i = 0; i < x_count; ++i) {
                Sum sum = expected[static_cast<size_t>(i)];
                if (with_bias) sum.add(bias[static_cast<size_t>(i % s.channels)]);
                const double result = activate(activation, sum.value);
                ASSERT_NEAR(x[i], result, sum.tolerance(s.out_dtype, result)) << "at " << i;
            }
        }
}

TEST_P(Conv, WeightGradient) {
    const Stored x = random(shape.dtype, x_count, 7), d_y = random(shape.dtype, y_count, 8);
    std::vector<Sum> expected(static_cast<size_t>(weight_count));
    for_each_tap(
        shape, [&](int64_t i, int64_t j, int64_t k) { expected[static_cast<size_t>(k)].add(x[i] * d_y[j]); });
    Output d_weight(JL_F32, weight_count);
    ASSERT_EQ(jl_open_dense()->conv_weight_gradient(&shape, x.data(), d_y.data(),
                                                    static_cast<float*>(d_weight.data())),
              JL_OK)
        << jl_open_dense()->last_error();
    for (int64_t k = 0; k < weight_count; ++k)
        ASSERT_NEAR(d_weight[k], expected[static_cast<size_t>(k)].value,
                    expected[static_cast<size_t>(k)].tolerance(JL_F32, 0.0))
            << "at " << k;
}

INSTANTIATE_TEST_SUITE_P(Cases, Conv,
                         testing::Combine(testing::ValuesIn(kCases),
                                          testing::Values(Types{"f32", JL_F32, JL_F32},
                                                          Types{"bf16", JL_BF16, JL_BF16},
                                                          Types{"bf16_to_f32", JL_BF16, JL_F32})),
                         [](const auto& info) {
                             std::string name = std::get<0>(info.param).name;
                             for (char& c : name)
                                 if (!std::isalnum(c)) c = '_';
                             return name + "_" + std::get<1>(info.param).name;
                         });

// Weights change between calls; what was reordered for an earlier call must not be used again.
TEST(ConvCache, TakesTheWeightsOfTheCall) {
    const jl_conv s = {1, 6, 6, 16, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0};
    const auto x = random_floats(6 * 6 * 16, 1);
    auto weight = random_floats(16 * 9 * 16, 2);
    std::vector<float> first(6 * 6 * 16), second(6 * 6 * 16);
    ASSERT_EQ(jl_open_dense()->conv(&s, x.data(), weight.data(), nullptr, first.data()), JL_OK);
    for (float& w : weight) w *= -2.0f;
    ASSERT_EQ(jl_open_dense()->conv(&s, x.data(), weight.data(), nullptr, second.data()), JL_OK);
    for (size_t i = 0; i < first.size(); ++i) ASSERT_EQ(second[i], -2.0f * first[i]);
}

// Shapes take turns in the memory that operands are reordered through; a larger one makes it grow.
TEST(ConvCache, ShapesShareMemory) {
    std::vector<std::vector<float>> first;
    for (const bool again : {false, true})
        for (int64_t c = 16; c <= 64; c += 16) {
            const jl_conv s = {1, 6, 6, c, c, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0};
            const auto x = random_floats(static_cast<size_t>(36 * c), 1);
            const auto weight = random_floats(static_cast<size_t>(9 * c * c), 2);
            std::vector<float> y(x.size()), d_weight(weight.size());
            ASSERT_EQ(jl_open_dense()->conv(&s, x.data(), weight.data(), nullptr, y.data()), JL_OK);
            ASSERT_EQ(jl_open_dense()->conv_weight_gradient(&s, x.data(), y.data(), d_weight.data()), JL_OK);
            y.insert(y.end(), d_weight.begin(), d_weight.end());
            if (!again) first.push_back(y);
            ASSERT_EQ(y, first[static_cast<size_t>(c / 16 - 1)]) << c << " channels";
        }
}

TEST(ConvArguments, EmptyBatch) {
    const jl_conv s = {0, 6, 6, 2, 2, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0};
    float d_weight[36];
    for (float& v : d_weight) v = 7.0f;
    EXPECT_EQ(jl_open_dense()->conv(&s, nullptr, d_weight, nullptr, nullptr), JL_OK);
    EXPECT_EQ(jl_open_dense()->conv_transpose(&s, nullptr, d_weight, nullptr, nullptr), JL_OK);
    EXPECT_EQ(jl_open_dense()->conv_weight_gradient(&s, nullptr, nullptr, d_weight), JL_OK);
    for (const float v : d_weight) EXPECT_EQ(v, 0.0f);
}

TEST(ConvArguments, BadOnesAreNamed) {
    const jl_conv good = {1, 6, 6, 4, 6, 3, 3, 1, 1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0};
    float memory[256] = {};
    const auto message = [&](const jl_conv& s) {
        EXPECT_EQ(jl_open_dense()->conv(&s, memory, memory, nullptr, memory), JL_BAD_ARGUMENT);
        EXPECT_EQ(jl_open_dense()->conv_transpose(&s, memory, memory, nullptr, memory), JL_BAD_ARGUMENT);
        EXPECT_EQ(jl_open_dense()->conv_weight_gradient(&s, memory, memory, memory), JL_BAD_ARGUMENT);
        return std::string(jl_open_dense()->last_error());
    };
    jl_conv s = good;
    s.groups = 3;
    EXPECT_NE(message(s).find("3 groups do not divide 4 channels"), std::string::npos);
    s = good;
    s.kernel_width = 7;
    EXPECT_NE(message(s).find("larger than the padded image"), std::string::npos);
    s = good;
    s.stride_x = 0;
    EXPECT_NE(message(s).find("at least 1"), std::string::npos);
    s = good;
    s.pad_left = -1;
    EXPECT_NE(message(s).find("negative"), std::string::npos);
    s = good;
    s.dtype = 9;
    EXPECT_NE(message(s).find("dtype 9"), std::string::npos);
    s = good;
    s.filters = 0;
    EXPECT_NE(message(s).find("0 filters"), std::string::npos);
    s = good;
    s.pad_top = INT64_MAX;
    EXPECT_NE(message(s).find("2^15"), std::string::npos);
    s = good;
    s.stride_x = int64_t{1} << 31;
    EXPECT_NE(message(s).find("2^31"), std::string::npos);
    s = good;
    s.batch = int64_t{1} << 40;
    EXPECT_NE(message(s).find("1099511627776x6x6x4"), std::string::npos);
    s = good;
    s.batch = 1 << 16;
    s.pad_top = s.pad_left = (1 << 15) - 1;
    EXPECT_NE(message(s).find("2^38"), std::string::npos) << "of y";
}

TEST(ConvArguments, ResultsAreOfAKnownType) {
    jl_conv s = {1, 6, 6, 4, 6, 3, 3, 1, 1, 0, 0, 0, 0, 1, 1, 1, 0, JL_BF16, 9};
    float m[256] = {};
    const jl_dense& dense = *jl_open_dense();
    EXPECT_EQ(dense.conv(&s, m, m, nullptr, m), JL_BAD_ARGUMENT);
    EXPECT_EQ(std::string(dense.last_error()), "unknown dtype 9");
    EXPECT_EQ(dense.conv_transpose(&s, m, m, nullptr, m), JL_BAD_ARGUMENT);
}

TEST(ConvArguments, MissingOnesAreNamed) {
    const jl_conv s = {1, 6, 6, 4, 6, 3, 3, 1, 1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0};
    float m[256] = {};
    const jl_dense& dense = *jl_open_dense();
    const auto refused = [&](jl_status status, const char* text) {
        EXPECT_EQ(status, JL_BAD_ARGUMENT);
        EXPECT_EQ(std::string(dense.last_error()), text);
    };
    refused(dense.conv(nullptr, m, m, nullptr, m), "conv: shape is null");
    refused(dense.conv(&s, nullptr, m, nullptr, m), "conv: an array is null");
    refused(dense.conv(&s, m, nullptr, nullptr, m), "conv: an array is null");
    refused(dense.conv(&s, m, m, nullptr, nullptr), "conv: an array is null");
    refused(dense.conv_transpose(&s, nullptr, m, nullptr, m), "conv_transpose: an array is null");
    refused(dense.conv_transpose(&s, m, nullptr, nullptr, m), "conv_transpose: an array is null");
    refused(dense.conv_transpose(&s, m, m, nullptr, nullptr), "conv_transpose: an array is null");
    refused(dense.conv_weight_gradient(&s, nullptr, m, m), "conv_weight_gradient: an array is null");
    refused(dense.conv_weight_gradient(&s, m, nullptr, m), "conv_weight_gradient: an array is null");
    refused(dense.conv_weight_gradient(&s, m, m, nullptr), "conv_weight_gradient: an array is null");
}

}  // namespace
