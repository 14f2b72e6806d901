#include "case_table.h"

namespace jlatent::test {
namespace {

struct Options {
    double learning_rate = 0.01, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, max_norm = 0.0,
           average_decay = 0.99;
};

struct Reference {
    std::vector<double> value, first, second, average;
};

struct Tensor {
    size_t count;
    bool has_gradient, has_average;
    double weight_decay;
    size_t shift;
    std::vector<float> start;
    Floats value, gradient, first, second, average;
    Reference expected;

    Tensor(size_t count_, bool gradient_, bool average_, double decay, size_t shift_, uint32_t seed)
        : count(count_),
          has_gradient(gradient_),
          has_average(average_),
          weight_decay(decay),
          shift(shift_),
          start(random_floats(count, -1.0f, 1.0f, seed)),
          value(start, shift),
          gradient(Floats::output(count, shift)),
          first(std::vector<float>(count, 0.0f), shift),
          second(std::vector<float>(count, 0.0f), shift),
          average(start, shift) {
        expected = {doubles(start), std::vector<double>(count, 0.0), std::vector<double>(count, 0.0),
                    doubles(start)};
    }

    jl_adam_tensor descriptor() {
        return {value.data(),
                has_gradient ? gradient.data() : nullptr,
                first.data(),
                second.data(),
                has_average ? average.data() : nullptr,
                static_cast<int64_t>(count),
                static_cast<float>(weight_decay),
                0.0f};
    }
};

std::vector<Tensor> tensors() {
    std::vector<Tensor> all;
    all.emplace_back(1, true, true, 0.0, 0, 1);
    all.emplace_back(3, true, false, 0.1, 1, 2);
    all.emplace_back(0, true, true, 0.0, 0, 3);
    all.emplace_back(1023, true, true, 0.0, 0, 4);
    all.emplace_back(77, false, true, 0.5, 0, 5);
    all.emplace_back(4096, true, true, 0.01, 0, 6);
    all.emplace_back(5000, true, false, 0.0, 3, 7);
    all.emplace_back(300007, true, true, 0.01, 0, 8);
    return all;
}

Array<jl_adam_state> state_of(const Options& o) {
    const auto f = [](double v) { return static_cast<float>(v); };
    return Array<jl_adam_state>(std::vector<jl_adam_state>{{f(o.learning_rate),
                                                            f(o.beta1),
                                                            f(o.beta2),
                                                            f(o.epsilon),
                                                            f(o.max_norm),
                                                            f(o.average_decay),
                                                            0,
                                                            0,
                                                            0.0f,
                                                            0.0f,
                                                            {}}});
}

Array<jl_adam_tensor> descriptors(std::vector<Tensor>& all) {
    std::vector<jl_adam_tensor> list;
    for (Tensor& t : all) list.push_back(t.descriptor());
    return Array<jl_adam_tensor>(list);
}

class AdamTest : public testing::TestWithParam<double> {};

TEST_P(AdamTest, TwentyStepsEqualTheReference) {
    Options o;
    o.max_norm = GetParam();
    std::vector<Tensor> all = tensors();
    auto list = descriptors(all);
    auto state = state_of(o);
    Workspace w(kernels().adam_workspace(static_cast<int32_t>(all.size())));
    for (int step = 1; step <= 20; ++step) {
        double square = 0.0;
        std::vector<std::vector<float>> gradients;
        for (size_t k = 0; k < all.size(); ++k) {
            gradients.push_back(random_floats(all[k].count, -0.01f, 0.012f,
                                              static_cast<uint32_t>(100 * step) + static_cast<uint32_t>(k)));
            copy_in(all[k].gradient.data(), gradients[k].data(), gradients[k].size() * sizeof(float));
            if (all[k].has_gradient)
                for (const float g : gradients[k]) square += static_cast<double>(g) * g;
        }
        const double norm = std::sqrt(square),
                     clip = o.max_norm > 0.0 && norm > o.max_norm ? o.max_norm / norm : 1.0;
        // The options as the kernel sees them, in f32.
        const double rate = static_cast<float>(o.learning_rate), beta1 = static_cast<float>(o.beta1),
                     beta2 = static_cast<float>(o.beta2);
        const double decay = static_cast<float>(o.average_decay);
        for (size_t k = 0; k < all.size(); ++k) {
            Tensor& t = all[k];
            for (size_t i = 0; t.has_gradient && i < t.count; ++i) {
                Reference& e = t.expected;
                const double g = clip * gradients[k][i];
                e.first[i] = beta1 * e.first[i] + (1.0 - beta1) * g;
                e.second[i] = beta2 * e.second[i] + (1.0 - beta2) * g * g;
                const double first = e.first[i] / (1.0 - std::pow(beta1, step)),
                             second = e.second[i] / (1.0 - std::pow(beta2, step));
                e.value[i] -= rate * (first / (std::sqrt(second) + o.epsilon) +
                                      static_cast<float>(t.weight_decay) * e.value[i]);
                e.average[i] = decay * e.average[i] + (1.0 - decay) * e.value[i];
            }
        }
        ASSERT_OK(kernels().adam_step(list.data(), static_cast<int32_t>(all.size()), state.data(), w.get(),
                                      stream()));
        const jl_adam_state after = state.read()[0];
        EXPECT_EQ(after.step, static_cast<uint32_t>(step));
        EXPECT_EQ(after.skipped, 0u);
        EXPECT_NEAR(after.gradient_norm, norm, 3e-6 * norm);
        EXPECT_NEAR(after.scale, clip, 3e-6 * clip);
    }
    for (Tensor& t : all) {
        // 20 steps of 0.01 each, rounded to 1e-7 relative every time.
        EXPECT_CLOSE(t.value.read(), t.expected.value, 2e-6, 2e-6);
        EXPECT_CLOSE(t.first.read(), t.expected.first, 4e-6, 1e-8);
        EXPECT_CLOSE(t.second.read(), t.expected.second, 2e-5, 1e-12);
        EXPECT_CLOSE(t.average.read(), t.has_average ? t.expected.average : doubles(t.start), 2e-6, 2e-6);
    }
}

// No clipping; norm just below, at about, and far above the limit.
INSTANTIATE_TEST_SUITE_P(Norms, AdamTest, testing::Values(0.0, 1e-3, 3.6, 100.0));

TEST(Adam, AGradientThatIsNotFiniteChangesNothing) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        std::vector<Tensor> all = tensors();
        auto list = descriptors(all);
        auto state = state_of({});
        Workspace w(kernels().adam_workspace(static_cast<int32_t>(all.size())));
        for (Tensor& t : all) {
            const std::vector<float> g(t.count, 0.1f);
            copy_in(t.gradient.data(), g.data(), g.size() * sizeof(float));
        }
        copy_in(all[7].gradient.data() + 300006, &bad, sizeof bad);
        ASSERT_OK(kernels().adam_step(list.data(), static_cast<int32_t>(all.size()), state.data(), w.get(),
                                      stream()));
        const jl_adam_state after = state.read()[0];
        EXPECT_EQ(after.step, 0u);
        EXPECT_EQ(after.skipped, 1u);
        EXPECT_EQ(after.scale, 0.0f);
        EXPECT_FALSE(std::isfinite(after.gradient_norm));
        for (Tensor& t : all) {
            EXPECT_EQ(t.value.read(), t.start);
            EXPECT_EQ(t.average.read(), t.start);
            EXPECT_EQ(t.first.read(), std::vector<float>(t.count, 0.0f));
        }
        copy_in(all[7].gradient.data() + 300006, all[7].gradient.data(),
                sizeof bad);  // and the next step goes on
        ASSERT_OK(kernels().adam_step(list.data(), static_cast<int32_t>(all.size()), state.data(), w.get(),
                                      stream()));
        EXPECT_EQ(state.read()[0].step, 1u);
        EXPECT_NE(all[7].value.read(), all[7].start);
    }
}

