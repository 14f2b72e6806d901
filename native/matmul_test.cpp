// matmul of dense.h against fp64: odd sizes, both layouts, every activation, poisoned output.
#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

#include "dense_testing.h"

namespace {

using namespace dense_testing;

// With shift 1 every matrix starts off its 16-byte boundary.
void check(const jl_matmul& s, bool with_bias, size_t shift = 0) {
    const auto a = random_floats(static_cast<size_t>(s.m * s.k) + shift, 1),
               b = random_floats(static_cast<size_t>(s.k * s.n) + shift, 2);
    const auto bias = random_floats(static_cast<size_t>(s.n) + shift, 3);
    const size_t count = static_cast<size_t>(s.m * s.n);
    // NaN, which not even a multiplication by 0 hides.
    std::vector<float> out(count + shift + 1, std::nanf(""));
    ASSERT_EQ(jl_open_dense()->matmul(&s, a.data() + shift, b.data() + shift,
                                      with_bias ? bias.data() + shift : nullptr, out.data() + shift),
              JL_OK)
        << jl_open_dense()->last_error();
    EXPECT_TRUE(std::isnan(out.back())) << "wrote past the end";
    EXPECT_TRUE(shift == 0 || std::isnan(out[0])) << "wrote before the start";
    for (int64_t i = 0; i < s.m; ++i)
        for (int64_t j = 0; j < s.n; ++j) {
            double sum = with_bias ? bias[shift + static_cast<size_t>(j)] : 0.0, magnitude = std::abs(sum);
            for (int64_t l = 0; l < s.k; ++l) {
                const double x = a[shift + static_cast<size_t>(s.transpose_a ? l * s.m + i : i * s.k + l)];
                const double y = b[shift + static_cast<size_t>(s.transpose_b ? j * s.k + l : l * s.n + j)];
                sum += x * y;
                magnitude += std::abs(x * y);
            }
            // Rounding of a sum of k random terms is below 4 eps sum |terms| by many standard deviations;
            // that of bf16 products is not. Activations are 1.2-Lipschitz and add their own 2e-6.
            const double tolerance = 2.4e-7 * magnitude + 2e-6;
            ASSERT_NEAR(out[shift + static_cast<size_t>(i * s.n + j)], activate(s.activation, sum), tolerance)
                << "at [" << i << ", " << j << "] of " << s.m << "x" << s.n << "x" << s.k;
        }
}

TEST(Dense, MatmulEqualsTheReference) {
    const int64_t sizes[][3] = {{1, 1, 1},      {1, 7, 3},      {5, 1, 9},     {17, 33, 65},
                                {128, 40, 400}, {128, 400, 20}, {3, 257, 129}, {127, 41, 2000}};
    for (const auto& [m, n, k] : sizes)
        for (int transposes = 0; transposes < 4; ++transposes)
            for (const bool bias : {false, true})
                for (const size_t shift : {0, 1})
                    check({m, n, k, transposes & 1, transposes >> 1, JL_IDENTITY, JL_F32, JL_F32}, bias,
                          shift);
}

TEST(Dense, ActivationsAreFused) {
    for (int64_t activation = JL_IDENTITY; activation <= JL_GELU; ++activation)
        for (const bool bias : {false, true}) check({13, 31, 5, 0, 1, activation, JL_F32, JL_F32}, bias);
}

TEST(Dense, Bf16Operands) {
    for (const int64_t out_dtype : {JL_F32, JL_BF16}) {
        const jl_matmul s = {17, 33, 65, 1, 1, JL_TANH, JL_BF16, out_dtype};
        const Stored a(JL_BF16, random_floats(17 * 65, 1)), b(JL_BF16, random_floats(33 * 65, 2));
        const auto bias = random_floats(33, 3);
        Output out(out_dtype, s.m * s.n);
        ASSERT_EQ(jl_open_dense()->matmul(&s, a.data(), b.data(), bias.data(), out.data()), JL_OK)
            << jl_open_dense()->last_error();
        for (int64_t i = 0; i < s.m; ++i)
            for (int64_t j = 0; j < s.n; ++j) {
                Sum sum;
                sum.add(bias[static_cast<size_t>(j)]);
                for (int64_t l = 0; l < s.k; ++l) sum.add(a[l * s.m + i] * b[j * s.k + l]);
                const double result = std::tanh(sum.value);
                ASSERT_NEAR(out[i * s.n + j], result, sum.tolerance(out_dtype, result));
            }
    }
}

TEST(Dense, MoreShapesThanAreKept) {
    jl_open_dense()->set_threads(1);
    for (int64_t m = 1; m <= 1100; ++m) check({m, 1, 1, 0, 0, JL_IDENTITY, JL_F32, JL_F32}, false);
    check({1, 1, 1, 0, 0, JL_IDENTITY, JL_F32, JL_F32}, false);
}

// Two threads, the same shape, different matrices.
TEST(Dense, ThreadsDoNotDisturbEachOther) {
    const jl_matmul s = {48, 48, 48, 0, 0, JL_IDENTITY, JL_F32, JL_F32};
    std::atomic<int> ready{0};
    int wrong[2] = {0, 0};
    const auto work = [&](unsigned thread) {
        jl_open_dense()->set_threads(1);
        const auto a = random_floats(48 * 48, 2 * thread), b = random_floats(48 * 48, 2 * thread + 1);
        std::vector<float> expected(48 * 48), out(48 * 48);
        jl_open_dense()->matmul(&s, a.data(), b.data(), nullptr, expected.data());
        ++ready;
        while (ready < 2) std::this_thread::yield();
        for (int turn = 0; turn < 20000; ++turn) {
            std::fill(out.begin(), out.end(), std::nanf(""));
            jl_open_dense()->matmul(&s, a.data(), b.data(), nullptr, out.data());
            wrong[thread] += out != expected;
        }
    };
    std::thread other(work, 1);
    work(0);
    other.join();
    EXPECT_EQ(wrong[0], 0);
    EXPECT_EQ(wrong[1], 0);
}

TEST(Dense, SetThreadsSetsTheOneOpenMP) {
    // Of the process: this program does not link OpenMP, so what it finds is the library's.
    const auto threads = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_max_threads"));
    ASSERT_NE(threads, nullptr);
    for (const int32_t wanted : {1, 3, 2}) {
        jl_open_dense()->set_threads(wanted);
        EXPECT_EQ(threads(), wanted);
        check({128, 40, 400, 0, 0, JL_IDENTITY, JL_F32, JL_F32}, true);
    }
    jl_open_dense()->set_threads(0);
    EXPECT_EQ(threads(), 1);
}

TEST(Dense, EmptyMatricesAreLeftAlone) {
    const jl_matmul none = {0, 5, 3, 0, 0, JL_IDENTITY, JL_F32, JL_F32};
    EXPECT_EQ(jl_open_dense()->matmul(&none, nullptr, nullptr, nullptr, nullptr), JL_OK);
}

TEST(Dense, BadArgumentsAreNamed) {
    float x = 0.0f;
    const jl_matmul bad_k = {1, 1, 0, 0, 0, JL_IDENTITY, JL_F32, JL_F32},
                    bad_activation = {1, 1, 1, 0, 0, 99, JL_F32, JL_F32};
    EXPECT_EQ(jl_open_dense()->matmul(&bad_k, &x, &x, nullptr, &x), JL_BAD_ARGUMENT);
    EXPECT_NE(std::string(jl_open_dense()->last_error()).find("k >= 1"), std::string::npos);
    const jl_matmul huge = {int64_t{1} << 32, int64_t{1} << 32, 1, 0, 0, JL_IDENTITY, JL_F32, JL_F32},
                    good = {1, 1, 1, 0, 0, JL_IDENTITY, JL_F32, JL_F32};
    EXPECT_EQ(jl_open_dense()->matmul(&huge, &x, &x, nullptr, &x), JL_BAD_ARGUMENT);
    EXPECT_NE(std::string(jl_open_dense()->last_error()).find("m = 4294967296"), std::string::npos);
    EXPECT_EQ(jl_open_dense()->matmul(&good, &x, nullptr, nullptr, &x), JL_BAD_ARGUMENT);
    EXPECT_EQ(jl_open_dense()->matmul(nullptr, &x, &x, nullptr, &x), JL_BAD_ARGUMENT);
    EXPECT_EQ(std::string(jl_open_dense()->last_error()), "matmul: shape is null");
    EXPECT_EQ(jl_open_dense()->matmul(&bad_activation, &x, &x, nullptr, &x), JL_BAD_ARGUMENT);
    EXPECT_NE(std::string(jl_open_dense()->last_error()).find("99"), std::string::npos);
}

}  // namespace
