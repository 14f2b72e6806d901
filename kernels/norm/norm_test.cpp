// norm against an fp64 reference.
#include "norm_reference.h"

namespace jlatent::test {
namespace {

class NormTest : public testing::TestWithParam<Case> {};

TEST_P(NormTest, ForwardEqualsTheReference) {
    const Case c = GetParam();
    Arrays a(c, Arrays::normals(c), c.columns() % 4);
    const Reference r = forward(c, doubles(a.x), doubles(a.gamma), doubles(a.beta));
    const std::vector<float> old_mean = random_floats(c.items(), -1.0f, 1.0f, 5),
                             old_variance = random_floats(c.items(), 0.5f, 2.0f, 6);
    for (int repeat = 0; repeat < 2; ++repeat) {
        auto y = Floats::output(c.count(), c.columns() % 4), statistics = Floats::output(3 * c.items());
        Floats mean(old_mean), variance(old_variance);
        ASSERT_OK(kernels().norm_forward(&a.shape, a.x_array.data(), a.g(), a.b(), y.data(),
                                         statistics.data(), c.running ? mean.data() : nullptr,
                                         c.running ? variance.data() : nullptr, a.workspace.get(), stream()));
        EXPECT_CLOSE(y.read(), r.y, 4e-6, 4e-6);
        const std::vector<float> got = statistics.read();
        std::vector<double> both, expected_mean, expected_variance;
        const double n = static_cast<double>(c.per_item());
        for (size_t k = 0; k < c.items(); ++k) {
            // The two parts of a mean together, in deviations.
            both.push_back((static_cast<double>(got[k]) + got[c.items() + k] - r.mean[k]) * r.scale[k]);
            const double keep = c.running ? 1.0 - a.shape.momentum : 1.0;
            expected_mean.push_back(keep * old_mean[k] + (1.0 - keep) * r.mean[k]);
            expected_variance.push_back(keep * old_variance[k] +
                                        (1.0 - keep) * r.variance[k] * (n > 1.0 ? n / (n - 1.0) : 1.0));
        }
        EXPECT_CLOSE(std::vector<float>(both.begin(), both.end()), std::vector<double>(c.items(), 0.0), 0.0,
                     2e-6);
        EXPECT_CLOSE(std::vector<float>(got.end() - static_cast<std::ptrdiff_t>(c.items()), got.end()),
                     r.scale, 4e-6, 0.0);
        EXPECT_CLOSE(mean.read(), expected_mean, 1e-6, 1e-6);
        EXPECT_CLOSE(variance.read(), expected_variance, 4e-6, 1e-6);
    }
}

TEST_P(NormTest, BackwardEqualsTheReference) {
    const Case c = GetParam();
    Arrays a(c, Arrays::normals(c), c.columns() % 4);
    const Gradients expected = backward(c, doubles(a.x), doubles(a.gamma), doubles(a.dy));
    const Reference r = forward(c, doubles(a.x), doubles(a.gamma), doubles(a.beta));
    auto statistics = Floats::output(3 * c.items());
    ASSERT_OK(kernels().norm_forward(&a.shape, a.x_array.data(), a.g(), a.b(), nullptr, statistics.data(),
                                     nullptr, nullptr, a.workspace.get(), stream()));
    auto dx = Floats::output(c.count(), c.columns() % 4), d_gamma = Floats::output(c.columns()),
         d_beta = Floats::output(c.columns());
    ASSERT_OK(kernels().norm_backward(&a.shape, a.x_array.data(), a.g(), statistics.data(), a.dy_array.data(),
                                      dx.data(), d_gamma.data(), d_beta.data(), a.workspace.get(), stream()));
    // dx is as large as the scale; sums of m numbers around 1 err with their root.
    const double largest = c.items() == 0 ? 1.0 : *std::max_element(r.scale.begin(), r.scale.end());
    const double sums = 2e-6 * std::sqrt(static_cast<double>(c.outer * c.spatial) + 1.0);
    EXPECT_CLOSE(dx.read(), expected.dx, 4e-6, 4e-6 * largest);
    EXPECT_CLOSE(d_gamma.read(), expected.d_gamma, 2e-6, sums);
    EXPECT_CLOSE(d_beta.read(), expected.d_beta, 2e-6, sums);
    // One output at a time gives the same numbers.
    auto alone = Floats::output(c.columns());
    ASSERT_OK(kernels().norm_backward(&a.shape, a.x_array.data(), a.g(), statistics.data(), a.dy_array.data(),
                                      nullptr, alone.data(), nullptr, a.workspace.get(), stream()));
    EXPECT_EQ(alone.read(), d_gamma.read());
    auto dx_alone = Floats::output(c.count(), c.columns() % 4);
    ASSERT_OK(kernels().norm_backward(&a.shape, a.x_array.data(), a.g(), statistics.data(), a.dy_array.data(),
                                      dx_alone.data(), nullptr, nullptr, a.workspace.get(), stream()));
    EXPECT_EQ(dx_alone.read(), dx.read());
}

TEST_P(NormTest, InferenceEqualsTheReference) {
    const Case c = GetParam();
    Arrays a(c, Arrays::normals(c), c.columns() % 4);
    const auto mean = random_floats(c.items(), -1.0f, 1.0f, 5),
               variance = random_floats(c.items(), 0.0f, 2.0f, 6);
    Floats mean_array(mean), variance_array(variance);
    auto y = Floats::output(c.count(), c.columns() % 4);
    ASSERT_OK(kernels().norm_inference(&a.shape, a.x_array.data(), a.g(), a.b(), mean_array.data(),
                                       variance_array.data(), y.data(), stream()));
    std::vector<double> expected(c.count());
    for (size_t i = 0; i < c.count(); ++i)
        expected[i] = a.gamma[c.column(i)] * (static_cast<double>(a.x[i]) - mean[c.item(i)]) /
                          std::sqrt(static_cast<double>(variance[c.item(i)]) + a.shape.epsilon) +
                      a.beta[c.column(i)];
    EXPECT_CLOSE(y.read(), expected, 1e-6, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Cases, NormTest,
                         testing::Values(Case{"layer", 37, 1, 1, 65, 0.3f, 1.0f, true, false},
                                         Case{"layer-4", 65, 1, 1, 256, -2.0f, 0.5f, true, false},
                                         Case{"layer-plain", 5, 1, 1, 128, 0.0f, 1.0f, false, false},
                                         Case{"layer-long", 2, 1, 1, 5003, 1.0f, 1.0f, true, false},
                                         Case{"layer-many", 1031, 1, 1, 17, 1.0f, 1.0f, true, true},
                                         Case{"one-value", 7, 1, 3, 1, 1.0f, 1.0f, true, true},
                                         Case{"one", 1, 1, 1, 1, 1.0f, 1.0f, true, true},
                                         Case{"group-few-rows", 5, 7, 3, 33, 1.0f, 2.0f, true, false},
                                         Case{"group", 3, 67, 4, 8, 0.5f, 2.0f, true, false},
                                         Case{"group-odd", 17, 67, 3, 11, 0.5f, 2.0f, true, true},
                                         Case{"group-tiles", 17, 133, 2, 3, 0.5f, 2.0f, true, false},
                                         Case{"group-blocks", 1, 131, 3, 90, 0.5f, 2.0f, true, true},
                                         Case{"group-plain", 2, 257, 1, 37, 0.5f, 2.0f, false, false},
                                         Case{"group-wide", 2, 9, 2, 300, 0.5f, 2.0f, true, false},
                                         Case{"instance", 4, 65, 19, 1, -1.0f, 0.1f, true, false},
                                         Case{"batch", 1, 1543, 33, 1, 2.0f, 3.0f, true, true},
                                         Case{"batch-3", 1, 521, 3, 1, 2.0f, 3.0f, true, true},
                                         Case{"batch-wide", 1, 5, 521, 1, 2.0f, 3.0f, true, true},
                                         Case{"batch-long", 1, 20011, 8, 1, 2.0f, 3.0f, false, true},
                                         Case{"no-rows", 0, 4, 3, 5, 0.0f, 1.0f, true, false},
                                         Case{"no-layers", 0, 1, 1, 64, 0.0f, 1.0f, true, false}),
                         [](const testing::TestParamInfo<Case>& c) {
                             std::string name = c.param.name;
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

// A mean a million deviations away; what f32 keeps of x is exact for the reference too.
TEST(Norm, LargeMeansCostNoDigits) {
    for (const Case& c : {Case{"layer", 9, 1, 1, 777, 1e4f, 1e-2f, true, false},
                          Case{"layer-long", 2, 1, 1, 2111, 1e4f, 1e-2f, true, false},
                          Case{"group", 3, 150, 4, 6, 1e4f, 1e-2f, true, false},
                          Case{"batch", 1, 1201, 7, 1, -1e4f, 1e-2f, true, true}}) {
        SCOPED_TRACE(c.name);
        Arrays a(c, Arrays::normals(c));
        const Reference r = forward(c, doubles(a.x), doubles(a.gamma), doubles(a.beta));
        const Gradients d = backward(c, doubles(a.x), doubles(a.gamma), doubles(a.dy));
        auto y = Floats::output(c.count()), statistics = Floats::output(3 * c.items()),
             dx = Floats::output(c.count()), d_gamma = Floats::output(c.columns());
        ASSERT_OK(kernels().norm_forward(&a.shape, a.x_array.data(), a.g(), a.b(), y.data(),
                                         statistics.data(), nullptr, nullptr, a.workspace.get(), stream()));
        EXPECT_CLOSE(y.read(), r.y, 1e-5, 1e-5);
        ASSERT_OK(kernels().norm_backward(&a.shape, a.x_array.data(), a.g(), statistics.data(),
                                          a.dy_array.data(), dx.data(), d_gamma.data(), nullptr,
                                          a.workspace.get(), stream()));
        EXPECT_CLOSE(dx.read(), d.dx, 1e-5, 1e-5 * r.scale[0]);
        EXPECT_CLOSE(d_gamma.read(), d.d_gamma, 1e-5, 1e-4);
    }
}

// The first value of a tile is what its sums are made around: here it is far off.
TEST(Norm, AnOutlierInFrontCostsLittle) {
    for (const Case& c : {Case{"layer", 3, 1, 1, 700, 0.0f, 1.0f, false, false},
                          Case{"group", 2, 300, 2, 5, 0.0f, 1.0f, false, false},
                          Case{"batch", 1, 900, 3, 1, 0.0f, 1.0f, false, false}}) {
        SCOPED_TRACE(c.name);
        std::vector<float> x = Arrays::normals(c);
        for (size_t i = 0; i < c.columns(); ++i) x[i] = 3e5f + static_cast<float>(i);
        Arrays a(c, x);
        const Reference r = forward(c, doubles(a.x), doubles(a.gamma), doubles(a.beta));
        auto y = Floats::output(c.count());
        ASSERT_OK(kernels().norm_forward(&a.shape, a.x_array.data(), a.g(), a.b(), y.data(), nullptr, nullptr,
                                         nullptr, a.workspace.get(), stream()));
        EXPECT_CLOSE(y.read(), r.y, 4e-5, 4e-5);
    }
}

// The reference's own gradients, from its forward pass.
TEST(Norm, TheReferenceGradientsAreCentralDifferences) {
    for (const Case& c : {Case{"group", 2, 3, 2, 3, 0.5f, 1.0f, true, false},
                          Case{"batch", 1, 7, 3, 1, 0.5f, 1.0f, true, false}}) {
        SCOPED_TRACE(c.name);
        const Arrays a(c, Arrays::normals(c));
        const auto x = doubles(a.x), gamma = doubles(a.gamma), beta = doubles(a.beta), dy = doubles(a.dy);
        const auto loss = [&](const Reference& r) {
            double sum = 0.0;
            for (size_t i = 0; i < r.y.size(); ++i) sum += dy[i] * r.y[i];
            return sum;
        };
        const Gradients d = backward(c, x, gamma, dy);
        const auto floats = [](const std::vector<double>& v) {
            return std::vector<float>(v.begin(), v.end());
        };
        EXPECT_CLOSE(floats(d.dx),
                     numeric_gradient([&](const auto& p) { return loss(forward(c, p, gamma, beta)); }, x),
                     1e-6, 1e-7);
        EXPECT_CLOSE(floats(d.d_gamma),
                     numeric_gradient([&](const auto& p) { return loss(forward(c, x, p, beta)); }, gamma),
                     1e-6, 1e-7);
        EXPECT_CLOSE(floats(d.d_beta),
                     numeric_gradient([&](const auto& p) { return loss(forward(c, x, gamma, p)); }, beta),
                     1e-6, 1e-7);
    }
}

// One value an item, or values all alike: variance 0.
TEST(Norm, ItemsWithoutVarianceGiveBeta) {
    for (const Case& c :
         {Case{"one", 3, 1, 5, 1, 0.0f, 1.0f, true, true}, Case{"layer", 3, 1, 1, 40, 0.0f, 1.0f, true, true},
          Case{"batch", 1, 50, 5, 1, 0.0f, 1.0f, true, true}}) {
        SCOPED_TRACE(c.name);
        Arrays a(c, std::vector<float>(c.count(), 123.456f));
        auto y = Floats::output(c.count()), statistics = Floats::output(3 * c.items()),
             dx = Floats::output(c.count());
        Floats mean(std::vector<float>(c.items(), 0.0f)), variance(std::vector<float>(c.items(), 1.0f));
        ASSERT_OK(kernels().norm_forward(&a.shape, a.x_array.data(), a.g(), a.b(), y.data(),
                                         statistics.data(), mean.data(), variance.data(), a.workspace.get(),
                                         stream()));
        std::vector<double> beta(c.count());
        for (size_t i = 0; i < c.count(); ++i) beta[i] = a.beta[c.column(i)];
        EXPECT_CLOSE(y.read(), beta, 0.0, 0.0);
        EXPECT_CLOSE(variance.read(), std::vector<double>(c.items(), 0.9), 1e-6, 0.0);
        ASSERT_OK(kernels().norm_backward(&a.shape, a.x_array.data(), a.g(), statistics.data(),
                                          a.dy_array.data(), dx.data(), nullptr, nullptr, a.workspace.get(),
                                          stream()));
        for (const float v : dx.read()) ASSERT_TRUE(std::isfinite(v));
    }
}

TEST(Norm, NotANumberStaysInItsItem) {
    for (const Case& c : {Case{"layer", 5, 1, 1, 100, 0.0f, 1.0f, true, true},
                          Case{"layer-groups", 5, 2, 3, 40, 0.0f, 1.0f, true, true},
                          Case{"group", 3, 50, 4, 5, 0.0f, 1.0f, true, true},
                          Case{"batch", 1, 300, 6, 1, 0.0f, 1.0f, true, true}})
        for (const size_t at : {size_t{0}, c.count() / 2, c.count() - 1})
            for (const float bad :
                 {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
                SCOPED_TRACE(std::string(c.name) + " at " + std::to_string(at));
                std::vector<float> x = Arrays::normals(c);
                x[at] = bad;
                Arrays a(c, x);
                auto y = Floats::output(c.count()), statistics = Floats::output(3 * c.items()),
                     dx = Floats::output(c.count()), d_gamma = Floats::output(c.columns());
                Floats mean(std::vector<float>(c.items(), 0.5f)),
                    variance(std::vector<float>(c.items(), 1.5f));
                ASSERT_OK(kernels().norm_forward(&a.shape, a.x_array.data(), a.g(), a.b(), y.data(),
                                                 statistics.data(), mean.data(), variance.data(),
                                                 a.workspace.get(), stream()));
                ASSERT_OK(kernels().norm_backward(&a.shape, a.x_array.data(), a.g(), statistics.data(),
                                                  a.dy_array.data(), dx.data(), d_gamma.data(), nullptr,
                                                  a.workspace.get(), stream()));
                const auto forward = y.read(), backward = dx.read(), to_gamma = d_gamma.read();
                for (size_t i = 0; i < c.count(); ++i) {
                    ASSERT_EQ(std::isnan(forward[i]), c.item(i) == c.item(at)) << i;
                    ASSERT_EQ(std::isnan(backward[i]), c.item(i) == c.item(at)) << i;
                }
                // gamma's channels of that item
                for (size_t k = 0; k < c.columns(); ++k)
                    ASSERT_EQ(std::isnan(to_gamma[k]), k / static_cast<size_t>(c.channels) ==
                                                           c.item(at) % static_cast<size_t>(c.groups));
                // Running statistics: all move but the bad item's.
                const auto moved_mean = mean.read(), moved_variance = variance.read();
                for (size_t k = 0; k < c.items(); ++k) {
                    ASSERT_EQ(moved_mean[k] == 0.5f, k == c.item(at)) << k;
                    ASSERT_EQ(moved_variance[k] == 1.5f, k == c.item(at)) << k;
                }
            }
}

TEST(Norm, BadArgumentsAreNamed) {
    Floats x(std::vector<float>(24, 0.0f));
    const jl_norm good = {2, 3, 2, 2, 1e-5f, 0.1f};
    Workspace w(kernels().norm_workspace(&good));
    const auto forward = [&](jl_norm s) {
        return kernels().norm_forward(&s, x.data(), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                                      w.get(), stream());
    };
    ASSERT_OK(forward(good));
    jl_norm s = good;
    s.outer = -1;
    EXPECT_BAD_ARGUMENT(forward(s), "got -1, 3, 2 and 2");
    s = good, s.spatial = 0;
    EXPECT_BAD_ARGUMENT(forward(s), "got 2, 0, 2 and 2");
    s = good, s.groups = 0;
    EXPECT_BAD_ARGUMENT(forward(s), "got 2, 3, 0 and 2");
    s = good, s.channels = 0;
    EXPECT_BAD_ARGUMENT(forward(s), "got 2, 3, 2 and 0");
    s = good, s.groups = s.channels = int64_t{1} << 16;
    EXPECT_BAD_ARGUMENT(forward(s), "65536 x 65536");
    s = good, s.outer = s.spatial = int64_t{1} << 32;
    EXPECT_BAD_ARGUMENT(forward(s), "4294967296 x 4294967296 x 2 x 2");
    s = good, s.outer = 0, s.spatial = int64_t{1} << 62;
    EXPECT_BAD_ARGUMENT(forward(s), "2^38");
    for (const float epsilon :
         {0.0f, -1.0f, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        s = good, s.epsilon = epsilon;
        EXPECT_BAD_ARGUMENT(forward(s), "epsilon");
        EXPECT_BAD_ARGUMENT(
            kernels().norm_inference(&s, x.data(), nullptr, nullptr, x.data(), x.data(), x.data(), stream()),
            "norm_inference: epsilon");
    }
    EXPECT_BAD_ARGUMENT(kernels().norm_forward(nullptr, x.data(), nullptr, nullptr, nullptr, nullptr, nullptr,
                                               nullptr, w.get(), stream()),
                        "shape");
    EXPECT_BAD_ARGUMENT(kernels().norm_forward(&good, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                                               nullptr, w.get(), stream()),
                        "x is null");
    EXPECT_BAD_ARGUMENT(kernels().norm_forward(&good, x.data(), nullptr, nullptr, nullptr, nullptr, x.data(),
                                               nullptr, w.get(), stream()),
                        "running_variance");
    s = good, s.momentum = 1.5f;
    EXPECT_BAD_ARGUMENT(kernels().norm_forward(&s, x.data(), nullptr, nullptr, nullptr, nullptr, x.data(),
                                               x.data(), w.get(), stream()),
                        "momentum must be in [0, 1], got 1.5");
    EXPECT_BAD_ARGUMENT(kernels().norm_forward(&good, x.data(), nullptr, nullptr, nullptr, nullptr, nullptr,
                                               nullptr, {w.get().data, 4}, stream()),
                        "4 bytes");
    EXPECT_BAD_ARGUMENT(kernels().norm_backward(&good, x.data(), nullptr, nullptr, x.data(), x.data(),
                                                nullptr, nullptr, w.get(), stream()),
                        "statistics");
    EXPECT_BAD_ARGUMENT(kernels().norm_backward(&good, x.data(), nullptr, x.data(), x.data(), x.data(),
                                                nullptr, nullptr, {w.get().data, 4}, stream()),
                        "norm_backward: the workspace has 4 bytes");
    EXPECT_BAD_ARGUMENT(
        kernels().norm_inference(&good, x.data(), nullptr, nullptr, nullptr, x.data(), x.data(), stream()),
        "null");
}

}  // namespace
}  // namespace jlatent::test
