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
    all.emplace_back(4, true, true, 0.0, 2, 9);
    all.emplace_back(0, true, true, 0.0, 0, 3);
    all.emplace_back(1023, true, true, 0.0, 0, 4);
    all.emplace_back(77, false, true, 0.5, 0, 5);
    all.emplace_back(4096, true, true, 0.01, 0, 6);
    all.emplace_back(5000, true, false, 0.0, 3, 7);
    all.emplace_back(300007, true, true, 0.01, 0, 8);
    return all;
}

Array<jl_adam_state> state_of(const Options& o, uint32_t stop = 0) {
    const auto f = [](double v) { return static_cast<float>(v); };
    return Array<jl_adam_state>(
        std::vector<jl_adam_state>{{f(o.learning_rate), f(o.beta1), f(o.beta2), f(o.epsilon), f(o.max_norm),
                                    f(o.average_decay), 0, 0, 0.0f, 0.0f, stop, 0.0f}});
}

Array<jl_adam_tensor> descriptors(std::vector<Tensor>& all) {
    std::vector<jl_adam_tensor> list;
    for (Tensor& t : all) list.push_back(t.descriptor());
    return Array<jl_adam_tensor>(list);
}

void give_gradient(Tensor& t, const std::vector<float>& g) {
    copy_in(t.gradient.data(), g.data(), g.size() * sizeof(float));
}

jl_status step_once(Array<jl_adam_tensor>& list, Array<jl_adam_state>& state, Workspace& w) {
    return kernels().adam_step(list.data(), static_cast<int32_t>(list.size()), state.data(), w.get(),
                               stream());
}

void check_against_reference(const Options& o, std::vector<Tensor> all, int steps) {
    auto list = descriptors(all);
    auto state = state_of(o);
    Workspace w(kernels().adam_workspace(static_cast<int32_t>(all.size())));
    for (int step = 1; step <= steps; ++step) {
        double square = 0.0;
        std::vector<std::vector<float>> gradients;
        for (size_t k = 0; k < all.size(); ++k) {
            gradients.push_back(random_floats(all[k].count, -0.01f, 0.012f,
                                              static_cast<uint32_t>(100 * step) + static_cast<uint32_t>(k)));
            give_gradient(all[k], gradients[k]);
            if (all[k].has_gradient)
                for (const float g : gradients[k]) square += static_cast<double>(g) * g;
        }
        const double norm = std::sqrt(square),
                     clip = o.max_norm > 0.0 && norm > o.max_norm ? o.max_norm / norm : 1.0;
        // The options as the kernel sees them, in f32.
        const double rate = static_cast<float>(o.learning_rate), beta1 = static_cast<float>(o.beta1),
                     beta2 = static_cast<float>(o.beta2), decay = static_cast<float>(o.average_decay);
        const double correction1 = 1.0 - std::pow(beta1, step), correction2 = 1.0 - std::pow(beta2, step);
        for (size_t k = 0; k < all.size(); ++k) {
            Tensor& t = all[k];
            for (size_t i = 0; t.has_gradient && i < t.count; ++i) {
                Reference& e = t.expected;
                const double g = clip * gradients[k][i];
                e.first[i] = beta1 * e.first[i] + (1.0 - beta1) * g;
                e.second[i] = beta2 * e.second[i] + (1.0 - beta2) * g * g;
                e.value[i] -=
                    rate * (e.first[i] / correction1 / (std::sqrt(e.second[i] / correction2) + o.epsilon) +
                            static_cast<float>(t.weight_decay) * e.value[i]);
                e.average[i] = decay * e.average[i] + (1.0 - decay) * e.value[i];
            }
        }
        ASSERT_OK(step_once(list, state, w));
        const jl_adam_state after = state.read()[0];
        EXPECT_EQ(after.step, static_cast<uint32_t>(step));
        EXPECT_EQ(after.skipped, 0u);
        EXPECT_NEAR(after.gradient_norm, norm, 1e-6 * norm);
        EXPECT_NEAR(after.scale, clip, 1e-6 * clip);
    }
    for (Tensor& t : all) {
        // A value of order 1 is rounded to 6e-8 every step.
        EXPECT_CLOSE(t.value.read(), t.expected.value, 1e-7 * steps, 1e-7 * steps);
        EXPECT_CLOSE(t.first.read(), t.expected.first, 4e-6, 1e-8);
        EXPECT_CLOSE(t.second.read(), t.expected.second, 2e-5, 1e-12);
        EXPECT_CLOSE(t.average.read(), t.has_average ? t.expected.average : doubles(t.start), 1e-7 * steps,
                     1e-7 * steps);
    }
}

