// vector_quantize against the formulas of vector_quantize.h in fp64, and codes against exact arithmetic.
#include "vector_quantize_passes.h"

namespace jlatent::test {
namespace {

// ---- codes ----

class VectorQuantizeTest : public testing::TestWithParam<Case> {};

TEST_P(VectorQuantizeTest, CodesAreExactAndOutputsFollow) {
    Case c = GetParam();
    if (std::string(kernels().name) == "emulated")  // slow: fewer rows
        c.s.rows = std::min(c.s.rows, std::max<int64_t>(4, 8000 / c.s.codes));
    Matrix x, codebook;
    make(c, &x, &codebook);
    Forward f;
    ASSERT_NO_FATAL_FAILURE(forward(c.s, x, codebook, nullptr, 0.25f, c.shift, &f));
    ASSERT_NO_FATAL_FAILURE(check_codes(c.s, x, codebook, nullptr, f.codes));
    check_outputs(c.s, x, codebook, 0.25f, f);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, VectorQuantizeTest,
    testing::Values(Case{"one", kRandom, plain(1, 1, 1), 1, 1, 0},
                    Case{"no_rows", kRandom, plain(0, 5, 3), 1, 1, 0},
                    Case{"one_code", kRandom, plain(50, 1, 7), 1, 1, 1},
                    Case{"two_codes", kRandom, plain(50, 2, 1), 1, 1, 1},
                    Case{"small", kRandom, plain(13, 33, 5), 1, 1, 1},
                    Case{"primes", kRandom, plain(101, 67, 31), 1, 1, 3},
                    Case{"random", kRandom, plain(300, 128, 64), 1, 1, 0},
                    Case{"long_rows", kRandom, plain(40, 50, 513), 1, 1, 0},
                    Case{"two_chunks", kRandom, plain(140, 150, 100), 1, 1, 0},
                    Case{"four_chunks", kClustered, plain(140, 150, 250), 1, 1, 0},
                    Case{"many_chunks", kRandom, plain(140, 150, 330), 1, 1, 0},
                    Case{"clustered", kClustered, plain(200, 64, 16), 1, 1, 0},
                    Case{"near_tied", kNearTied, plain(60, 40, 8), 1, 1, 0},
                    Case{"near_tied_long", kNearTied, plain(20, 33, 129), 1, 1, 0},
                    Case{"periodic", kPeriodic, plain(150, 192, 16), 1, 1, 0},
                    Case{"lattice", kLattice, plain(200, 60, 3), 1, 1, 0},
                    Case{"lattice_one", kLattice, plain(200, 60, 1), 1, 1, 0},
                    Case{"lattice_tiny", kLattice, plain(100, 60, 2), 1e-38f, 1e-38f, 0},
                    Case{"lattice_huge", kLattice, plain(100, 60, 2), 1.5e38f, 1.5e38f, 0},
                    Case{"duplicated", kDuplicated, plain(150, 100, 12), 1, 1, 0},
                    Case{"normalised", kNormalised, plain(200, 150, 32), 1, 1, 0},
                    Case{"tiny_rows_normalised", kNormalised, plain(30, 50, 16), 1e-20f, 1, 0},
                    Case{"initial", kInitial, plain(200, 256, 16), 1, 1, 0},
                    Case{"zero", kZero, plain(20, 40, 4), 1, 1, 0},
                    Case{"outlier", kOutlier, plain(200, 64, 16), 1, 1, 0},
                    Case{"hidden", kHidden, plain(60, 30, 6), 1, 1, 0},
                    Case{"hidden_small", kHidden, plain(60, 30, 6), 1e-15f, 1e-15f, 0},
                    Case{"rotated", kRotated, plain(40, 20, 37), 1, 1, 0},
                    Case{"tiny", kRandom, plain(100, 64, 8), 1e-20f, 1e-20f, 0},
                    Case{"huge", kRandom, plain(100, 64, 8), 1e15f, 1e15f, 0},
                    Case{"tiny_codes", kRandom, plain(100, 64, 8), 1, 1e-20f, 0},
                    Case{"tiny_rows", kRandom, plain(100, 64, 8), 1e-20f, 1, 0},
                    Case{"huge_codes", kRandom, plain(100, 64, 8), 1, 1e15f, 0},
                    Case{"huge_rows", kRandom, plain(100, 64, 8), 1e15f, 1, 0},
                    Case{"apart", kRandom, plain(50, 64, 8), 1e15f, 1e-20f, 0},
                    Case{"apart_2", kRandom, plain(50, 64, 8), 1e-20f, 1e15f, 0},
                    Case{"denormal", kRandom, plain(50, 64, 8), 1e-40f, 1e-40f, 0},
                    Case{"overflowing", kRandom, plain(50, 64, 8), 1e37f, 1e-37f, 0},
                    Case{"vanishing_rows", kRandom, plain(100, 64, 40), 1e-38f, 1, 0},
                    Case{"pairs", kPairs, plain(300, 96, 45), 1, 1, 0},
                    Case{"pairs_tiny", kPairs, plain(200, 150, 33), 1e-37f, 1e-37f, 0},
                    Case{"pairs_huge", kPairs, plain(200, 150, 70), 1e30f, 1e30f, 0},
                    Case{"offset", kOffset, plain(250, 170, 33), 1, 1, 0},
                    Case{"many_codes", kRandom, plain(150, 9000, 33), 1, 1, 0},
                    Case{"very_many_codes", kPairs, plain(60, 20001, 9), 1, 1, 0},
                    Case{"pairs_large", kPairs, plain(1500, 1100, 64), 1, 1, 0},
                    Case{"initial_large", kInitial, plain(500, 16384, 16), 1, 1, 0},
                    Case{"random_large", kRandom, plain(3000, 512, 64), 1, 1, 0},
                    Case{"clustered_large", kClustered, plain(2500, 1024, 32), 1, 1, 0}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(VectorQuantize, RowsThatDoNotCountHaveNoPart) {
    const jl_vector_quantize s = plain(70, 20, 6);
    Matrix x = random_floats(420, -1.0f, 1.0f), mask(70, 1.0f);
    const Matrix codebook = random_floats(120, -1.0f, 1.0f, 2);
    for (const size_t n : {0, 13, 14, 69}) mask[n] = 0.0f, x[n * 6 + 2] = NAN;
    Forward f;
    ASSERT_NO_FATAL_FAILURE(forward(s, x, codebook, &mask, 0.5f, 0, &f));
    for (size_t n = 0; n < 70; ++n)
        EXPECT_EQ(f.codes[n], mask[n] == 0.0f ? -1 : nearest(&x[n * 6], codebook, 20, 6)) << n;
    EXPECT_EQ(f.valid, 66);
    check_outputs(s, x, codebook, 0.5f, f);

    const Matrix none(70, 0.0f);
    ASSERT_NO_FATAL_FAILURE(forward(s, x, codebook, &none, 0.5f, 0, &f));
    EXPECT_EQ(f.codes, std::vector<int32_t>(70, -1));
    EXPECT_EQ(f.codebook_loss, 0.0f);
    check_outputs(s, x, codebook, 0.5f, f);
}

TEST(VectorQuantize, WhatIsNotFiniteIsRefusedOrMarked) {
    const jl_vector_quantize s = plain(40, 9, 5);
    const Matrix good = random_floats(200, -1.0f, 1.0f), good_book = random_floats(45, -1.0f, 1.0f, 2);
    Matrix x = good, book = good_book;
    x[17 * 5 + 3] = INFINITY;
    x[31 * 5] = NAN;
    book[4 * 5 + 4] = NAN;
    auto codes = Integers::output(40);
    auto q = Floats::output(200);
    Array<uint32_t> invalid(std::vector<uint32_t>{1});
    Workspace w(kernels().vector_quantize_workspace(&s));
    const auto run = [&](const Matrix& rows, const Matrix& codebook) {
        Floats x_array(rows), codebook_array(codebook);
        return kernels().vector_quantize_forward(&s, x_array.data(), codebook_array.data(), nullptr, nullptr,
                                                 codes.data(), q.data(), nullptr, nullptr, nullptr, nullptr,
                                                 nullptr, invalid.data(), w.get(), stream());
    };
    if (std::string(kernels().name).rfind("cpu", 0) == 0) {
        EXPECT_BAD_ARGUMENT(run(x, good_book), "row 17 of x is not finite");
        EXPECT_BAD_ARGUMENT(run(good, book), "codebook[4] is not finite");
    } else {
        ASSERT_OK(run(x, good_book));
        EXPECT_EQ(invalid.read()[0], 1u + 2u);
        for (size_t n = 0; n < 40; ++n) {
            const bool bad = n == 17 || n == 31;
            EXPECT_EQ(codes.read()[n], bad ? -1 : nearest(&x[n * 5], good_book, 9, 5));
            EXPECT_EQ(std::isnan(q.read()[n * 5]), bad);
        }
        ASSERT_OK(run(good, book));
        EXPECT_EQ(invalid.read()[0], 3u + 40u);
        EXPECT_EQ(codes.read(), std::vector<int32_t>(40, -1));
    }
    ASSERT_OK(run(good, good_book));  // and works again
    EXPECT_EQ(codes.read()[39], nearest(&good[39 * 5], good_book, 9, 5));
}

// ---- gradients ----

TEST(VectorQuantize, GradientsEqualTheFormulasAndDifferences) {
    const jl_vector_quantize s = plain(333, 17, 9);
    const Matrix x = random_floats(333 * 9, -1.0f, 1.0f), codebook = random_floats(17 * 9, -1.0f, 1.0f, 2),
                 d_q = random_floats(333 * 9, -1.0f, 1.0f, 3);
    Matrix mask(333, 1.0f);
    mask[5] = mask[100] = 0.0f;
    const float beta = 0.25f, of_codebook = 3.0f, of_commitment = 2.0f;
    Forward f;
    ASSERT_NO_FATAL_FAILURE(forward(s, x, codebook, &mask, beta, 0, &f));
    Backward b;
    ASSERT_NO_FATAL_FAILURE(
        backward(s, x, codebook, f.codes, f.valid, &beta, &d_q, &of_codebook, &of_commitment, &b));
    std::vector<double> d_x(x.size()), d_codebook(codebook.size());
    for (size_t i = 0; i < x.size(); ++i) {
        const int32_t code = f.codes[i / 9];
        if (code < 0) continue;
        const size_t at = static_cast<size_t>(code) * 9 + i % 9;
        const double residual = static_cast<double>(x[i]) - codebook[at], scale = 2.0 / (f.valid * 9.0);
        d_x[i] = d_q[i] + beta * of_commitment * scale * residual;
        d_codebook[at] -= of_codebook * scale * residual;
    }
    EXPECT_CLOSE(b.d_x, d_x, 1e-6, 1e-7);
    EXPECT_CLOSE(b.d_codebook, d_codebook, 1e-5, 1e-7);
    // The codebook's gradient is that of the loss with the codes as they are.
    const auto numeric = numeric_gradient(
        [&](const std::vector<double>& e) {
            double sum = 0.0;
            for (size_t i = 0; i < x.size(); ++i)
                if (f.codes[i / 9] >= 0)
                    sum += std::pow(x[i] - e[static_cast<size_t>(f.codes[i / 9]) * 9 + i % 9], 2);
            return of_codebook * sum / (f.valid * 9.0);
        },
        doubles(codebook));
    EXPECT_CLOSE(b.d_codebook, numeric, 1e-4, 1e-6);
}

TEST(VectorQuantize, BetaMultipliesTheCommitmentOnly) {
    const jl_vector_quantize s = plain(50, 8, 4);
    const Matrix x = random_floats(200, -1.0f, 1.0f), codebook = random_floats(32, -1.0f, 1.0f, 2),
                 d_q = random_floats(200, -1.0f, 1.0f, 3);
    Forward small, large;
    ASSERT_NO_FATAL_FAILURE(forward(s, x, codebook, nullptr, 0.25f, 0, &small));
    ASSERT_NO_FATAL_FAILURE(forward(s, x, codebook, nullptr, 4.0f, 0, &large));
    EXPECT_EQ(small.codebook_loss, large.codebook_loss);
    EXPECT_EQ(16.0f * small.commitment, large.commitment);
    const float one = 1.0f, low = 0.25f, high = 4.0f;
    Backward straight, a, b;
    ASSERT_NO_FATAL_FAILURE(backward(s, x, codebook, small.codes, 50, &low, &d_q, &one, nullptr, &straight));
    EXPECT_EQ(straight.d_x, d_q);  // straight through, to the bit
    ASSERT_NO_FATAL_FAILURE(backward(s, x, codebook, small.codes, 50, &low, nullptr, &one, &one, &a));
    ASSERT_NO_FATAL_FAILURE(backward(s, x, codebook, small.codes, 50, &high, nullptr, &one, &one, &b));
    EXPECT_EQ(a.d_codebook, b.d_codebook);
    EXPECT_EQ(a.d_codebook, straight.d_codebook);
    for (size_t i = 0; i < 200; ++i) EXPECT_EQ(16.0f * a.d_x[i], b.d_x[i]);
    ASSERT_NO_FATAL_FAILURE(
        backward(s, x, codebook, small.codes, 50, nullptr, nullptr, nullptr, nullptr, &a));
    EXPECT_EQ(a.d_x, Matrix(200, 0.0f));
    EXPECT_EQ(a.d_codebook, Matrix(32, 0.0f));  // -0 equals 0
}

TEST(VectorQuantize, DescendingTheCodebooksGradientMovesItAndLowersTheLoss) {
    const jl_vector_quantize s = plain(100, 6, 3);
    const Matrix x = random_floats(300, -1.0f, 1.0f), start = random_floats(18, -1.0f, 1.0f, 2);
    Matrix codebook = start;
    const float one = 1.0f;
    Forward f;
    Backward b;
    ASSERT_NO_FATAL_FAILURE(forward(s, x, codebook, nullptr, 1.0f, 0, &f));
    float loss = f.codebook_loss;
    for (int step = 0; step < 10; ++step) {
        ASSERT_NO_FATAL_FAILURE(
            backward(s, x, codebook, f.codes, f.valid, nullptr, nullptr, &one, nullptr, &b));
        for (size_t i = 0; i < 18; ++i) codebook[i] -= 2.0f * b.d_codebook[i];
        ASSERT_NO_FATAL_FAILURE(forward(s, x, codebook, nullptr, 1.0f, 0, &f));
        EXPECT_LT(f.codebook_loss, loss);
        loss = f.codebook_loss;
    }
    size_t moved = 0;
    for (size_t i = 0; i < 18; ++i) moved += codebook[i] != start[i] ? 1 : 0;
    EXPECT_GE(moved, 15u);
}

// ---- arguments ----

TEST(VectorQuantize, BadArgumentsAreNamed) {
    Floats x(Matrix(8, 0.0f));
    Integers codes(std::vector<int32_t>(4, 0));
    Workspace w(65536 * 64);
    const auto run = [&](jl_vector_quantize s, float* codebook, jl_workspace workspace) {
        return kernels().vector_quantize_forward(&s, x.data(), codebook, nullptr, nullptr, codes.data(),
                                                 nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                                                 nullptr, workspace, stream());
    };
    EXPECT_BAD_ARGUMENT(run(plain(4, 0, 2), x.data(), w.get()), "got 4, 0 and 2");
    EXPECT_BAD_ARGUMENT(run(plain(4, 2, 0), x.data(), w.get()), "got 4, 2 and 0");
    EXPECT_BAD_ARGUMENT(run(plain(-1, 2, 2), x.data(), w.get()), "got -1, 2 and 2");
    EXPECT_BAD_ARGUMENT(run(plain(4, int64_t{1} << 30, 1 << 19), x.data(), w.get()), "2^38");
    EXPECT_BAD_ARGUMENT(run(plain(4, 2, 2), nullptr, w.get()), "codebook is null");
    EXPECT_BAD_ARGUMENT(run(plain(4, 2, 2), x.data(), {w.get().data, 8}), "8 bytes");
    EXPECT_BAD_ARGUMENT(kernels().vector_quantize_usage(1, 0, codes.data(), codes.data(), x.data(), stream()),
                        "got 1 and 0");
    EXPECT_BAD_ARGUMENT(run({4, 0, 1, 2, 2, JL_F32, 0}, x.data(), w.get()), "got 0 and 1");
    EXPECT_BAD_ARGUMENT(run({4, 1, 1025, 2, 2, JL_F32, 0}, x.data(), w.get()), "got 1 and 1025");
    EXPECT_BAD_ARGUMENT(run({4, 1024, 1024, 2, 1 << 20, JL_F32, 0}, x.data(), w.get()), "2^38");
    EXPECT_BAD_ARGUMENT(run({4, 1, 1, 2, 2, 2, 0}, x.data(), w.get()), "got 2");
    EXPECT_BAD_ARGUMENT(run({4, 1, 1, 2, 2, JL_F32, 3}, x.data(), w.get()), "got 3");
    const jl_vector_quantize s = plain(4, 2, 2);
    EXPECT_BAD_ARGUMENT(
        kernels().vector_quantize_backward(&s, x.data(), x.data(), codes.data(), nullptr, nullptr, nullptr,
                                           nullptr, nullptr, nullptr, nullptr, w.get(), stream()),
        "valid");
    EXPECT_BAD_ARGUMENT(kernels().vector_quantize_ema(&s, x.data(), codes.data(), nullptr, nullptr, 0,
                                                      x.data(), x.data(), x.data(), w.get(), stream()),
                        "null");
    if (std::string(kernels().name).rfind("cpu", 0) != 0) return;  // CUDA cannot know
    Integers wrong(std::vector<int32_t>{0, 1, 2, -1}), valid(std::vector<int32_t>{3});
    EXPECT_BAD_ARGUMENT(
        kernels().vector_quantize_backward(&s, x.data(), x.data(), wrong.data(), valid.data(), nullptr,
                                           nullptr, nullptr, nullptr, nullptr, nullptr, w.get(), stream()),
        "codes[2] is 2, but the codebook has 2 entries");
    const jl_vector_quantize two = {2, 1, 2, 2, 2, JL_F32, 0};
    Integers mixed(std::vector<int32_t>{0, 1, 1, -1});
    EXPECT_BAD_ARGUMENT(
        kernels().vector_quantize_backward(&two, x.data(), x.data(), mixed.data(), valid.data(), nullptr,
                                           nullptr, nullptr, nullptr, nullptr, nullptr, w.get(), stream()),
        "codes[3] is -1, but only all codes of a row can be -1");
}

}  // namespace
}  // namespace jlatent::test
