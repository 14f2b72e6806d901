// lookup_free_quantize against fp64 references, written straight from the formulas of lookup_free_quantize.h.
#include "case_table.h"

namespace jlatent::test {
namespace {

using Codes = Array<int32_t>;
using Shape = jl_lookup_free_quantize;

double sign_of(double x) { return x > 0.0 ? 1.0 : -1.0; }
double plogp(double p) { return p > 0.0 ? -p * std::log(p) : 0.0; }

// p and 1 - p of a bit.
std::pair<double, double> bit(double x, double temperature) {
    const double a = 4.0 * x / temperature;
    return {1.0 / (1.0 + std::exp(-a)), 1.0 / (1.0 + std::exp(a))};
}

struct Losses {
    double commitment, of_rows, of_mean;
    std::vector<double> log_odds;
};

// `q` is what the commitment holds constant.
Losses reference(const Shape& s, const std::vector<double>& x, const std::vector<double>& q) {
    const size_t dims = static_cast<size_t>(s.dims), rows = static_cast<size_t>(s.rows);
    Losses l = {0.0, 0.0, 0.0, std::vector<double>(dims, 0.0)};
    if (rows == 0) return l;
    for (size_t i = 0; i < x.size(); ++i) {
        l.commitment += (x[i] - q[i]) * (x[i] - q[i]) / static_cast<double>(rows * dims);
        const auto [p, r] = bit(x[i], s.temperature);
        l.of_rows += (plogp(p) + plogp(r)) / static_cast<double>(rows);
    }
    for (size_t d = 0; d < dims; ++d) {
        double one = 0.0, zero = 0.0;
        for (size_t n = 0; n < rows; ++n) {
            const auto [p, r] = bit(x[n * dims + d], s.temperature);
            one += p / static_cast<double>(rows), zero += r / static_cast<double>(rows);
        }
        l.of_mean += plogp(one) + plogp(zero);
        l.log_odds[d] = one == 0.0 || zero == 0.0 ? 0.0 : std::log(one / zero);
    }
    return l;
}

std::vector<double> signs(const std::vector<float>& x) {
    std::vector<double> q(x.size());
    std::transform(x.begin(), x.end(), q.begin(), sign_of);
    return q;
}

struct Outputs {
    std::vector<int32_t> codes;
    std::vector<float> q, commitment, penalty, entropies, log_odds;
};

// beta and gamma: 0 means null.
Outputs forward(const Shape& s, const std::vector<float>& x, float beta = 0, float gamma = 0,
                size_t shift = 0) {
    Floats in(x, shift), b({beta}), g({gamma}),
        q = Floats::output(x.size(), shift), commitment = Floats::output(1), penalty = Floats::output(1),
        entropies = Floats::output(2), log_odds = Floats::output(static_cast<size_t>(s.dims));
    Codes codes = Codes::output(static_cast<size_t>(s.rows), shift);
    Workspace w(kernels().lookup_free_quantize_workspace(&s));
    std::vector<float> first;
    for (int repeat = 0; repeat < 2; ++repeat) {  // the workspace is ready again; the bits are the same
        EXPECT_EQ(kernels().lookup_free_quantize_forward(
                      &s, in.data(), beta == 0 ? nullptr : b.data(), gamma == 0 ? nullptr : g.data(),
                      codes.data(), q.data(), commitment.data(), penalty.data(), entropies.data(),
                      log_odds.data(), w.get(), stream()),
                  JL_OK)
            << kernels().last_error();
        if (repeat == 1) {
            EXPECT_EQ(penalty.read(), first);
        }
        first = penalty.read();
    }
    EXPECT_EQ(in.read(), x);
    return {codes.read(), q.read(), commitment.read(), penalty.read(), entropies.read(), log_odds.read()};
}

struct Case {
    Shape s;
    float range;
    size_t shift;
};

class LookupFreeQuantizeTest : public testing::TestWithParam<Case> {};

TEST_P(LookupFreeQuantizeTest, ForwardEqualsTheReference) {
    const auto [s, range, shift] = GetParam();
    const size_t dims = static_cast<size_t>(s.dims), rows = static_cast<size_t>(s.rows);
    const auto x = random_floats(rows * dims, -range, range);
    const Outputs out = forward(s, x, 0.25f, 0.7f, shift);
    std::vector<int32_t> codes(rows, 0);
    for (size_t i = 0; i < x.size(); ++i) codes[i / dims] |= x[i] > 0.0f ? 1 << i % dims : 0;
    EXPECT_EQ(out.codes, codes);
    EXPECT_CLOSE(out.q, signs(x), 0.0, 0.0);
    const Losses l = reference(s, doubles(x), signs(x));
    const double width = static_cast<double>(dims);
    EXPECT_CLOSE(out.commitment, (std::vector<double>{0.25 * l.commitment}), 2e-6, 0.0);
    // The logit is rounded before its exponential.
    EXPECT_CLOSE(out.entropies, (std::vector<double>{l.of_rows, l.of_mean}), 1e-5, 1e-7);
    EXPECT_CLOSE(out.penalty, (std::vector<double>{l.of_rows - static_cast<double>(0.7f) * l.of_mean}), 1e-5,
                 1e-6 * width);
    EXPECT_CLOSE(out.log_odds, l.log_odds, 1e-5, 1e-5);
}

TEST_P(LookupFreeQuantizeTest, BackwardEqualsCentralDifferences) {
    const auto [s, range, shift] = GetParam();
    const size_t dims = static_cast<size_t>(s.dims), count = static_cast<size_t>(s.rows) * dims;
    const auto x = random_floats(count, -range, range), dq = random_floats(count, -1.0f, 1.0f, 2);
    const float gamma = 0.7f, beta = 0.25f, of_commitment = 3.0f, of_penalty = -2.0f;
    const Outputs out = forward(s, x, beta, gamma);
    Floats in(x, shift), log_odds(out.log_odds), b({beta}), g({gamma}), d_q(dq, shift), d_c({of_commitment}),
        d_p({of_penalty}), d_x = Floats::output(count, shift);
    const auto call = [&](const float* straight, const float* c, const float* p, float* to) {
        return kernels().lookup_free_quantize_backward(&s, in.data(), log_odds.data(), b.data(), g.data(),
                                                       straight, c, p, to, stream());
    };
    ASSERT_OK(call(d_q.data(), d_c.data(), d_p.data(), d_x.data()));
    const auto q = signs(x);
    // One element at a time, in its own row and column sums: the whole loss for each would take long.
    std::vector<double> expected(count);
    for (size_t i = 0; i < count; ++i) {
        const double rows = static_cast<double>(s.rows);
        double one = 0.0, zero = 0.0;
        for (size_t k = i % dims; k < count; k += dims)
            if (k != i) one += bit(x[k], s.temperature).first, zero += bit(x[k], s.temperature).second;
        const auto loss = [&](double v) {
            const auto [p, r] = bit(v, s.temperature);
            const double of_rows = (plogp(p) + plogp(r)) / rows,
                         of_mean = plogp((one + p) / rows) + plogp((zero + r) / rows),
                         error = (v - q[i]) * (v - q[i]) / (rows * static_cast<double>(dims));
            return of_commitment * static_cast<double>(beta) * error +
                   of_penalty * (of_rows - static_cast<double>(gamma) * of_mean);
        };
        const double h = 1e-5 * std::min(1.0, static_cast<double>(s.temperature));
        expected[i] = dq[i] + (loss(x[i] + h) - loss(x[i] - h)) / (2.0 * h);
    }
    const double most = 4.0 / s.temperature / static_cast<double>(s.rows + 1);  // of the penalty's slope
    EXPECT_CLOSE(d_x.read(), expected, 1e-5, 1e-6 + 1e-5 * most);
    // Without gradients nothing is left; one at a time adds up.
    ASSERT_OK(call(nullptr, nullptr, nullptr, d_x.data()));
    EXPECT_EQ(d_x.read(), std::vector<float>(count, 0.0f));
    ASSERT_OK(call(d_q.data(), nullptr, nullptr, d_x.data()));
    EXPECT_EQ(d_x.read(), dq);
    ASSERT_OK(call(d_q.data(), d_c.data(), d_p.data(), d_q.data()));  // in place
    EXPECT_CLOSE(d_q.read(), expected, 1e-5, 1e-6 + 1e-5 * most);
}

INSTANTIATE_TEST_SUITE_P(Cases, LookupFreeQuantizeTest,
                         testing::Values(Case{{0, 3, 1.0f, 0}, 1.0f, 0}, Case{{1, 1, 1.0f, 0}, 1.0f, 0},
                                         Case{{15, 2, 4.0f, 0}, 2.0f, 1}, Case{{16, 10, 1.0f, 0}, 1.0f, 3},
                                         Case{{17, 18, 0.5f, 0}, 1.0f, 1}, Case{{130, 30, 1.0f, 0}, 1.0f, 0},
                                         Case{{1025, 7, 0.1f, 0}, 0.2f, 2},
                                         Case{{700, 13, 0.01f, 0}, 0.05f, 0},
                                         Case{{1500, 1, 100.0f, 0}, 9.0f, 0}));

// The definitions themselves, over all 2^D codes: the sum over bits is the rows' entropy, and bounds that of the mean.
TEST(LookupFreeQuantize, EntropiesAreThoseOfTheSoftAssignment) {
    const Shape s = {11, 4, 2.0f, 0};
    const auto x = random_floats(44, -1.5f, 1.5f, 5);
    std::vector<double> mean(16, 0.0);
    double of_rows = 0.0, of_mean = 0.0;
    for (size_t n = 0; n < 11; ++n) {
        std::vector<double> p(16);
        double sum = 0.0;
        for (size_t c = 0; c < 16; ++c) {
            double distance = 0.0;
            for (size_t d = 0; d < 4; ++d)
                distance += std::pow(x[4 * n + d] - (c >> d & 1 ? 1.0 : -1.0), 2.0);
            sum += p[c] = std::exp(-distance / 2.0);
        }
        for (size_t c = 0; c < 16; ++c) of_rows += plogp(p[c] / sum) / 11.0, mean[c] += p[c] / sum / 11.0;
    }
    for (const double p : mean) of_mean += plogp(p);
    const Outputs out = forward(s, x);
    EXPECT_NEAR(out.entropies[0], of_rows, 1e-6);
    EXPECT_GE(out.entropies[1], of_mean);
    EXPECT_LE(out.entropies[1], 4 * std::log(2.0) + 1e-6);
    EXPECT_NEAR(out.penalty[0], out.entropies[0] - out.entropies[1], 1e-6);
}

// Zero is not above zero; far from it no bit is in doubt, and no gradient is lost in infinities.
TEST(LookupFreeQuantize, SaturatedBitsHaveNoEntropyAndNoSlope) {
    const Shape s = {3, 2, 0.01f, 0};
    const std::vector<float> x = {0.0f, 3e38f, -0.0f, 1e30f, -1e-45f, 2.0f};
    Floats in(x), d_p({1.0f}), d_x = Floats::output(6);
    const Outputs out = forward(s, x);
    EXPECT_EQ(out.codes, (std::vector<int32_t>{2, 2, 2}));
    EXPECT_NEAR(out.entropies[0], std::log(2.0), 1e-6);
    EXPECT_NEAR(out.entropies[1], std::log(2.0), 1e-6);
    EXPECT_EQ(out.log_odds[1], 0.0f);
    Floats log_odds(out.log_odds);
    ASSERT_OK(kernels().lookup_free_quantize_backward(&s, in.data(), log_odds.data(), nullptr, nullptr,
                                                      nullptr, nullptr, d_p.data(), d_x.data(), stream()));
    const auto slope = d_x.read();
    for (const size_t i : {1, 3, 5}) EXPECT_EQ(slope[i], 0.0f) << i;
    for (const size_t i : {0, 2, 4}) EXPECT_NEAR(slope[i], 0.0f, 1e-4) << i;  // at the top of the entropy
}

bool on_cpu() { return std::string(kernels().name).rfind("cpu", 0) == 0; }

TEST(LookupFreeQuantize, RowsThatAreNotFiniteAreRefusedOrMarked) {
    const Shape s = {40, 3, 1.0f, 0};
    for (const float bad :
         {std::nanf(""), std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
        auto x = random_floats(120, -1.0f, 1.0f);
        const Outputs whole = forward(s, x);
        x[3 * 33 + 1] = x[3 * 36] = bad;
        Floats in(x), q = Floats::output(120), commitment = Floats::output(1), penalty = Floats::output(1),
                      entropies = Floats::output(2), log_odds = Floats::output(3);
        Codes codes = Codes::output(40);
        Workspace w(kernels().lookup_free_quantize_workspace(&s));
        const auto call = [&] {
            return kernels().lookup_free_quantize_forward(
                &s, in.data(), nullptr, nullptr, codes.data(), q.data(), commitment.data(), penalty.data(),
                entropies.data(), log_odds.data(), w.get(), stream());
        };
        if (on_cpu()) {
            EXPECT_BAD_ARGUMENT(call(), "row 33 of x is not finite");
            continue;
        }
        ASSERT_OK(call());
        EXPECT_TRUE(std::isnan(commitment.read()[0]));
        const auto code = codes.read();
        const auto value = q.read();
        for (size_t n = 0; n < 40; ++n) {
            const bool marked = n == 33 || n == 36;
            EXPECT_EQ(code[n], marked ? -1 : whole.codes[n]) << n;
            for (size_t i = 3 * n; i < 3 * n + 3; ++i) EXPECT_EQ(std::isnan(value[i]), marked) << i;
        }
    }
}

TEST(LookupFreeQuantize, DecodeTurnsCodesBackAndRefusesOrMarksOthers) {
    Shape s = {4, 30, 1.0f, 0};
    const auto x = random_floats(120, -1.0f, 1.0f);
    const Outputs out = forward(s, x);
    Codes codes(out.codes, 1);
    Floats q = Floats::output(120, 1);
    ASSERT_OK(kernels().lookup_free_quantize_decode(&s, codes.data(), q.data(), stream()));
    EXPECT_EQ(q.read(), out.q);
    s.dims = 2;
    Codes wrong(std::vector<int32_t>{3, 4, 1, -1});
    Floats small = Floats::output(8);
    const auto call = [&] {
        return kernels().lookup_free_quantize_decode(&s, wrong.data(), small.data(), stream());
    };
    if (on_cpu()) {
        EXPECT_BAD_ARGUMENT(call(), "codes[1] is 4, but there are 4 codes");
        return;
    }
    ASSERT_OK(call());
    const auto value = small.read();
    EXPECT_TRUE(value[0] == 1.0f && value[1] == 1.0f && value[4] == 1.0f && value[5] == -1.0f);
    for (const size_t i : {2, 3, 6, 7}) EXPECT_TRUE(std::isnan(value[i])) << i;
}

TEST(LookupFreeQuantize, BadArgumentsAreNamed) {
    Floats x(std::vector<float>(64, 0.0f));
    Codes codes(std::vector<int32_t>(2, 0));
    const auto call = [&](const Shape* s, const float* in, size_t bytes) {
        Workspace w(bytes);
        return kernels().lookup_free_quantize_forward(s, in, nullptr, nullptr, codes.data(), x.data(),
                                                      x.data(), x.data(), x.data(), x.data(), w.get(),
                                                      stream());
    };
    const Shape s = {2, 3, 1.0f, 0}, wide = {2, 31, 1.0f, 0}, none = {2, 0, 1.0f, 0}, less = {-1, 3, 1.0f, 0};
    EXPECT_BAD_ARGUMENT(call(nullptr, x.data(), 4096), "shape is null");
    EXPECT_BAD_ARGUMENT(call(&wide, x.data(), 4096), "got 2 and 31");
    EXPECT_BAD_ARGUMENT(call(&none, x.data(), 4096), "got 2 and 0");
    EXPECT_BAD_ARGUMENT(call(&less, x.data(), 4096), "got -1 and 3");
    EXPECT_BAD_ARGUMENT(call(&s, nullptr, 4096), "null");
    EXPECT_BAD_ARGUMENT(call(&s, x.data(), 8), "the workspace has 8 bytes");
    for (const float temperature :
         {0.0f, -1.0f, 1e-40f, std::nanf(""), std::numeric_limits<float>::infinity()}) {
        const Shape t = {2, 3, temperature, 0};
        EXPECT_BAD_ARGUMENT(call(&t, x.data(), 4096), "temperature must be positive");
    }
    EXPECT_BAD_ARGUMENT(
        kernels().lookup_free_quantize_backward(&s, x.data(), nullptr, nullptr, nullptr, nullptr, nullptr,
                                                nullptr, x.data(), stream()),
        "bit_log_odds");
    EXPECT_BAD_ARGUMENT(kernels().lookup_free_quantize_decode(&s, nullptr, x.data(), stream()),
                        "codes and q");
}

}  // namespace
}  // namespace jlatent::test