class AdamTest : public testing::TestWithParam<double> {};

TEST_P(AdamTest, TwentyStepsEqualTheReference) {
    Options o;
    o.max_norm = GetParam();
    check_against_reference(o, tensors(), 20);
}

// No clipping; norm just below, at about, and far above the limit.
INSTANTIATE_TEST_SUITE_P(Norms, AdamTest, testing::Values(0.0, 1e-3, 3.6, 100.0));

TEST(Adam, AHundredStepsEqualTheReference) {
    std::vector<Tensor> all = tensors();
    all.pop_back();  // the large one: the bias corrections are what is tested here
    check_against_reference({}, std::move(all), 100);
}

// Equal terms: their rounding errors all point the same way.
TEST(Adam, TheNormOfALargeConstantGradient) {
    const size_t count = 2000003;
    Tensor t(count, true, false, 0.0, 0, 1);
    Array<jl_adam_tensor> list(std::vector<jl_adam_tensor>{t.descriptor()});
    auto state = state_of({});
    Workspace w(kernels().adam_workspace(1));
    give_gradient(t, std::vector<float>(count, 0.3f));
    ASSERT_OK(step_once(list, state, w));
    const double expected = static_cast<double>(0.3f) * std::sqrt(static_cast<double>(count));
    EXPECT_NEAR(state.read()[0].gradient_norm, expected, 2e-6 * expected);
}

TEST(Adam, ClippingStartsAboveTheLimit) {
    const auto run = [](float max_norm, const std::vector<float>& gradient, std::vector<float>* first) {
        Tensor t(2, true, false, 0.0, 0, 1);
        Array<jl_adam_tensor> list(std::vector<jl_adam_tensor>{t.descriptor()});
        Options o;
        o.max_norm = max_norm;
        auto state = state_of(o);
        Workspace w(kernels().adam_workspace(1));
        give_gradient(t, gradient);
        EXPECT_EQ(step_once(list, state, w), JL_OK);
        *first = t.first.read();
        const jl_adam_state after = state.read()[0];
        EXPECT_FLOAT_EQ(after.gradient_norm,
                        std::sqrt(gradient[0] * gradient[0] + gradient[1] * gradient[1]));
        return after.scale;
    };
    std::vector<float> first, half;
    EXPECT_EQ(run(5.0f, {3.0f, 4.0f}, &first), 1.0f);  // the norm is 5, exactly
    EXPECT_LT(run(std::nextafter(5.0f, 0.0f), {3.0f, 4.0f}, &first), 1.0f);
    EXPECT_EQ(run(2.5f, {3.0f, 4.0f}, &first), 0.5f);
    EXPECT_EQ(run(0.0f, {1.5f, 2.0f}, &half), 1.0f);
    EXPECT_EQ(first, half) << "a clipped gradient is the scaled gradient";
}

