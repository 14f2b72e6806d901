// gaussian against an fp64 reference.
#include "gaussian_reference.h"

namespace jlatent::test {
namespace {

const Case kCases[] = {
    {1, 1, 1, false, 0.0f, -kInfinity, kInfinity, 0},
    {3, 2, 1, true, 0.0f, -kInfinity, kInfinity, 0},
    {5, 3, 4, false, 0.0f, -kInfinity, kInfinity, 1},
    {128, 20, 1, true, 0.0f, -kInfinity, kInfinity, 0},
    {7, 64, 3, false, 0.0f, -1.0f, 1.0f, 0},
    {33, 31, 2, true, 0.3f, -kInfinity, kInfinity, 3},
    {1300, 5, 1, false, 0.2f, -1.5f, 1.5f, 0},
    {2, 127, 5, true, 0.0f, -kInfinity, kInfinity, 2},
    {17, 129, 1, false, 0.25f, -kInfinity, kInfinity, 0},
    {3, 1024, 2, false, 0.0f, -kInfinity, kInfinity, 0},
    {2, 1025, 2, true, 0.3f, -1.0f, kInfinity, 0},
    {2, 4099, 2, false, 0.3f, -kInfinity, 1.0f, 1},
    {1, 20011, 1, true, 0.0f, -kInfinity, kInfinity, 0},
};

class GaussianTest : public testing::TestWithParam<Case> {};

TEST_P(GaussianTest, ForwardEqualsTheReference) {
    Problem s(GetParam());
    s.regenerate_noise();
    const Outputs expected = reference(s.c, doubles(s.mu), doubles(s.log_var), doubles(s.eps), 0.7f);
    for (const bool explicit_noise : {false, true}) {
        Floats noise(s.eps, s.c.shift);
        auto z = Floats::output(s.eps.size(), s.c.shift), kl_rows = Floats::output(s.rows),
             kl_total = Floats::output(1);
        auto log_q = Floats::output(s.rows * s.k), log_p = Floats::output(s.rows * s.k),
             live = Floats::output(s.dims);
        const jl_gaussian shape = s.shape();
        Workspace w(kernels().gaussian_workspace(&shape));
        for (int repeat = 0; repeat < 2; ++repeat)  // the second finds the workspace as the first left it
            ASSERT_OK(kernels().gaussian_forward(&shape, s.mu_data(), s.log_var_data(),
                                                 explicit_noise ? noise.data() : nullptr, s.random.data(),
                                                 s.weight.data(), z.data(), kl_rows.data(), kl_total.data(),
                                                 log_q.data(), log_p.data(), live.data(), w.get(), stream()));
        EXPECT_CLOSE(z.read(), expected.z, 1e-6, 2e-6);
        // Sums of n terms of order 1 round by sqrt(n) eps at random, n eps at worst.
        const double n = static_cast<double>(s.dims);
        EXPECT_CLOSE(kl_rows.read(), expected.kl_rows, 2e-6, 1e-7 * n);
        EXPECT_CLOSE(kl_total.read(), std::vector<double>{expected.kl_total}, 5e-6, 1e-6);
        EXPECT_CLOSE(log_q.read(), expected.log_q, 3e-6, 1e-7 * n);
        EXPECT_CLOSE(log_p.read(), expected.log_p, 3e-6, 1e-7 * n);
        EXPECT_CLOSE(live.read(), expected.kl_live, 0.0, 0.0);
    }
}

TEST_P(GaussianTest, EveryOutputMayBeNull) {
    Problem s(GetParam());
    const jl_gaussian shape = s.shape();
    Workspace w(kernels().gaussian_workspace(&shape));
    auto rows = Floats::output(s.rows), total = Floats::output(1), again = Floats::output(s.rows),
         z = Floats::output(s.eps.size());
    const auto run = [&](float* z_out, float* kl_rows, float* kl_total, float* log_q, float* log_p) {
        return kernels().gaussian_forward(&shape, s.mu_data(), s.log_var_data(), nullptr, s.random.data(),
                                          nullptr, z_out, kl_rows, kl_total, log_q, log_p, nullptr, w.get(),
                                          stream());
    };
    ASSERT_OK(run(z.data(), rows.data(), total.data(), nullptr, nullptr));
    ASSERT_OK(run(nullptr, again.data(), nullptr, nullptr, nullptr));
    EXPECT_CLOSE(again.read(), doubles(rows.read()), 1e-6, 1e-6);
    auto q = Floats::output(s.rows * s.k), p = Floats::output(s.rows * s.k),
         q_alone = Floats::output(s.rows * s.k);
    ASSERT_OK(run(nullptr, nullptr, nullptr, q.data(), p.data()));
    ASSERT_OK(run(nullptr, nullptr, nullptr, q_alone.data(), nullptr));
    EXPECT_EQ(q.read(), q_alone.read());
    ASSERT_OK(run(nullptr, nullptr, nullptr, nullptr, nullptr));
}

// The loss that backward differentiates, in fp64: every output times its gradient.
TEST_P(GaussianTest, BackwardEqualsCentralDifferences) {
    Problem s(GetParam());
    s.regenerate_noise();
    const auto dz = random_floats(s.eps.size(), -1.0f, 1.0f, 3),
               d_rows = random_floats(s.rows, -1.0f, 1.0f, 4);
    const auto dq = random_floats(s.rows * s.k, -1.0f, 1.0f, 5),
               dp = random_floats(s.rows * s.k, -1.0f, 1.0f, 6);
    const float d_total = 0.6f;
    const Outputs forward = reference(s.c, doubles(s.mu), doubles(s.log_var), doubles(s.eps), 0.7f);
    const std::vector<float> live(forward.kl_live.begin(), forward.kl_live.end());

    Floats dz_array(dz, s.c.shift), rows_array(d_rows), total_array(std::vector<float>{d_total}), q_array(dq),
        p_array(dp);
    Floats live_array(live);
    auto d_mu = Floats::output(s.rows * static_cast<size_t>(s.stride), s.c.shift);
    auto d_log_var = Floats::output(s.c.packed ? 1 : s.rows * s.dims, s.c.shift);
    float* d_log_var_data = s.c.packed ? d_mu.data() + s.c.dims : d_log_var.data();
    const jl_gaussian shape = s.shape();
    ASSERT_OK(kernels().gaussian_backward(&shape, s.mu_data(), s.log_var_data(), nullptr, s.random.data(),
                                          s.weight.data(), live_array.data(), dz_array.data(),
                                          rows_array.data(), total_array.data(), q_array.data(),
                                          p_array.data(), d_mu.data(), d_log_var_data, stream()));
    std::vector<float> got_mu = d_mu.read(), got_log_var;
    if (s.c.packed) {
        std::vector<float> mu_half;
        for (size_t b = 0; b < s.rows; ++b) {
            mu_half.insert(mu_half.end(), &got_mu[2 * b * s.dims], &got_mu[2 * b * s.dims] + s.dims);
            got_log_var.insert(got_log_var.end(), &got_mu[(2 * b + 1) * s.dims],
                               &got_mu[(2 * b + 1) * s.dims] + s.dims);
        }
        got_mu = mu_half;
    } else {
        got_log_var = d_log_var.read();
    }

    // Rows do not touch each other once kl_live is fixed, so a few rows stand for all.
    const std::vector<double> mu = doubles(s.mu), log_var = doubles(s.log_var), eps = doubles(s.eps);
    for (const size_t b : {size_t{0}, s.rows / 2, s.rows - 1}) {
        Case one = s.c;
        one.rows = 1;
        const std::vector<double> row_eps(&eps[b * s.k * s.dims], &eps[b * s.k * s.dims] + s.k * s.dims);
        const auto loss = [&](const std::vector<double>& m, const std::vector<double>& l) {
            const Outputs o = reference(one, m, l, row_eps, 0.7f, &forward.kl_live);
            double sum = d_rows[b] * o.kl_rows[0] + d_total * o.kl_total;
            for (size_t i = 0; i < o.z.size(); ++i) sum += dz[b * s.k * s.dims + i] * o.z[i];
            for (size_t i = 0; i < s.k; ++i)
                sum += dq[b * s.k + i] * o.log_q[i] + dp[b * s.k + i] * o.log_p[i];
            return sum;
        };
        const std::vector<double> m(&mu[b * s.dims], &mu[b * s.dims] + s.dims),
            l(&log_var[b * s.dims], &log_var[b * s.dims] + s.dims);
        for (size_t d = 0; d < s.dims; d += s.dims < 200 ? 1 : s.dims / 37) {
            const auto of_mu = numeric_gradient(
                [&](const std::vector<double>& x) {
                    auto v = m;
                    v[d] = x[0];
                    return loss(v, l);
                },
                {m[d]});
            const auto of_log_var = numeric_gradient(
                [&](const std::vector<double>& x) {
                    auto v = l;
                    v[d] = x[0];
                    return loss(m, v);
                },
                {l[d]});
            const double tolerance =
                2e-6 * static_cast<double>(s.k) + 1e-6 * static_cast<double>(s.dims) * 1e-2;
            EXPECT_NEAR(got_mu[b * s.dims + d], of_mu[0], tolerance + 3e-6 * std::abs(of_mu[0]))
                << "mu " << b << "," << d;
            const bool clamped_here = l[d] < s.c.log_var_min || l[d] > s.c.log_var_max;
            if (clamped_here)
                EXPECT_EQ(got_log_var[b * s.dims + d], 0.0f) << "clamped " << b << "," << d;
            else
                EXPECT_NEAR(got_log_var[b * s.dims + d], of_log_var[0],
                            tolerance + 3e-6 * std::abs(of_log_var[0]))
                    << "log_var " << b << "," << d;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Cases, GaussianTest, testing::ValuesIn(kCases));

TEST(Gaussian, ClosedFormGradients) {
    // dz = 0: the KL's own gradient, mu and (sigma^2 - 1) / 2; mu = 0, log_var = 0 has KL and gradient
    // exactly 0.
    Floats mu(std::vector<float>{0.0f, 1.5f, -2.0f, 0.0f}),
        log_var(std::vector<float>{0.0f, 0.0f, 1.0f, -3.0f});
    Floats one(std::vector<float>{1.0f});
    auto state = random_state(1, 0);
    const jl_gaussian shape = {1, 4, 1, 4, -kInfinity, kInfinity, 0.0f, 0};
    auto d_mu = Floats::output(4), d_log_var = Floats::output(4), kl = Floats::output(1);
    ASSERT_OK(kernels().gaussian_backward(&shape, mu.data(), log_var.data(), nullptr, state.data(), nullptr,
                                          nullptr, nullptr, nullptr, one.data(), nullptr, nullptr,
                                          d_mu.data(), d_log_var.data(), stream()));
    EXPECT_CLOSE(d_mu.read(), (std::vector<double>{0.0, 1.5, -2.0, 0.0}), 0.0, 0.0);
    EXPECT_CLOSE(d_log_var.read(),
                 (std::vector<double>{0.0, 0.0, (std::exp(1.0) - 1.0) / 2.0, (std::exp(-3.0) - 1.0) / 2.0}),
                 1e-6, 0.0);
    const jl_gaussian first = {1, 1, 1, 1, -kInfinity, kInfinity, 0.0f, 0};
    Workspace w(kernels().gaussian_workspace(&first));
    ASSERT_OK(kernels().gaussian_forward(&first, mu.data(), log_var.data(), nullptr, state.data(), nullptr,
                                         nullptr, kl.data(), nullptr, nullptr, nullptr, nullptr, w.get(),
                                         stream()));
    EXPECT_EQ(kl.read()[0], 0.0f);
}

TEST(Gaussian, SampleHasMeanVarianceAndDistribution) {
    const int64_t rows = 4096, dims = 20, samples = 2;
    const size_t n = static_cast<size_t>(rows * dims * samples);
    Floats mu(std::vector<float>(static_cast<size_t>(rows * dims), 0.5f)),
        log_var(std::vector<float>(static_cast<size_t>(rows * dims), std::log(4.0f)));
    auto state = random_state(3, 1);
    auto out = Floats::output(n);
    const jl_gaussian shape = {rows, dims, samples, dims, -kInfinity, kInfinity, 0.0f, 4};
    Workspace w(kernels().gaussian_workspace(&shape));
    ASSERT_OK(kernels().gaussian_forward(&shape, mu.data(), log_var.data(), nullptr, state.data(), nullptr,
                                         out.data(), nullptr, nullptr, nullptr, nullptr, nullptr, w.get(),
                                         stream()));
    std::vector<float> z = out.read();
    double mean = 0.0, square = 0.0, between = 0.0;
    for (const float v : z) mean += v / static_cast<double>(n);
    for (const float v : z) square += (v - mean) * (v - mean) / static_cast<double>(n);
    EXPECT_NEAR(mean, 0.5, 5.0 * 2.0 / std::sqrt(n));
    EXPECT_NEAR(square, 4.0, 5.0 * 4.0 * std::sqrt(2.0 / static_cast<double>(n)));
    // The two samples of a row, and neighbouring dimensions, are independent.
    const size_t d = static_cast<size_t>(dims);
    double across = 0.0;
    for (size_t b = 0; b < static_cast<size_t>(rows); ++b)
        for (size_t j = 0; j < d; ++j) {
            between += (z[2 * b * d + j] - mean) * (z[(2 * b + 1) * d + j] - mean) / square /
                       static_cast<double>(n / 2);
            if (j + 1 < d)
                across += (z[2 * b * d + j] - mean) * (z[2 * b * d + j + 1] - mean) / square /
                          static_cast<double>(n / 2);
        }
    EXPECT_NEAR(between, 0.0, 5.0 / std::sqrt(n / 2.0));
    EXPECT_NEAR(across, 0.0, 5.0 / std::sqrt(n / 2.0));
    std::sort(z.begin(), z.end());
    double distance = 0.0;  // Kolmogorov-Smirnov, level 1e-3
    for (size_t i = 0; i < n; ++i) {
        const double cdf = 0.5 * std::erfc(-(z[i] - 0.5) / 2.0 / std::sqrt(2.0));
        distance = std::max({distance, cdf - static_cast<double>(i) / static_cast<double>(n),
                             static_cast<double>(i + 1) / static_cast<double>(n) - cdf});
    }
    EXPECT_LT(distance, 1.95 / std::sqrt(n));
}

// d/dmu and d/dlog_var of E[cos z] = cos(mu) exp(-sigma^2 / 2), estimated through the samples.
TEST(Gaussian, ReparameterizedGradientIsThatOfTheExpectation) {
    const float m = 0.7f, l = -0.4f;
    const int64_t samples = 200000;
    Floats mu(std::vector<float>{m}), log_var(std::vector<float>{l});
    auto state = random_state(17, 2);
    auto out = Floats::output(static_cast<size_t>(samples));
    const jl_gaussian shape = {1, 1, samples, 1, -kInfinity, kInfinity, 0.0f, 0};
    Workspace w(kernels().gaussian_workspace(&shape));
    ASSERT_OK(kernels().gaussian_forward(&shape, mu.data(), log_var.data(), nullptr, state.data(), nullptr,
                                         out.data(), nullptr, nullptr, nullptr, nullptr, nullptr, w.get(),
                                         stream()));
    std::vector<float> dz = out.read();
    for (float& v : dz) v = -std::sin(v) / static_cast<float>(samples);
    Floats dz_array(dz);
    auto d_mu = Floats::output(1), d_log_var = Floats::output(1);
    ASSERT_OK(kernels().gaussian_backward(&shape, mu.data(), log_var.data(), nullptr, state.data(), nullptr,
                                          nullptr, dz_array.data(), nullptr, nullptr, nullptr, nullptr,
                                          d_mu.data(), d_log_var.data(), stream()));
    const double variance = std::exp(l), damping = std::exp(-variance / 2.0);
    // A gradient sample is bounded by 1, and by sigma |eps| / 2: five standard errors.
    EXPECT_NEAR(d_mu.read()[0], -std::sin(m) * damping, 5.0 / std::sqrt(samples));
    EXPECT_NEAR(d_log_var.read()[0], -std::cos(m) * damping * variance / 2.0,
                5.0 * std::exp(l / 2.0) / 2.0 / std::sqrt(samples));
}

TEST(Gaussian, NotANumberIsPassedOn) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    Floats mu(std::vector<float>{0.0f, nan, 0.0f, 0.0f}), log_var(std::vector<float>{0.0f, 0.0f, nan, 0.0f});
    auto state = random_state(1, 0);
    auto z = Floats::output(4), kl = Floats::output(2);
    const jl_gaussian shape = {2, 2, 1, 2, -1.0f, 1.0f, 0.0f, 0};
    Workspace w(kernels().gaussian_workspace(&shape));
    ASSERT_OK(kernels().gaussian_forward(&shape, mu.data(), log_var.data(), nullptr, state.data(), nullptr,
                                         z.data(), kl.data(), nullptr, nullptr, nullptr, nullptr, w.get(),
                                         stream()));
    const auto got = z.read();
    EXPECT_TRUE(std::isfinite(got[0]) && std::isnan(got[1]) && std::isnan(got[2]) && std::isfinite(got[3]));
    EXPECT_TRUE(std::isnan(kl.read()[0]) && std::isnan(kl.read()[1]));
}

TEST(Gaussian, NoRowsAreFine) {
    auto state = random_state(1, 0);
    const jl_gaussian shape = {0, 3, 1, 3, -kInfinity, kInfinity, 0.0f, 0};
    Workspace w(kernels().gaussian_workspace(&shape));
    auto total = Floats::output(1);
    ASSERT_OK(kernels().gaussian_forward(&shape, nullptr, nullptr, nullptr, state.data(), nullptr, nullptr,
                                         nullptr, total.data(), nullptr, nullptr, nullptr, w.get(),
                                         stream()));
    EXPECT_EQ(total.read()[0], 0.0f);
    ASSERT_OK(kernels().gaussian_backward(&shape, nullptr, nullptr, nullptr, state.data(), nullptr, nullptr,
                                          nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                                          stream()));
}

TEST(Gaussian, BadArgumentsAreNamed) {
    Floats x(std::vector<float>(8, 0.0f));
    auto state = random_state(1, 0);
    Workspace w(4096);
    const auto forward = [&](jl_gaussian s, const jl_random* random, jl_workspace workspace) {
        return kernels().gaussian_forward(&s, x.data(), x.data(), nullptr, random, nullptr, nullptr, nullptr,
                                          nullptr, nullptr, nullptr, nullptr, workspace, stream());
    };
    const jl_gaussian good = {2, 4, 1, 4, -1.0f, 1.0f, 0.0f, 0};
    ASSERT_OK(forward(good, state.data(), w.get()));
    jl_gaussian s = good;
    s.dims = 0;
    EXPECT_BAD_ARGUMENT(forward(s, state.data(), w.get()), "dims >= 1");
    s = good, s.samples = 0;
    EXPECT_BAD_ARGUMENT(forward(s, state.data(), w.get()), "samples >= 1");
    s = good, s.row_stride = 3;
    EXPECT_BAD_ARGUMENT(forward(s, state.data(), w.get()), "row_stride 3");
    s = good, s.row_stride = int64_t{1} << 62;
    EXPECT_BAD_ARGUMENT(forward(s, state.data(), w.get()), "2^38");
    s = good, s.samples = int64_t{1} << 62;
    EXPECT_BAD_ARGUMENT(forward(s, state.data(), w.get()), "2^38");
    s = good, s.log_var_min = 2.0f;
    EXPECT_BAD_ARGUMENT(forward(s, state.data(), w.get()), "log_var_min 2");
    s = good, s.free_bits = -1.0f;
    EXPECT_BAD_ARGUMENT(forward(s, state.data(), w.get()), "free_bits");
    s = good, s.rows = (int64_t{1} << 32) + 1;
    EXPECT_BAD_ARGUMENT(forward(s, state.data(), w.get()), "2^32");
    EXPECT_BAD_ARGUMENT(forward(good, nullptr, w.get()), "random");
    EXPECT_BAD_ARGUMENT(forward(good, state.data(), {w.get().data, 8}), "8 bytes");
    s = good, s.free_bits = 0.1f;
    EXPECT_BAD_ARGUMENT(
        kernels().gaussian_backward(&s, x.data(), x.data(), nullptr, state.data(), nullptr, nullptr, nullptr,
                                    nullptr, x.data(), nullptr, nullptr, x.data(), x.data(), stream()),
        "kl_live");
}

}  // namespace
}  // namespace jlatent::test
