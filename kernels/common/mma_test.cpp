// mma.h in the emulator: the fragments' layouts, by the formulas of the PTX ISA (9.7.14.5.8, m16n8k16), sums that are cut
// as tensor cores may cut them, and copies that arrive when they are waited for.
#include "mma.h"

#include <gtest/gtest.h>

#include <vector>

namespace jlatent::JL_TABLE {
namespace {

constexpr int kM = 16, kN = 8, kK = 16;

// Where PTX keeps element i of a fragment: "row = groupID for i < 2 or 4 <= i < 6, else groupID + 8" and so on.
struct Place {
    int row, column;
};
Place place_in_a(int lane, int i) {
    const bool upper = i < 2 || (i >= 4 && i < 6);
    return {lane / 4 + (upper ? 0 : 8), lane % 4 * 2 + (i & 1) + (i < 4 ? 0 : 8)};
}
Place place_in_b(int lane, int i) { return {lane % 4 * 2 + (i & 1) + (i < 2 ? 0 : 8), lane / 4}; }
Place place_in_sum(int lane, int i) { return {lane / 4 + (i < 2 ? 0 : 8), lane % 4 * 2 + (i & 1)}; }

template <bool kBf16>
__global__ void multiply_kernel(const uint16_t* a, const uint16_t* b, float* sum) {
    const int lane = static_cast<int>(threadIdx.x);
    uint32_t a_fragment[4] = {}, b_fragment[2] = {};
    float c[4];
    for (int i = 0; i < 8; ++i) {
        const Place p = place_in_a(lane, i);
        a_fragment[i / 2] |= static_cast<uint32_t>(a[p.row * kK + p.column]) << i % 2 * 16;
    }
    for (int i = 0; i < 4; ++i) {
        const Place p = place_in_b(lane, i);
        b_fragment[i / 2] |= static_cast<uint32_t>(b[p.row * kN + p.column]) << i % 2 * 16;
        const Place q = place_in_sum(lane, i);
        c[i] = sum[q.row * kN + q.column];
    }
    if (kBf16)
        mma_bf16(c, a_fragment, b_fragment);
    else
        mma_f16(c, a_fragment, b_fragment);
    for (int i = 0; i < 4; ++i) {
        const Place p = place_in_sum(lane, i);
        sum[p.row * kN + p.column] = c[i];
    }
}

uint16_t half_of(float f, bool is_bf16) { return is_bf16 ? bf16_of_float(f) : f16_of_float(f); }

// Integers, so that nothing is cut; no two elements of a matrix alike.
TEST(Mma, MultipliesByTheDocumentedLayout) {
    for (const bool is_bf16 : {false, true}) {
        std::vector<uint16_t> a(kM * kK), b(kK * kN);
        std::vector<float> sum(kM * kN), expected(kM * kN);
        const auto a_value = [](int i) { return static_cast<float>(i - 100); };
        const auto b_value = [](int i) { return static_cast<float>(70 - i); };
        for (int i = 0; i < kM * kK; ++i) a[static_cast<size_t>(i)] = half_of(a_value(i), is_bf16);
        for (int i = 0; i < kK * kN; ++i) b[static_cast<size_t>(i)] = half_of(b_value(i), is_bf16);
        for (int m = 0; m < kM; ++m)
            for (int n = 0; n < kN; ++n) {
                const size_t at = static_cast<size_t>(m * kN + n);
                expected[at] = sum[at] = static_cast<float>(1000 * m + n);
                for (int k = 0; k < kK; ++k) expected[at] += a_value(m * kK + k) * b_value(k * kN + n);
            }
        ASSERT_EQ(launch("test", 1, 32, 0, nullptr, is_bf16 ? multiply_kernel<true> : multiply_kernel<false>,
                         a.data(), b.data(), sum.data()),
                  JL_OK);
        EXPECT_EQ(sum, expected) << (is_bf16 ? "bf16" : "fp16");
    }
}

// What is under the last of the largest's 24 bits is lost, however much of it there is.
TEST(Mma, SumsAreCut) {
    std::vector<uint16_t> a(kM * kK, f16_of_float(0x1p-13f)), b(kK * kN, f16_of_float(0x1.8p-12f));
    std::vector<float> sum(kM * kN, 1.5f);
    ASSERT_EQ(launch("test", 1, 32, 0, nullptr, multiply_kernel<false>, a.data(), b.data(), sum.data()),
              JL_OK);
    EXPECT_EQ(sum, std::vector<float>(kM * kN, 1.5f)) << "each product is 1.5 2^-25";
    b.assign(b.size(), f16_of_float(-0x1.8p-10f));
    ASSERT_EQ(launch("test", 1, 32, 0, nullptr, multiply_kernel<false>, a.data(), b.data(), sum.data()),
              JL_OK);
    EXPECT_EQ(sum, std::vector<float>(kM * kN, 1.5f - 16 * 0x1p-23f)) << "each product is -1.5 2^-23";
}

__global__ void dot_kernel(const uint16_t* a, const uint16_t* b, int steps, float* sum) {
    const int lane = static_cast<int>(threadIdx.x);
    float c[4] = {};
    for (int s = 0; s < steps; ++s) {
        uint32_t a_fragment[4] = {}, b_fragment[2] = {};
        for (int i = 0; i < 8; ++i) {
            const Place p = place_in_a(lane, i);
            a_fragment[i / 2] |= static_cast<uint32_t>(a[p.row * kK * steps + s * kK + p.column])
                                 << i % 2 * 16;
        }
        for (int i = 0; i < 4; ++i) {
            const Place p = place_in_b(lane, i);
            b_fragment[i / 2] |= static_cast<uint32_t>(b[p.column * kK * steps + s * kK + p.row])
                                 << i % 2 * 16;
        }
        mma_f16(c, a_fragment, b_fragment);
    }
    for (int i = 0; i < 4; ++i) sum[place_in_sum(lane, i).row * kN + place_in_sum(lane, i).column] = c[i];
}

TEST(Mma, ErrorsStayWithinTheBound) {
    uint32_t random = 1;
    const auto next = [&] {
        return static_cast<float>((random = random * 1664525u + 1013904223u) >> 8) * 0x1p-24f;
    };
    for (const int steps : {1, 4, 64}) {
        const int dims = steps * kK;
        std::vector<uint16_t> a(static_cast<size_t>(kM * dims)), b(static_cast<size_t>(kN * dims));
        for (uint16_t& v : a) v = f16_of_float(next());  // of one sign: cuts add up
        for (uint16_t& v : b) v = f16_of_float(next());
        std::vector<float> sum(kM * kN);
        ASSERT_EQ(launch("test", 1, 32, 0, nullptr, dot_kernel, a.data(), b.data(), steps, sum.data()),
                  JL_OK);
        double worst = 0.0;
        for (int m = 0; m < kM; ++m)
            for (int n = 0; n < kN; ++n) {
                double exact = 0.0, x = 0.0, e = 0.0;
                for (int k = 0; k < dims; ++k) {
                    const double u = float_of_f16(a[static_cast<size_t>(m * dims + k)]);
                    const double v = float_of_f16(b[static_cast<size_t>(n * dims + k)]);
                    exact += u * v, x += u * u, e += v * v;
                }
                const double error = std::abs(sum[static_cast<size_t>(m * kN + n)] - exact);
                worst = std::max(worst, error / (2 * (dims + 32) * 0x1p-23 * std::sqrt(x * e)));
            }
        EXPECT_LT(worst, 1.0) << dims;
        EXPECT_GT(worst, 1e-3) << dims << ": nothing has been cut";
    }
}

template <bool kTransposed>
__global__ void matrices_kernel(const uint16_t* from, uint32_t* out) {
    JL_SHARED(uint16_t, tile, [32 * 8 + 8]);
    uint16_t* rows = tile + (8 - reinterpret_cast<uintptr_t>(tile) / 2 % 8) % 8;
    for (unsigned i = threadIdx.x; i < 256; i += 32) rows[i] = from[i];
    __syncwarp();
    uint32_t own[4];
    if (kTransposed)
        load_matrices_transposed(own, rows + threadIdx.x * 8);
    else
        load_matrices(own, rows + threadIdx.x * 8);
    for (int m = 0; m < 4; ++m) out[threadIdx.x * 4 + static_cast<unsigned>(m)] = own[m];
}

TEST(Mma, MatricesAreLoadedByTheDocumentedLayout) {
    std::vector<uint16_t> from(256);
    for (size_t i = 0; i < 256; ++i) from[i] = static_cast<uint16_t>(i * 7 + 1);
    for (const bool transposed : {false, true}) {
        std::vector<uint32_t> out(128);
        ASSERT_EQ(
            launch("test", 1, 32, 0, nullptr, transposed ? matrices_kernel<true> : matrices_kernel<false>,
                   from.data(), out.data()),
            JL_OK);
        for (size_t lane = 0; lane < 32; ++lane)
            for (size_t m = 0; m < 4; ++m)
                for (size_t i = 0; i < 2; ++i) {
                    const size_t row = transposed ? lane % 4 * 2 + i : lane / 4,
                                 column = transposed ? lane / 4 : lane % 4 * 2 + i;
                    EXPECT_EQ(out[lane * 4 + m] >> 16 * i & 0xffffu, from[m * 64 + row * 8 + column])
                        << "lane " << lane << ", matrix " << m << ", transposed " << transposed;
                }
    }
}

constexpr int kTiles = 5;

// Tiles go round two buffers; out = sum of what each thread's neighbour has copied. `groups` may be left on their way.
template <int kLeft>
__global__ void pipeline_kernel(const float* from, float* out) {
    struct alignas(16) Buffers {
        float v[2][32 * 4];
    };
    JL_SHARED(Buffers, shared, [1]);
    float(*buffer)[32 * 4] = shared[0].v;
    const int t = static_cast<int>(threadIdx.x), other = (t + 1) % 32;
    float sum = 0.0f;
    copy_async_16(buffer[0] + t * 4, from + t * 4);
    copy_async_commit();
    for (int tile = 0; tile < kTiles; ++tile) {
        __syncthreads();  // the other buffer has been read
        if (tile + 1 < kTiles) copy_async_16(buffer[(tile + 1) % 2] + t * 4, from + (tile + 1) * 128 + t * 4);
        copy_async_commit();
        copy_async_wait<kLeft>();
        __syncthreads();
        for (int i = 0; i < 4; ++i) sum += buffer[tile % 2][other * 4 + i];
    }
    out[t] = sum;
}

TEST(Mma, CopiesArriveWhenTheyAreWaitedFor) {
    struct alignas(16) Tiles {
        float v[kTiles * 128];
    } from;
    for (int i = 0; i < kTiles * 128; ++i) from.v[i] = static_cast<float>(i % 97);
    std::vector<float> expected(32, 0.0f), out(32);
    for (int t = 0; t < 32; ++t)
        for (int i = 0; i < kTiles * 4; ++i)
            expected[static_cast<size_t>(t)] += from.v[i / 4 * 128 + (t + 1) % 32 * 4 + i % 4];
    for (const auto kernel : {pipeline_kernel<0>, pipeline_kernel<1>}) {
        ASSERT_EQ(launch("test", 1, 32, 0, nullptr, kernel, from.v, out.data()), JL_OK);
        EXPECT_EQ(out, expected);
    }
    ASSERT_EQ(launch("test", 1, 32, 0, nullptr, pipeline_kernel<2>, from.v, out.data()), JL_OK);
    EXPECT_TRUE(std::isnan(out[0])) << "waits for too little";
}

// Every third of the copies is of nothing.
__global__ void conditional_kernel(const float* from, const float* end, float* out) {
    struct alignas(16) Buffers {
        float wide[32 * 4], narrow[32];
    };
    JL_SHARED(Buffers, shared, [1]);
    const int t = static_cast<int>(threadIdx.x);
    const bool live = t % 3 != 0;
    copy_async_16(shared[0].wide + t * 4, live ? from + t * 4 : end, live);
    copy_async_4(shared[0].narrow + t, live ? from + t * 4 + 1 : end, live);
    copy_async_commit();
    copy_async_wait<0>();
    for (int i = 0; i < 4; ++i) out[t * 5 + i] = shared[0].wide[t * 4 + i];
    out[t * 5 + 4] = shared[0].narrow[t];
}

TEST(Mma, CopiesOfNothingAreZerosAndReadNothing) {
    struct alignas(16) {
        float v[128];
    } from;
    for (int i = 0; i < 128; ++i) from.v[i] = static_cast<float>(i + 1);
    std::vector<float> out(160);
    const float* nowhere = nullptr;
    ASSERT_EQ(launch("test", 1, 32, 0, nullptr, conditional_kernel, from.v, nowhere, out.data()), JL_OK);
    for (int i = 0; i < 160; ++i) {
        const int t = i / 5;
        const float expected = from.v[t * 4 + (i % 5 == 4 ? 1 : i % 5)];
        EXPECT_EQ(out[static_cast<size_t>(i)], t % 3 == 0 ? 0.0f : expected) << i;
    }
}

__global__ void missing_lanes_kernel(const uint16_t* a, float* sum) {
    const uint32_t words[4] = {a[0], 0, 0, 0}, two[2] = {a[0], 0};
    float c[4] = {};
    if (threadIdx.x < 31) mma_f16(c, words, two);
    sum[0] = c[0];
}
__global__ void misaligned_kernel(const uint16_t* a, float* sum) {
    JL_SHARED(uint16_t, tile, [256]);
    tile[threadIdx.x] = a[0];
    uint32_t out[4];
    load_matrices(out, tile + threadIdx.x);
    sum[0] = static_cast<float>(out[0]);
}

TEST(Mma, FaultsAreReported) {
    std::vector<uint16_t> a(8);
    std::vector<float> sum(4);
    EXPECT_EQ(launch("test", 1, 32, 0, nullptr, missing_lanes_kernel, a.data(), sum.data()), JL_DEVICE_ERROR);
    EXPECT_NE(std::string(last_error()).find("mma.sync at"), std::string::npos) << last_error();
    EXPECT_NE(std::string(last_error()).find("exited"), std::string::npos) << last_error();
    EXPECT_EQ(launch("test", 1, 20, 0, nullptr, missing_lanes_kernel, a.data(), sum.data()), JL_DEVICE_ERROR);
    EXPECT_NE(std::string(last_error()).find("all 32 lanes"), std::string::npos) << last_error();
    EXPECT_EQ(launch("test", 1, 32, 0, nullptr, misaligned_kernel, a.data(), sum.data()), JL_DEVICE_ERROR);
    EXPECT_NE(std::string(last_error()).find("multiple of 16"), std::string::npos) << last_error();
}

// Every half, and its neighbours between.
TEST(Mma, HalvesAreRoundedToTheNearest) {
    for (uint32_t h = 0; h < 0x7c00u; ++h) {
        const uint16_t half = static_cast<uint16_t>(h), next = static_cast<uint16_t>(h + 1);
        const float value = float_of_f16(half);
        const float above = h + 1 == 0x7c00u ? 65536.0f : float_of_f16(next), middle = (value + above) / 2;
        ASSERT_LT(value, above);
        ASSERT_EQ(f16_of_float(value), half);
        ASSERT_EQ(f16_of_float(-value), half | 0x8000u);
        ASSERT_EQ(f16_of_float(middle), h % 2 == 0 ? half : next) << value;
        ASSERT_EQ(f16_of_float(std::nextafter(middle, 0.0f)), half) << value;
        ASSERT_EQ(f16_of_float(std::nextafter(middle, 1e9f)), next) << value;
    }
    EXPECT_EQ(float_of_f16(0x3c01), 1.0f + 0x1p-10f);
    EXPECT_EQ(float_of_f16(0x8001), -0x1p-24f);
    EXPECT_EQ(f16_of_float(INFINITY), 0x7c00u);
    EXPECT_TRUE(std::isnan(float_of_f16(f16_of_float(NAN))));
}

}  // namespace
}  // namespace jlatent::JL_TABLE