TEST(Adam, ManySmallTensorsAndNone) {
    std::vector<Tensor> all;
    for (uint32_t k = 0; k < 1000; ++k) all.emplace_back(1 + k % 7, true, false, 0.0, 0, k);
    auto list = descriptors(all);
    auto state = state_of({});
    Workspace w(kernels().adam_workspace(1000));
    for (Tensor& t : all) {
        const std::vector<float> g(t.count, -0.5f);
        copy_in(t.gradient.data(), g.data(), g.size() * sizeof(float));
    }
    ASSERT_OK(kernels().adam_step(list.data(), 1000, state.data(), w.get(), stream()));
    for (Tensor& t : all) {
        std::vector<double> expected = doubles(t.start);
        for (double& v : expected)
            v += 0.01;  // the first step of Adam is the learning rate, against the gradient's sign
        EXPECT_CLOSE(t.value.read(), expected, 1e-6, 1e-7);
    }
    ASSERT_OK(kernels().adam_step(nullptr, 0, state.data(), w.get(), stream()));
    EXPECT_EQ(state.read()[0].step, 2u);
}

TEST(Adam, ConvergesOnAQuadratic) {
    Tensor t(16, true, false, 0.0, 0, 1);
    std::vector<jl_adam_tensor> one = {t.descriptor()};
    Array<jl_adam_tensor> list(one);
    auto state = state_of({});
    Workspace w(kernels().adam_workspace(1));
    for (int step = 0; step < 1500; ++step) {
        std::vector<float> g = t.value.read();
        for (size_t i = 0; i < g.size(); ++i) g[i] = static_cast<float>(i + 1) * (g[i] - 0.5f);
        copy_in(t.gradient.data(), g.data(), g.size() * sizeof(float));
        ASSERT_OK(kernels().adam_step(list.data(), 1, state.data(), w.get(), stream()));
    }
    EXPECT_CLOSE(t.value.read(), std::vector<double>(16, 0.5), 0.0, 1e-3);
}

TEST(Adam, BadArgumentsAreNamed) {
    auto state = state_of({});
    Workspace w(kernels().adam_workspace(1));
    EXPECT_BAD_ARGUMENT(kernels().adam_step(nullptr, -1, state.data(), w.get(), stream()), "-1");
    EXPECT_BAD_ARGUMENT(kernels().adam_step(nullptr, 1, state.data(), w.get(), stream()), "tensors is null");
    EXPECT_BAD_ARGUMENT(kernels().adam_step(nullptr, 0, nullptr, w.get(), stream()), "state is null");
    EXPECT_BAD_ARGUMENT(kernels().adam_step(nullptr, 0, state.data(), {w.get().data, 3}, stream()),
                        "3 bytes");
}

}  // namespace
}  // namespace jlatent::test
