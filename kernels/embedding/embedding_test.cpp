// embedding against loops written straight from the formulas of embedding.h.
#include "case_table.h"

namespace jlatent::test {
namespace {

using Codes = Array<int32_t>;

std::vector<int32_t> random_codes(size_t count, int64_t rows, uint32_t seed) {
    std::mt19937 engine(seed);
    std::uniform_int_distribution<int32_t> uniform(0, static_cast<int32_t>(rows) - 1);
    std::vector<int32_t> codes(count);
    for (int32_t& c : codes) c = uniform(engine);
    return codes;
}

struct Case {
    jl_embedding s;
    int64_t used;  // codes drawn from [0, used): fewer than rows leave rows without any
    size_t shift;
};

class EmbeddingTest : public testing::TestWithParam<Case> {};

TEST_P(EmbeddingTest, ForwardAndBackwardEqualTheReference) {
    const auto [s, used, shift] = GetParam();
    const size_t count = static_cast<size_t>(s.count), rows = static_cast<size_t>(s.rows),
                 dims = static_cast<size_t>(s.dims);
    const auto table = random_floats(rows * dims, -1.0f, 1.0f),
               dy = random_floats(count * dims, -1.0f, 1.0f, 2);
    const auto codes = random_codes(count, used, 3);
    Floats table_array(table, shift), dy_array(dy, shift);
    Codes code_array(codes, 1);
    auto out = Floats::output(count * dims, shift), d_table = Floats::output(rows * dims, shift);
    auto wrong = Array<uint32_t>(std::vector<uint32_t>{5});
    Workspace w(kernels().embedding_workspace(&s));
    std::vector<float> expected(count * dims);
    std::vector<double> gradient(rows * dims, 0.0);
    for (size_t i = 0; i < count * dims; ++i) {
        const size_t at = static_cast<size_t>(codes[i / dims]) * dims + i % dims;
        expected[i] = table[at];
        gradient[at] += dy[i];
    }
    ASSERT_OK(kernels().embedding_forward(&s, table_array.data(), code_array.data(), out.data(), wrong.data(),
                                          stream()));
    EXPECT_EQ(out.read(), expected);
    EXPECT_EQ(wrong.read()[0], 5u);
    std::vector<float> first;
    for (int repeat = 0; repeat < 2; ++repeat) {  // the workspace is ready again; the bits are the same
        ASSERT_OK(kernels().embedding_backward(&s, code_array.data(), dy_array.data(), d_table.data(),
                                               w.get(), stream()));
        const std::vector<float> sums = d_table.read();
        const double most = static_cast<double>(s.count) / static_cast<double>(used);
        EXPECT_CLOSE(sums, gradient, 1e-6, 1e-7 + 4e-7 * std::sqrt(most));
        if (repeat == 1) {
            EXPECT_EQ(sums, first);
        }
        first = sums;
    }
}

INSTANTIATE_TEST_SUITE_P(Cases, EmbeddingTest,
                         testing::Values(Case{{1, 1, 1}, 1, 0}, Case{{0, 3, 2}, 3, 0}, Case{{5, 3, 0}, 3, 0},
                                         Case{{7, 5, 3}, 5, 1}, Case{{64, 8, 4}, 8, 0},
                                         Case{{127, 1, 5}, 1, 0}, Case{{128, 1, 5}, 1, 0},
                                         Case{{129, 2, 5}, 1, 0}, Case{{1000, 3, 33}, 2, 0},
                                         Case{{1025, 300, 64}, 300, 0}, Case{{2500, 512, 7}, 512, 2},
                                         Case{{20, 9000, 3}, 9000, 0}, Case{{40000, 257, 2}, 9, 0},
                                         Case{{300, 256, 40}, 256, 0}, Case{{2049, 255, 1}, 255, 0}));

// The order of the sum is part of the contract: chunks of 128 positions in order, then their sums in order.
TEST(Embedding, SumsInTheDocumentedOrder) {
    const jl_embedding s = {5000, 7, 3};
    const auto codes = random_codes(5000, 7, 8);
    const auto dy = random_floats(15000, -1.0f, 1.0f, 4);
    Codes code_array(codes);
    Floats dy_array(dy);
    auto d_table = Floats::output(21);
    Workspace w(kernels().embedding_workspace(&s));
    ASSERT_OK(kernels().embedding_backward(&s, code_array.data(), dy_array.data(), d_table.data(), w.get(),
                                           stream()));
    std::vector<float> expected(21);
    for (int32_t k = 0; k < 7; ++k)
        for (size_t d = 0; d < 3; ++d) {
            float total = 0.0f, chunk = 0.0f;
            size_t seen = 0;
            for (size_t n = 0; n < codes.size(); ++n) {
                if (codes[n] != k) continue;
                chunk += dy[3 * n + d];
                if (++seen % 128 == 0) total = seen == 128 ? chunk : total + chunk, chunk = 0.0f;
            }
            if (seen % 128 != 0) total = seen < 128 ? chunk : total + chunk;
            expected[3 * static_cast<size_t>(k) + d] = total;
        }
    EXPECT_EQ(d_table.read(), expected);
}

TEST(Embedding, CodesOutOfRangeAreRefusedOrMarked) {
    const jl_embedding s = {6, 4, 2};
    Floats table(std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7}), dy(std::vector<float>(12, 1.0f));
    Codes codes(std::vector<int32_t>{3, 4, 0, -1, std::numeric_limits<int32_t>::max(), 3});
    auto out = Floats::output(12), d_table = Floats::output(8);
    Array<uint32_t> wrong(std::vector<uint32_t>{1});
    Workspace w(kernels().embedding_workspace(&s));
    const auto forward = [&](uint32_t* counter) {
        return kernels().embedding_forward(&s, table.data(), codes.data(), out.data(), counter, stream());
    };
    const auto backward = [&] {
        return kernels().embedding_backward(&s, codes.data(), dy.data(), d_table.data(), w.get(), stream());
    };
    if (std::string(kernels().name).rfind("cpu", 0) == 0) {
        EXPECT_BAD_ARGUMENT(forward(wrong.data()), "codes[1] is 4, but the table has 4 rows");
        EXPECT_BAD_ARGUMENT(backward(), "codes[1] is 4, but the table has 4 rows");
        return;
    }
    ASSERT_OK(forward(wrong.data()));
    EXPECT_EQ(wrong.read()[0], 1u + 3u);
    ASSERT_OK(forward(nullptr));
    const auto values = out.read();
    const std::vector<float> whole = {6, 7, 0, 1, 6, 7};  // rows 0, 2 and 5
    const size_t at[] = {0, 1, 4, 5, 10, 11}, bad[] = {2, 3, 6, 7, 8, 9};
    for (size_t i = 0; i < 6; ++i) EXPECT_EQ(values[at[i]], whole[i]);
    for (const size_t i : bad) EXPECT_TRUE(std::isnan(values[i])) << i;
    ASSERT_OK(backward());
    EXPECT_EQ(d_table.read(), (std::vector<float>{1, 1, 0, 0, 0, 0, 2, 2}));
}

TEST(Embedding, BadArgumentsAreNamed) {
    Floats x(std::vector<float>(4, 0.0f));
    Codes codes(std::vector<int32_t>{0, 1});
    Workspace w(4096);
    const jl_embedding s = {2, 2, 2}, negative = {-1, 2, 2}, empty = {2, 0, 2};
    EXPECT_BAD_ARGUMENT(
        kernels().embedding_forward(&negative, x.data(), codes.data(), x.data(), nullptr, stream()), "-1, 2");
    EXPECT_BAD_ARGUMENT(
        kernels().embedding_forward(&empty, x.data(), codes.data(), x.data(), nullptr, stream()), "got 2, 0");
    const jl_embedding wide = {2, 2, (1 << 20) + 1}, huge = {1 << 20, 2, 1 << 20};
    EXPECT_BAD_ARGUMENT(
        kernels().embedding_forward(&wide, x.data(), codes.data(), x.data(), nullptr, stream()), "2^20");
    EXPECT_BAD_ARGUMENT(
        kernels().embedding_backward(&huge, codes.data(), x.data(), x.data(), w.get(), stream()),
        "1048576 codes");
    EXPECT_BAD_ARGUMENT(kernels().embedding_forward(&s, nullptr, codes.data(), x.data(), nullptr, stream()),
                        "table is null");
    EXPECT_BAD_ARGUMENT(kernels().embedding_backward(&s, nullptr, x.data(), x.data(), w.get(), stream()),
                        "null");
    EXPECT_BAD_ARGUMENT(
        kernels().embedding_backward(&s, codes.data(), x.data(), x.data(), {w.get().data, 8}, stream()),
        "8 bytes");
}

}  // namespace
}  // namespace jlatent::test
