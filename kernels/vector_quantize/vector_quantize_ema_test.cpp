// Moving averages, revival and usage, against the formulas of vector_quantize.h.
#include "vector_quantize_passes.h"

namespace jlatent::test {
namespace {

// A codebook and its averages.
struct Learned {
    Matrix codebook, counts, sums;
    jl_vector_quantize_ema state;

    Learned(const jl_vector_quantize& s, float decay, float epsilon, float revive)
        : codebook(random_floats(Extents(s).entries(), -1.0f, 1.0f, 2)),
          counts(Extents(s).books() * Extents(s).codes, 0.0f),
          sums(codebook.size(), 0.0f),
          state{decay, epsilon, revive, 0, 0, 0} {}

    // One step. Without sums the codebook is not made of them.
    void step(const jl_vector_quantize& s, const Matrix& x, const std::vector<int32_t>& codes,
              jl_random* random = nullptr, uint32_t site = 0, bool with_sums = true) {
        Rows x_array(s.type, x);
        Integers code_array(codes);
        Floats codebook_array(codebook), count_array(counts), sum_array(sums);
        Array<jl_vector_quantize_ema> state_array(std::vector<jl_vector_quantize_ema>{state});
        Array<jl_random> random_array(std::vector<jl_random>{random == nullptr ? jl_random{} : *random});
        Workspace w(kernels().vector_quantize_workspace(&s));
        ASSERT_OK(kernels().vector_quantize_ema(&s, x_array.data(), code_array.data(), state_array.data(),
                                                random == nullptr ? nullptr : random_array.data(), site,
                                                count_array.data(), with_sums ? sum_array.data() : nullptr,
                                                codebook_array.data(), w.get(), stream()));
        codebook = codebook_array.read();
        counts = count_array.read();
        sums = sum_array.read();
        state = state_array.read()[0];
    }
};

// ---- averages ----

TEST(VectorQuantizeEma, EqualsTheTextbook) {
    for (const jl_vector_quantize& s : {plain(500, 12, 5), jl_vector_quantize{130, 2, 3, 12, 5, JL_F32, 0},
                                        jl_vector_quantize{90, 1, 2, 12, 70, JL_BF16, 0}}) {
        const Extents n(s);
        const float decay = 0.9f;
        const double epsilon = 1e-3f;
        Learned learned(s, decay, 1e-3f, 0.0f);
        const Matrix start = learned.codebook;
        std::vector<double> n_average(learned.counts.size()), m_average(start.size()),
            expected = doubles(start);
        for (int step = 1; step <= 20; ++step) {
            const Matrix x =
                rounded(s.type, random_floats(n.values(), -1.0f, 1.0f, static_cast<uint32_t>(step)));
            std::vector<int32_t> codes(n.rows * n.books());
            for (size_t i = 0; i < codes.size(); ++i) {
                // Code 10 comes late, code 11 never, and some rows do not count.
                const size_t row = i / n.books(), mixed = row * row + i;
                codes[i] = row % 50 == 49 ? -1 : static_cast<int32_t>(mixed % (step < 5 ? 10 : 11));
            }
            const Residuals residuals(s, x, learned.codebook, codes);  // of the codebooks before the step
            std::vector<double> rows(n_average.size()), sums(m_average.size());
            for (size_t i = 0; i < codes.size(); ++i) {
                if (codes[i] < 0) continue;
                const size_t book = i % n.books(), k = book * n.codes + static_cast<size_t>(codes[i]);
                rows[k] += 1.0;
                for (size_t d = 0; d < n.dims; ++d)
                    sums[k * n.dims + d] += residuals.r[book % n.stages][i / n.stages * n.dims + d];
            }
            ASSERT_NO_FATAL_FAILURE(learned.step(s, x, codes));
            // Averages from zero, divided by 1 - decay^t, Laplace smoothing.
            const double debias = 1.0 - std::pow(static_cast<double>(decay), step);
            for (size_t k = 0; k < rows.size(); ++k)
                n_average[k] = decay * n_average[k] + (1.0 - decay) * rows[k];
            for (size_t i = 0; i < sums.size(); ++i) {
                const size_t k = i / n.dims, book = k / n.codes * n.codes;
                double total = 0.0;
                for (size_t other = book; other < book + n.codes; ++other) total += n_average[other] / debias;
                const double size = (n_average[k] / debias + epsilon) / (total + 12 * epsilon) * total;
                m_average[i] = decay * m_average[i] + (1.0 - decay) * sums[i];
                if (n_average[k] > 0.0) expected[i] = m_average[i] / debias / size;
            }
            EXPECT_CLOSE(learned.codebook, expected, 1e-6, 1e-6);
        }
        EXPECT_EQ(learned.state.step, 20u);
        EXPECT_EQ(learned.state.revived, 0u);
        EXPECT_CLOSE(learned.counts, n_average, 1e-6, 0.0);
        for (size_t b = 0; b < n.books(); ++b)  // a code without a row keeps its entry
            EXPECT_EQ(learned.codebook[(b * 12 + 11) * n.dims], start[(b * 12 + 11) * n.dims]);
    }
}

// ---- revival ----

struct RevivalCase {
    const char* name;
    jl_vector_quantize s;
    int32_t used;  // codes that rows have
    float revive;
    int absent;  // every such row does not count; 0: all do
    bool with_sums, with_random;
};

class VectorQuantizeRevivalTest : public testing::TestWithParam<RevivalCase> {};

// One step with revival against the same step without, and the rule of vector_quantize.h.
TEST_P(VectorQuantizeRevivalTest, FollowsTheRule) {
    const RevivalCase c = GetParam();
    const Extents n(c.s);
    const uint32_t site = 5;
    const Matrix x = rounded(c.s.type, random_floats(n.values(), -1.0f, 1.0f, 9));
    std::vector<int32_t> codes(n.rows * n.books());
    for (size_t i = 0; i < codes.size(); ++i) {
        const int row = static_cast<int>(i / n.books());
        // Low codes have the most rows.
        const int32_t code = static_cast<int32_t>(i * i * 7 % 31) % c.used * (static_cast<int32_t>(i) % 2);
        codes[i] = c.absent != 0 && row % c.absent == 0 ? -1 : code;
    }
    Learned without(c.s, 0.75f, 1e-5f, 0.0f), with(c.s, 0.75f, 1e-5f, c.revive);
    const Residuals residuals(c.s, x, without.codebook, codes);
    jl_random random = {77, 3, 0};
    ASSERT_NO_FATAL_FAILURE(without.step(c.s, x, codes, &random, site, c.with_sums));
    ASSERT_NO_FATAL_FAILURE(with.step(c.s, x, codes, c.with_random ? &random : nullptr, site, c.with_sums));

    Array<jl_random> random_array(std::vector<jl_random>{random});
    auto bits = Array<uint32_t>::output(4 * n.books());
    ASSERT_OK(kernels().random_bits(bits.data(), static_cast<int64_t>(bits.size()), random_array.data(), site,
                                    stream()));
    Learned expected = without;
    for (size_t book = 0; book < n.books(); ++book) {
        const uint64_t u = c.with_random ? bits.read()[4 * book] : uint64_t{1} << 31;
        double total = 0.0;
        for (size_t k = 0; k < n.codes; ++k) total += without.counts[book * n.codes + k];
        std::vector<size_t> dead, order;
        for (size_t k = 0; k < n.codes; ++k) {
            if (without.counts[book * n.codes + k] < c.revive * total / static_cast<double>(n.codes))
                dead.push_back(k);
            for (size_t row = 0; row < n.rows; ++row)
                if (codes[row * n.books() + book] == static_cast<int32_t>(k)) order.push_back(row);
        }
        const size_t pairs = std::min(dead.size(), order.size());
        const auto drawn = [&](size_t j, size_t count) {
            return static_cast<size_t>(static_cast<unsigned __int128>((static_cast<uint64_t>(j) << 32) + u) *
                                       count / (static_cast<unsigned __int128>(pairs) << 32));
        };
        std::vector<size_t> taken;
        for (size_t j = 0; j < pairs; ++j) {
            const size_t k = book * n.codes + dead[drawn(j, dead.size())],
                         row = order[drawn(j, order.size())];
            taken.push_back(row);
            expected.counts[k] = static_cast<float>(total / static_cast<double>(n.codes));
            for (size_t d = 0; d < n.dims; ++d) {
                const float r = residuals.r[book % n.stages][(row * n.heads + book / n.stages) * n.dims + d];
                expected.codebook[k * n.dims + d] = r;
                if (c.with_sums) expected.sums[k * n.dims + d] = expected.counts[k] * r;
            }
        }
        std::sort(taken.begin(), taken.end());
        EXPECT_EQ(std::adjacent_find(taken.begin(), taken.end()), taken.end()) << "a row is taken twice";
        expected.state.revived += static_cast<uint32_t>(pairs);
    }
    EXPECT_EQ(with.codebook, expected.codebook);
    EXPECT_EQ(with.counts, expected.counts);
    EXPECT_EQ(with.sums, expected.sums);
    EXPECT_EQ(with.state.revived, expected.state.revived);
    EXPECT_EQ(with.state.step, 1u);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, VectorQuantizeRevivalTest,
    testing::Values(RevivalCase{"few_dead", plain(200, 16, 5), 12, 0.1f, 0, true, true},
                    RevivalCase{"unpopular", plain(200, 16, 5), 16, 1.0f, 0, true, true},
                    RevivalCase{"most_dead", plain(300, 90, 3), 7, 0.5f, 9, true, true},
                    RevivalCase{"all_dead_but_one", plain(300, 40, 3), 1, 0.5f, 0, true, true},
                    RevivalCase{"more_dead_than_rows", plain(11, 60, 4), 4, 0.5f, 3, true, true},
                    RevivalCase{"one_row", plain(1, 20, 4), 1, 0.5f, 0, true, true},
                    RevivalCase{"no_row_counts", plain(20, 8, 4), 4, 0.5f, 1, true, true},
                    RevivalCase{"no_rows", plain(0, 8, 4), 4, 0.5f, 0, true, true},
                    RevivalCase{"none_dead", plain(200, 4, 5), 2, 1e-3f, 0, true, true},
                    RevivalCase{"by_gradient", plain(200, 16, 5), 9, 0.3f, 7, false, true},
                    RevivalCase{"no_random", plain(200, 16, 5), 9, 0.3f, 7, true, false},
                    RevivalCase{"books", {150, 2, 3, 20, 70, JL_F32, 0}, 9, 0.4f, 7, true, true},
                    RevivalCase{"books_bf16", {150, 2, 2, 20, 9, JL_BF16, 0}, 9, 0.4f, 0, false, true}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(VectorQuantizeEma, MuchUsedCodesAreDividedInProportion) {
    // 900 rows lie at code 0, 100 at code 1; ten codes have none.
    const jl_vector_quantize s = plain(1000, 12, 2);
    Matrix x(2000);
    std::vector<int32_t> codes(1000);
    for (size_t row = 0; row < 1000; ++row) {
        codes[row] = row % 10 == 3 ? 1 : 0;
        x[2 * row] = static_cast<float>(codes[row]);
        x[2 * row + 1] = static_cast<float>(row);
    }
    for (uint32_t step = 0; step < 5; ++step) {
        Learned learned(s, 0.9f, 1e-5f, 0.01f);
        jl_random random = {1, step, 0};
        ASSERT_NO_FATAL_FAILURE(learned.step(s, x, codes, &random));
        EXPECT_EQ(learned.state.revived, 10u);
        float of_one = 0.0f;
        for (size_t k = 2; k < 12; ++k) of_one += learned.codebook[2 * k];
        EXPECT_EQ(of_one, 1.0f);  // one of ten
    }
}

TEST(VectorQuantizeEma, RevivalDrawsAnewWithEveryStep) {
    const jl_vector_quantize s = plain(500, 10, 1);
    const Matrix x = random_floats(500, -1.0f, 1.0f);
    const std::vector<int32_t> codes(500, 0);
    const auto revived = [&](uint64_t seed, uint32_t step, uint32_t site) {
        Learned learned(s, 0.9f, 1e-5f, 0.01f);
        jl_random random = {seed, step, 0};
        learned.step(s, x, codes, &random, site);
        return learned.codebook;
    };
    EXPECT_EQ(revived(1, 2, 3), revived(1, 2, 3));
    EXPECT_NE(revived(1, 2, 3), revived(2, 2, 3));
    EXPECT_NE(revived(1, 2, 3), revived(1, 3, 3));
    EXPECT_NE(revived(1, 2, 3), revived(1, 2, 4));
}

TEST(VectorQuantizeEma, RevivedEntriesStayWhereTheyBegan) {
    // Their averages begin anew too: steps in which they have no row leave them there, and alive.
    const jl_vector_quantize s = plain(100, 8, 3);
    const Matrix x = random_floats(300, -1.0f, 1.0f);
    const std::vector<int32_t> codes(100, 3);
    Learned learned(s, 0.9f, 1e-5f, 0.1f);
    ASSERT_NO_FATAL_FAILURE(learned.step(s, x, codes));
    EXPECT_EQ(learned.state.revived, 7u);
    const Matrix begun = learned.codebook;
    for (int step = 0; step < 3; ++step) {
        ASSERT_NO_FATAL_FAILURE(learned.step(s, x, codes));
        EXPECT_CLOSE(learned.codebook, doubles(begun), 1e-4, 1e-6);
    }
    EXPECT_EQ(learned.state.revived, 7u);
    // A row at such an entry moves it by the rate of the averages.
    const size_t k = 0;
    std::vector<int32_t> moved = codes;
    moved[50] = static_cast<int32_t>(k);
    const float count = learned.counts[k];
    ASSERT_NO_FATAL_FAILURE(learned.step(s, x, moved));
    std::vector<double> expected;
    for (size_t d = 0; d < 3; ++d)
        expected.push_back((0.9 * count * begun[k * 3 + d] + 0.1 * x[150 + d]) / (0.9 * count + 0.1));
    EXPECT_CLOSE(Matrix(learned.codebook.begin(), learned.codebook.begin() + 3), expected, 1e-4, 1e-5);
}

TEST(VectorQuantizeEma, WithoutSumsOnlyCountsMove) {
    const jl_vector_quantize s = {100, 2, 2, 6, 3, JL_F32, 0};
    const Matrix x = random_floats(600, -1.0f, 1.0f);
    Learned learned(s, 0.9f, 1e-5f, 0.0f);
    const Matrix start = learned.codebook;
    ASSERT_NO_FATAL_FAILURE(learned.step(s, x, std::vector<int32_t>(400, 2), nullptr, 0, false));
    EXPECT_EQ(learned.codebook, start);
    for (size_t i = 0; i < 24; ++i) EXPECT_NEAR(learned.counts[i], i % 6 == 2 ? 10.0f : 0.0f, 1e-5f);
}

// ---- usage ----

TEST(VectorQuantizeUsage, IsCounted) {
    Integers histogram(std::vector<int32_t>{4, 0, 4, 8, 0}), none(std::vector<int32_t>(5, 0)),
        many(std::vector<int32_t>(5, std::numeric_limits<int32_t>::max())),
        seen(std::vector<int32_t>{0, 0, 0, 8, 0});
    auto statistics = Floats::output(3);
    const auto run = [&](Integers& h) {
        return kernels().vector_quantize_usage(1, 5, h.data(), seen.data(), statistics.data(), stream());
    };
    ASSERT_OK(run(histogram));
    const double batch = std::pow(4.0, 0.25) * std::pow(4.0, 0.25) * std::pow(2.0, 0.5);
    const double all = std::pow(6.0, 1.0 / 6) * std::pow(6.0, 1.0 / 6) * std::pow(1.5, 2.0 / 3);
    EXPECT_CLOSE(statistics.read(), (std::vector<double>{batch, all, 0.6}), 1e-6, 0.0);
    EXPECT_EQ(seen.read(), (std::vector<int32_t>{4, 0, 4, 16, 0}));
    ASSERT_OK(run(none));
    EXPECT_CLOSE(statistics.read(), (std::vector<double>{0.0, all, 0.6}), 1e-6, 0.0);
    ASSERT_OK(run(many));  // does not wrap
    EXPECT_CLOSE(statistics.read(), (std::vector<double>{5.0, 5.0, 1.0}), 1e-6, 0.0);
    EXPECT_EQ(seen.read(), std::vector<int32_t>(5, std::numeric_limits<int32_t>::max()));
}

TEST(VectorQuantizeUsage, EveryBookHasItsOwn) {
    Integers histogram(std::vector<int32_t>{3, 3, 0, 0, 0, 9}), seen(std::vector<int32_t>{0, 0, 6, 0, 0, 1});
    auto statistics = Floats::output(6);
    ASSERT_OK(
        kernels().vector_quantize_usage(2, 3, histogram.data(), seen.data(), statistics.data(), stream()));
    const double all = std::pow(4.0, 0.5) * std::pow(2.0, 0.5);
    EXPECT_CLOSE(statistics.read(), (std::vector<double>{2.0, all, 1.0, 1.0, 1.0, 1.0 / 3}), 1e-6, 0.0);
    EXPECT_EQ(seen.read(), (std::vector<int32_t>{3, 3, 6, 0, 0, 10}));
}

}  // namespace
}  // namespace jlatent::test
