// causal_attention against fp64 references, written straight from the formulas of causal_attention.h, and what it must not see.
#include "case_table.h"

namespace jlatent::test {
namespace {

using Doubles = std::vector<double>;
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN(),
                kInfinity = std::numeric_limits<float>::infinity();

struct Case {
    int64_t batch, positions, heads, dims;

    jl_causal_attention shape() const { return {batch, positions, heads, dims}; }
    size_t rows() const { return static_cast<size_t>(batch * heads * positions); }
    size_t outputs() const { return rows() * static_cast<size_t>(dims); }
    // Where number d of position i is: of queries, keys or values (part 0 to 2), and of out.
    size_t in(int64_t n, int64_t i, int64_t part, int64_t h, int64_t d) const {
        return static_cast<size_t>((((n * positions + i) * 3 + part) * heads + h) * dims + d);
    }
    size_t out(int64_t n, int64_t i, int64_t h, int64_t d) const {
        return static_cast<size_t>(((n * positions + i) * heads + h) * dims + d);
    }
    size_t row(int64_t n, int64_t h, int64_t i) const {
        return static_cast<size_t>((n * heads + h) * positions + i);
    }
    template <class F>
    void each_head(F f) const {
        for (int64_t n = 0; n < batch; ++n)
            for (int64_t h = 0; h < heads; ++h) f(n, h);
    }
};

// Row i of a head's probabilities, for j <= i; *log_sum may be null.
Doubles probabilities(const Case& c, const Doubles& qkv, int64_t n, int64_t h, int64_t i, double* log_sum) {
    Doubles p(static_cast<size_t>(i + 1));
    for (int64_t j = 0; j <= i; ++j)
        for (int64_t d = 0; d < c.dims; ++d)
            p[static_cast<size_t>(j)] +=
                qkv[c.in(n, i, 0, h, d)] * qkv[c.in(n, j, 1, h, d)] / std::sqrt(static_cast<double>(c.dims));
    const double most = *std::max_element(p.begin(), p.end());
    double sum = 0.0;
    for (double& s : p) sum += s = std::exp(s - most);
    for (double& s : p) s /= sum;
    if (log_sum != nullptr) *log_sum = most + std::log(sum);
    return p;
}

struct Forward {
    Doubles out, log_sums;
};

Forward forward(const Case& c, const Doubles& qkv) {
    Forward r = {Doubles(c.outputs()), Doubles(c.rows())};
    c.each_head([&](int64_t n, int64_t h) {
        for (int64_t i = 0; i < c.positions; ++i) {
            const Doubles p = probabilities(c, qkv, n, h, i, &r.log_sums[c.row(n, h, i)]);
            for (int64_t j = 0; j <= i; ++j)
                for (int64_t d = 0; d < c.dims; ++d)
                    r.out[c.out(n, i, h, d)] += p[static_cast<size_t>(j)] * qkv[c.in(n, j, 2, h, d)];
        }
    });
    return r;
}

Doubles backward(const Case& c, const Doubles& qkv, const Doubles& d_out) {
    const Doubles out = forward(c, qkv).out;
    Doubles g(qkv.size());
    const double scale = 1.0 / std::sqrt(static_cast<double>(c.dims));
    c.each_head([&](int64_t n, int64_t h) {
        for (int64_t i = 0; i < c.positions; ++i) {
            const Doubles p = probabilities(c, qkv, n, h, i, nullptr);
            for (int64_t j = 0; j <= i; ++j) {
                double d_s = 0.0;
                for (int64_t d = 0; d < c.dims; ++d)
                    d_s += d_out[c.out(n, i, h, d)] * (qkv[c.in(n, j, 2, h, d)] - out[c.out(n, i, h, d)]);
                d_s *= p[static_cast<size_t>(j)] * scale;
                for (int64_t d = 0; d < c.dims; ++d) {
                    g[c.in(n, i, 0, h, d)] += d_s * qkv[c.in(n, j, 1, h, d)];
                    g[c.in(n, j, 1, h, d)] += d_s * qkv[c.in(n, i, 0, h, d)];
                    g[c.in(n, j, 2, h, d)] += p[static_cast<size_t>(j)] * d_out[c.out(n, i, h, d)];
                }
            }
        }
    });
    return g;
}

struct Result {
    std::vector<float> out, log_sums, d_qkv;
};

Result run(const Case& c, const std::vector<float>& qkv, const std::vector<float>& d_out) {
    const jl_causal_attention s = c.shape();
    Floats in(qkv, 1), gradient(d_out, 3);
    auto out = Floats::output(c.outputs(), 2), log_sums = Floats::output(c.rows(), 1),
         d_qkv = Floats::output(3 * c.outputs(), 2), alone = Floats::output(c.outputs());
    EXPECT_EQ(kernels().causal_attention_forward(&s, in.data(), out.data(), log_sums.data(), stream()), JL_OK)
        << kernels().last_error();
    EXPECT_EQ(kernels().causal_attention_backward(&s, in.data(), out.data(), log_sums.data(), gradient.data(),
                                                  d_qkv.data(), stream()),
              JL_OK)
        << kernels().last_error();
    return {out.read(), log_sums.read(), d_qkv.read()};
}

class CausalAttentionTest : public testing::TestWithParam<Case> {};

TEST_P(CausalAttentionTest, ForwardAndBackwardEqualTheReference) {
    const Case c = GetParam();
    const auto qkv = random_floats(3 * c.outputs(), -1.5f, 1.5f, 1),
               d_out = random_floats(c.outputs(), -1.0f, 1.0f, 2);
    const Result r = run(c, qkv, d_out);
    const Forward expected = forward(c, doubles(qkv));
    // Scores of up to 2 sqrt(dims), rounded, are what p errs by; d_v adds up n of them.
    const double error = 3e-7 * (4.0 + std::sqrt(static_cast<double>(c.dims)));
    EXPECT_CLOSE(r.out, expected.out, error, error);
    EXPECT_CLOSE(r.log_sums, expected.log_sums, error, error);
    const double sums = error * (2.0 + std::log2(1.0 + static_cast<double>(c.positions)));
    EXPECT_CLOSE(r.d_qkv, backward(c, doubles(qkv), doubles(d_out)), sums, sums);
    // Where no gradient follows.
    const jl_causal_attention s = c.shape();
    Floats in(qkv);
    auto out = Floats::output(c.outputs());
    ASSERT_OK(kernels().causal_attention_forward(&s, in.data(), out.data(), nullptr, stream()));
    EXPECT_EQ(out.read(), r.out);
}

// From some position on all is NaN: not a bit before it changes, nor of what the gradients before it give to each other.
TEST_P(CausalAttentionTest, SeesNothingLater) {
    const Case c = GetParam();
    if (c.positions < 2 || c.outputs() > 20000) return;
    const auto qkv = random_floats(3 * c.outputs(), -1.5f, 1.5f, 1),
               d_out = random_floats(c.outputs(), -1.0f, 1.0f, 2);
    const Result all = run(c, qkv, d_out);
    for (const int64_t from : {int64_t{1}, c.positions / 2, c.positions - 1}) {
        auto spoilt = qkv;
        c.each_head([&](int64_t n, int64_t h) {
            for (int64_t i = from; i < c.positions; ++i)
                for (int64_t d = 0; d < c.dims; ++d)
                    for (int64_t part = 0; part < 3; ++part) spoilt[c.in(n, i, part, h, d)] = kNaN;
        });
        const Result r = run(c, spoilt, d_out);
        c.each_head([&](int64_t n, int64_t h) {
            for (int64_t i = 0; i < c.positions; ++i)
                for (int64_t d = 0; d < c.dims; ++d) {
                    const float out = r.out[c.out(n, i, h, d)];
                    if (i >= from) {
                        EXPECT_TRUE(std::isnan(out)) << "position " << i;
                        continue;
                    }
                    EXPECT_EQ(out, all.out[c.out(n, i, h, d)]) << "position " << i << " of " << from;
                    EXPECT_EQ(r.d_qkv[c.in(n, i, 0, h, d)], all.d_qkv[c.in(n, i, 0, h, d)]) << "query " << i;
                }
        });
    }
}

// What a key and a value get comes from queries after them: NaN in those before changes nothing.
TEST_P(CausalAttentionTest, GradientsOfKeysSeeNothingEarlier) {
    const Case c = GetParam();
    if (c.positions < 2 || c.outputs() > 20000) return;
    const auto qkv = random_floats(3 * c.outputs(), -1.5f, 1.5f, 1),
               d_out = random_floats(c.outputs(), -1.0f, 1.0f, 2);
    const Result all = run(c, qkv, d_out);
    for (const int64_t end : {int64_t{1}, c.positions / 2, c.positions - 1}) {
        auto queries = qkv, gradients = d_out;
        c.each_head([&](int64_t n, int64_t h) {
            for (int64_t i = 0; i < end; ++i)
                for (int64_t d = 0; d < c.dims; ++d)
                    queries[c.in(n, i, 0, h, d)] = gradients[c.out(n, i, h, d)] = kNaN;
        });
        const Result r = run(c, queries, gradients);
        c.each_head([&](int64_t n, int64_t h) {
            for (int64_t i = end; i < c.positions; ++i)
                for (int64_t part = 0; part < 3; ++part)
                    for (int64_t d = 0; d < c.dims; ++d)
                        EXPECT_EQ(r.d_qkv[c.in(n, i, part, h, d)], all.d_qkv[c.in(n, i, part, h, d)])
                            << "part " << part << " of position " << i << ", NaN before " << end;
        });
    }
}

// The kernels equal the reference; this is the reference's own.
TEST_P(CausalAttentionTest, GradientsAreCentralDifferences) {
    const Case c = GetParam();
    if (c.outputs() > 60) return;
    const auto qkv = random_floats(3 * c.outputs(), -1.5f, 1.5f, 1),
               d_out = random_floats(c.outputs(), -1.0f, 1.0f, 2);
    const auto loss = [&](const Doubles& at) {
        const Doubles out = forward(c, at).out;
        double sum = 0.0;
        for (size_t i = 0; i < out.size(); ++i) sum += d_out[i] * out[i];
        return sum;
    };
    const Doubles d = backward(c, doubles(qkv), doubles(d_out));
    EXPECT_CLOSE(std::vector<float>(d.begin(), d.end()), numeric_gradient(loss, doubles(qkv)), 1e-6, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Cases, CausalAttentionTest,
                         testing::Values(Case{1, 1, 1, 1}, Case{2, 7, 1, 1}, Case{2, 3, 2, 5},
                                         Case{3, 7, 2, 16}, Case{1, 33, 3, 5}, Case{2, 33, 1, 64},
                                         Case{1, 65, 2, 1}, Case{1, 131, 2, 16}, Case{1, 70, 1, 128},
                                         Case{1, 49, 2, 33}, Case{5, 16, 3, 4}, Case{1, 257, 1, 7},
                                         Case{0, 4, 2, 3}, Case{2, 0, 2, 3}));

// An image's values do not depend on what else is in the batch.
TEST(CausalAttention, ImagesAndHeadsAreIndependent) {
    const Case both = {2, 37, 3, 6}, one = {1, 37, 1, 6};
    const auto qkv = random_floats(3 * both.outputs(), -2.0f, 2.0f, 1),
               d_out = random_floats(both.outputs(), -1.0f, 1.0f, 2);
    const Result all = run(both, qkv, d_out);
    both.each_head([&](int64_t n, int64_t h) {
        std::vector<float> part(3 * one.outputs()), gradient(one.outputs()), out(one.outputs()),
            d(3 * one.outputs());
        for (int64_t i = 0; i < one.positions; ++i)
            for (int64_t k = 0; k < one.dims; ++k) {
                gradient[one.out(0, i, 0, k)] = d_out[both.out(n, i, h, k)];
                out[one.out(0, i, 0, k)] = all.out[both.out(n, i, h, k)];
                for (int64_t p = 0; p < 3; ++p) {
                    part[one.in(0, i, p, 0, k)] = qkv[both.in(n, i, p, h, k)];
                    d[one.in(0, i, p, 0, k)] = all.d_qkv[both.in(n, i, p, h, k)];
                }
            }
        const Result r = run(one, part, gradient);
        EXPECT_EQ(r.out, out);
        EXPECT_EQ(r.d_qkv, d);
    });
}

// Scores of 10^4 and more: p is where the largest are.
TEST(CausalAttention, LargeScoresDoNotOverflow) {
    const Case c = {1, 40, 1, 1};
    std::vector<float> qkv(3 * c.outputs()), d_out(c.outputs(), 1.0f);
    Doubles expected(c.outputs());
    for (int64_t i = 0; i < c.positions; ++i) {
        qkv[c.in(0, i, 0, 0, 0)] = i % 2 == 0 ? 1e18f : -1e18f;
        qkv[c.in(0, i, 1, 0, 0)] = static_cast<float>(i + 1) * 1e18f;  // s up to 4e37
        qkv[c.in(0, i, 2, 0, 0)] = static_cast<float>(i);
        expected[static_cast<size_t>(i)] =
            i % 2 == 0 ? static_cast<double>(i) : 0.0;  // the last, or the first
    }
    const Result r = run(c, qkv, d_out);
    EXPECT_CLOSE(r.out, expected, 0.0, 0.0);
    for (int64_t i = 0; i < c.positions; ++i) {
        EXPECT_EQ(r.d_qkv[c.in(0, i, 0, 0, 0)], 0.0f);
        EXPECT_EQ(r.d_qkv[c.in(0, i, 1, 0, 0)], 0.0f);
        EXPECT_EQ(r.d_qkv[c.in(0, i, 2, 0, 0)], (i == 0 ? 20.0f : 0.0f) + (i % 2 == 0 ? 1.0f : 0.0f));
    }
}

TEST(CausalAttention, InfinitiesFollowTheHeader) {
    const Case c = {1, 110, 1, 1};  // more than a block of keys
    const auto out = [&](float key_at, float key, float first) {
        std::vector<float> qkv(3 * c.outputs(), 1.0f), d_out(c.outputs(), 0.0f);
        for (int64_t i = 0; i < c.positions; ++i) qkv[c.in(0, i, 2, 0, 0)] = static_cast<float>(i % 2);
        for (int64_t i = 0; i < c.positions && first == -kInfinity; ++i)
            if (i < 108) qkv[c.in(0, i, 1, 0, 0)] = -kInfinity;
        if (key_at >= 0) qkv[c.in(0, static_cast<int64_t>(key_at), 1, 0, 0)] = key;
        return run(c, qkv, d_out).out;
    };
    const auto plain = out(-1, 0, 0), without = out(6, -kInfinity, 0), spoilt = out(6, kInfinity, 0),
               late = out(-1, 0, -kInfinity);
    for (size_t i = 0; i < 110; ++i) {
        const double odd = static_cast<double>((i + 1) / 2);  // values that are 1
        EXPECT_NEAR(plain[i], odd / static_cast<double>(i + 1), 1e-6);
        EXPECT_NEAR(without[i], odd / static_cast<double>(i < 6 ? i + 1 : i), 1e-6) << i;
        EXPECT_EQ(std::isnan(spoilt[i]), i >= 6) << i;
        EXPECT_EQ(std::isnan(late[i]), i < 108) << i;  // nothing but -inf, until there is something
    }
    EXPECT_EQ(late[108], 0.0f);
    EXPECT_EQ(late[109], 0.5f);
}

TEST(CausalAttention, BadArgumentsAreNamed) {
    const jl_causal_attention good = {1, 2, 2, 3};
    Floats qkv(std::vector<float>(36, 0.0f)), d_out(std::vector<float>(12, 0.0f));
    auto out = Floats::output(12), log_sums = Floats::output(4), d_qkv = Floats::output(36);
    const auto forward = [&](jl_causal_attention s) {
        return kernels().causal_attention_forward(&s, qkv.data(), out.data(), log_sums.data(), stream());
    };
    ASSERT_OK(forward(good));
    jl_causal_attention s = good;
    s.batch = -1;
    EXPECT_BAD_ARGUMENT(forward(s), "got -1, 2 and 2");
    s = good, s.positions = -2;
    EXPECT_BAD_ARGUMENT(forward(s), "got 1, -2 and 2");
    s = good, s.heads = 0;
    EXPECT_BAD_ARGUMENT(forward(s), "got 1, 2 and 0");
    for (const int64_t dims : {0, 129}) {
        s = good, s.dims = dims;
        EXPECT_BAD_ARGUMENT(forward(s), "from 1 to 128 dims, got " + std::to_string(dims));
    }
    s = good, s.batch = s.positions = int64_t{1} << 30;
    EXPECT_BAD_ARGUMENT(forward(s), "2^38");
    EXPECT_BAD_ARGUMENT(
        kernels().causal_attention_forward(nullptr, qkv.data(), out.data(), nullptr, stream()), "shape");
    EXPECT_BAD_ARGUMENT(kernels().causal_attention_forward(&good, nullptr, out.data(), nullptr, stream()),
                        "causal_attention_forward: qkv and out must not be null");
    EXPECT_BAD_ARGUMENT(kernels().causal_attention_backward(&good, qkv.data(), out.data(), nullptr,
                                                            d_out.data(), d_qkv.data(), stream()),
                        "causal_attention_backward: an array is null");
}

}  // namespace
}  // namespace jlatent::test
