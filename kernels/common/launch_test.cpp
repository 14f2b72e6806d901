// launch.h in the emulator: what its reductions and accesses compute, and, in every order of threads and under the
// sanitizers, that no barrier and no bound may go. Fences do nothing there: only a GPU can miss one.
#include "launch.h"

#include <gtest/gtest.h>

#include <vector>

namespace jlatent::JL_TABLE {
namespace {

// ---- reductions ----

__global__ void warp_sums_kernel(const float* x, int width, float* out) {
    out[threadIdx.x] = warp_sum(x[threadIdx.x], width);
}

TEST(Launch, WarpSumsStayInTheirGroupOfLanes) {
    for (int width = 1; width <= kWarp; width *= 2) {
        std::vector<float> x(64), out(64, -1.0f);
        for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * i);
        ASSERT_EQ(launch("test", 1, 64, 0, nullptr, warp_sums_kernel, x.data(), width, out.data()), JL_OK);
        for (size_t i = 0; i < x.size(); ++i) {
            float expected = 0.0f;
            const size_t first = i / static_cast<size_t>(width) * static_cast<size_t>(width);
            for (size_t k = first; k < first + static_cast<size_t>(width); ++k) expected += x[k];
            EXPECT_EQ(out[i], expected) << "lane " << i << " of groups of " << width;
        }
    }
}

constexpr int kCalls = 8;

// Call c sums (c + 1) x.
__global__ void block_sums_kernel(const float* x, float* out) {
    for (int c = 0; c < kCalls; ++c) {
        const float v = block_sum(static_cast<float>(c + 1) * x[threadIdx.x]);
        if (threadIdx.x == 0) out[blockIdx.x * kCalls + c] = v;
    }
}

TEST(Launch, BlockSumsOneAfterTheOther) {
    for (const unsigned threads : {32u, 64u, 96u, 256u}) {
        std::vector<float> x(threads), out(4 * kCalls, -1.0f);
        float sum = 0.0f;
        for (size_t i = 0; i < x.size(); ++i) sum += x[i] = static_cast<float>(i % 11);
        ASSERT_EQ(launch("test", 4, threads, 0, nullptr, block_sums_kernel, x.data(), out.data()), JL_OK);
        for (size_t i = 0; i < out.size(); ++i)
            EXPECT_EQ(out[i], static_cast<float>(i % kCalls + 1) * sum) << threads << " threads, sum " << i;
    }
}

__device__ inline int64_t block_number() {
    return (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
}

// Twice: every thread writes, the last block reads what all have written. `last` counts the threads of last blocks.
__global__ void last_block_kernel(float* values, float* sums, unsigned* counters, unsigned* last) {
    const int64_t blocks = gridDim.x * gridDim.y * gridDim.z, all = blocks * blockDim.x;
    for (int turn = 0; turn < 2; ++turn) {
        float* of_turn = values + turn * all;
        of_turn[block_number() * blockDim.x + threadIdx.x] = static_cast<float>(turn + 1);
        if (!last_block(counters + turn)) continue;
        atomicAdd(last + turn, 1u);
        float sum = 0.0f;
        for (int64_t i = threadIdx.x; i < all; i += blockDim.x) sum += of_turn[i];
        sum = block_sum(sum);
        if (threadIdx.x == 0) sums[turn] = sum;
    }
}

TEST(Launch, TheLastBlockSeesWhatAllHaveWritten) {
    for (const dim3 grid : {dim3(1), dim3(2), dim3(3), dim3(7), dim3(2, 3, 2)})
        for (const unsigned threads : {32u, 64u, 256u}) {
            const unsigned all = grid.x * grid.y * grid.z * threads;
            std::vector<float> values(2 * all), sums(2, -1.0f);
            std::vector<unsigned> counters(2), last(2);
            for (int again = 0; again < 2; ++again) {  // counters are zero again
                ASSERT_EQ(launch("test", grid, threads, 0, nullptr, last_block_kernel, values.data(),
                                 sums.data(), counters.data(), last.data()),
                          JL_OK);
                for (size_t turn = 0; turn < 2; ++turn) {
                    EXPECT_EQ(sums[turn], static_cast<float>((turn + 1) * all));
                    EXPECT_EQ(counters[turn], 0u);
                    EXPECT_EQ(last[turn], threads) << "all threads of one block";
                }
                values.assign(values.size(), 0.0f);
                sums.assign(2, -1.0f);
                last.assign(2, 0);
            }
        }
}

// ---- accesses ----

template <class T>
__global__ void copy_quad_kernel(const T* x, T* y, float* quad, int64_t i, int count) {
    const Quad q = load_quad(x, i, count);
    for (int k = 0; k < 4; ++k) quad[k] = q.v[k];
    store_quad(y, i, count, q);
}

float value(float v) { return v; }
float value(uint16_t v) { return float_of_bf16(v); }
void set(float* to, float v) { *to = v; }
void set(uint16_t* to, float v) { *to = bf16_of_float(v); }

// Arrays that end with the last element of the quad, at every offset from an aligned address.
template <class T>
void check_quads() {
    for (int64_t i = 0; i < 9; ++i)
        for (int count = 0; count <= 4; ++count) {
            const size_t size = static_cast<size_t>(i + count);
            std::vector<T> x(size), y(size + 4);
            for (size_t k = 0; k < size; ++k) set(&x[k], static_cast<float>(k) + 1.5f);
            for (T& v : y) set(&v, -7.0f);
            float quad[4] = {-1.0f, -1.0f, -1.0f, -1.0f};
            x.shrink_to_fit();
            ASSERT_EQ(
                launch("test", 1, 1, 0, nullptr, copy_quad_kernel<T>, x.data(), y.data(), quad, i, count),
                JL_OK);
            for (int k = 0; k < 4; ++k)
                EXPECT_EQ(quad[k], k < count ? static_cast<float>(i + k) + 1.5f : 0.0f)
                    << "element " << k << " of " << count << " at " << i;
            for (size_t k = 0; k < y.size(); ++k)
                EXPECT_EQ(value(y[k]),
                          static_cast<int64_t>(k) >= i && k < size ? static_cast<float>(k) + 1.5f : -7.0f)
                    << "y[" << k << "], " << count << " stored at " << i;
        }
}

TEST(Launch, QuadsOfFloatsStayInside) { check_quads<float>(); }
TEST(Launch, QuadsOfBf16StayInside) { check_quads<uint16_t>(); }

// ---- grids ----

TEST(Launch, AFixedGridFillsTheDeviceAndNoMore) {
    const int64_t most = kMultiprocessors * 8;
    EXPECT_EQ(fixed_grid(0), 1u);
    EXPECT_EQ(fixed_grid(1), 1u);
    EXPECT_EQ(fixed_grid(most - 1), static_cast<unsigned>(most - 1));
    EXPECT_EQ(fixed_grid(int64_t{1} << 40), static_cast<unsigned>(most));
    EXPECT_EQ(fixed_grid(int64_t{1} << 40, 2), static_cast<unsigned>(kMultiprocessors * 2));
}

TEST(Launch, WhatTheDeviceRefusesIsNamed) {
    EXPECT_EQ(launch("some operation", 1, 1025, 0, nullptr, warp_sums_kernel, nullptr, 32, nullptr),
              JL_DEVICE_ERROR);
    EXPECT_NE(std::string(last_error()).find("some operation: invalid launch configuration"),
              std::string::npos);
}

}  // namespace
}  // namespace jlatent::JL_TABLE