TEST(Adam, AGradientThatIsNotFiniteChangesNothing) {
    std::vector<Tensor> all = tensors();
    auto list = descriptors(all);
    auto state = state_of({});
    Workspace w(kernels().adam_workspace(static_cast<int32_t>(all.size())));
    const auto contents = [&all] {
        std::vector<std::vector<float>> read;
        for (Tensor& t : all)
            for (Floats* part : {&t.value, &t.first, &t.second, &t.average}) read.push_back(part->read());
        return read;
    };
    for (Tensor& t : all) give_gradient(t, std::vector<float>(t.count, 0.1f));
    ASSERT_OK(step_once(list, state, w));  // so that no moment is 0
    uint32_t steps = 1, skipped = 0;
    const float infinity = std::numeric_limits<float>::infinity();
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), infinity, -infinity, 2e19f})
        for (const size_t k : {size_t{0}, all.size() - 2, all.size() - 1}) {
            SCOPED_TRACE(testing::Message() << bad << " in tensor " << k);
            const auto before = contents();
            std::vector<float> g(all[k].count, 0.1f);
            g.back() = bad;
            give_gradient(all[k], g);
            ASSERT_OK(step_once(list, state, w));
            const jl_adam_state after = state.read()[0];
            EXPECT_EQ(after.step, steps);
            EXPECT_EQ(after.skipped, ++skipped);
            EXPECT_EQ(after.scale, 0.0f);
            EXPECT_FALSE(std::isfinite(after.gradient_norm));
            EXPECT_EQ(contents(), before);
            g.back() = 0.1f;  // and the next step goes on
            give_gradient(all[k], g);
            ASSERT_OK(step_once(list, state, w));
            EXPECT_EQ(state.read()[0].step, ++steps);
            EXPECT_EQ(state.read()[0].scale, 1.0f);
            EXPECT_NE(all[k].value.read(), before[4 * k]);
        }
}

TEST(Adam, WhereItIsToStopNothingFollowsASkippedStep) {
    std::vector<Tensor> all = tensors();
    auto list = descriptors(all);
    auto state = state_of({}, 1);
    Workspace w(kernels().adam_workspace(static_cast<int32_t>(all.size())));
    for (Tensor& t : all) give_gradient(t, std::vector<float>(t.count, 0.1f));
    ASSERT_OK(step_once(list, state, w));
    EXPECT_EQ(state.read()[0].step, 1u);
    give_gradient(all[0], std::vector<float>(all[0].count, std::numeric_limits<float>::infinity()));
    ASSERT_OK(step_once(list, state, w));
    give_gradient(all[0], std::vector<float>(all[0].count, 0.1f));
    const auto before = all[0].value.read();
    ASSERT_OK(step_once(list, state, w));
    EXPECT_EQ(all[0].value.read(), before);
    EXPECT_EQ(state.read()[0].step, 1u);
    EXPECT_EQ(state.read()[0].skipped, 2u);
    EXPECT_TRUE(std::isfinite(state.read()[0].gradient_norm));
}

TEST(Adam, SameBitsInEveryRun) {
    std::vector<std::vector<float>> results[2];
    for (auto& result : results) {
        std::vector<Tensor> all = tensors();
        auto list = descriptors(all);
        Options o;
        o.max_norm = 0.5;
        auto state = state_of(o);
        Workspace w(kernels().adam_workspace(static_cast<int32_t>(all.size())));
        for (size_t k = 0; k < all.size(); ++k)
            give_gradient(all[k], random_floats(all[k].count, -1.0f, 1.0f, static_cast<uint32_t>(k)));
        for (int step = 0; step < 3; ++step) ASSERT_OK(step_once(list, state, w));
        for (Tensor& t : all) result.push_back(t.value.read());
        const jl_adam_state after = state.read()[0];
        result.push_back({after.gradient_norm, after.scale});
    }
    EXPECT_EQ(results[0], results[1]);
}

TEST(Adam, ManySmallTensorsAndNone) {
    std::vector<Tensor> all;
    for (uint32_t k = 0; k < 1000; ++k) all.emplace_back(1 + k % 7, true, false, 0.0, 0, k);
    auto list = descriptors(all);
    auto state = state_of({});
    Workspace w(kernels().adam_workspace(1000));
    for (Tensor& t : all) {
        give_gradient(t, std::vector<float>(t.count, -0.5f));
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
    for (int step = 0; step < 2000; ++step) {
        std::vector<float> g = t.value.read();
        for (size_t i = 0; i < g.size(); ++i) g[i] = static_cast<float>(i + 1) * (g[i] - 0.5f);
        give_gradient(t, g);
        ASSERT_OK(step_once(list, state, w));
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
