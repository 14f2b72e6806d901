// What the emulator computes, in whatever order threads run, and the faults it reports.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "emulated_cuda.h"

namespace jlatent::emulator {
namespace {

// Sum of a block's values through shuffles and shared memory, one warp after the other.
void block_sum_kernel(const float* x, float* out) {
    JL_SHARED(float, partial, [32]);
    const unsigned t = threadIdx.x, lane = t % 32, warp = t / 32;
    float v = x[blockIdx.x * blockDim.x + t];
    for (int offset = 16; offset > 0; offset /= 2) v += __shfl_xor_sync(0xffffffffu, v, offset);
    if (lane == 0) partial[warp] = v;
    __syncthreads();
    if (warp != 0) return;
    v = lane < blockDim.x / 32 ? partial[lane] : 0.0f;
    for (int offset = 16; offset > 0; offset /= 2) v += __shfl_down_sync(0xffffffffu, v, offset);
    if (lane == 0) out[blockIdx.x] = v;
}

TEST(Emulator, BlocksSumThroughShufflesAndSharedMemory) {
    std::vector<float> x(5 * 256), out(5, -1.0f);
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 13);
    ASSERT_EQ(launch({dim3(5), dim3(256), 0, false}, block_sum_kernel, static_cast<const float*>(x.data()),
                     out.data()),
              cudaSuccess);
    for (size_t b = 0; b < 5; ++b) {
        float expected = 0.0f;
        for (size_t i = 0; i < 256; ++i) expected += x[b * 256 + i];
        EXPECT_EQ(out[b], expected);
    }
}

void reverse_kernel(int* x) {
    JL_DYNAMIC_SHARED(int, tile);
    const unsigned t = threadIdx.x + blockDim.x * threadIdx.y;
    tile[t] = x[t];
    __syncthreads();
    x[t] = tile[blockDim.x * blockDim.y - 1 - t];
}

TEST(Emulator, DynamicSharedMemoryAndTwoDimensions) {
    std::vector<int> x(70);
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<int>(i);
    ASSERT_EQ(launch({dim3(1), dim3(7, 10), 70 * sizeof(int), false}, reverse_kernel, x.data()), cudaSuccess);
    for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(x[i], 69 - static_cast<int>(i));
}

// Each block writes, the grid waits, each block reads what its neighbour wrote.
void neighbour_kernel(int* x, int* out) {
    if (threadIdx.x == 0) x[blockIdx.x] = static_cast<int>(blockIdx.x) + 100;
    cooperative_groups::this_grid().sync();
    if (threadIdx.x == 0) out[blockIdx.x] = x[(blockIdx.x + 1) % gridDim.x];
}

TEST(Emulator, CooperativeLaunchesWaitForTheWholeGrid) {
    std::vector<int> x(6, 0), out(6, 0);
    ASSERT_EQ(launch({dim3(6), dim3(32), 0, true}, neighbour_kernel, x.data(), out.data()), cudaSuccess);
    for (int b = 0; b < 6; ++b) EXPECT_EQ(out[static_cast<size_t>(b)], (b + 1) % 6 + 100);
}

// The same in clusters, which do not wait for each other: the last one ends before it comes to a barrier.
void cluster_neighbour_kernel(int* x, int* out) {
    const unsigned cluster = blockIdx.x / 4, own = blockIdx.x % 4;
    if (cluster == 2) return;
    for (int turn = 0; turn < 3; ++turn) {
        if (threadIdx.x == 0) x[blockIdx.x] = static_cast<int>(blockIdx.x) + 100 * turn;
        cooperative_groups::this_cluster().sync();
        if (threadIdx.x == 0) out[blockIdx.x] = x[4 * cluster + (own + 1) % 4];
        cooperative_groups::this_cluster().sync();
    }
}

TEST(Emulator, ClustersWaitForTheirOwnBlocks) {
    std::vector<int> x(12, 0), out(12, -1);
    ASSERT_EQ(
        launch({dim3(12), dim3(64), 0, false, nullptr, 4}, cluster_neighbour_kernel, x.data(), out.data()),
        cudaSuccess);
    for (int b = 0; b < 12; ++b)
        EXPECT_EQ(out[static_cast<size_t>(b)], b < 8 ? b / 4 * 4 + (b + 1) % 4 + 200 : -1);
}

void ballot_kernel(unsigned* out) {
    const unsigned votes = __ballot_sync(0xffffffffu, threadIdx.x % 3 == 0);
    if (threadIdx.x == 0) *out = votes;
}

void ticket_kernel(unsigned* counter, unsigned* last) {
    if (atomicInc(counter, gridDim.x * blockDim.x - 1) == gridDim.x * blockDim.x - 1) ++*last;
}

TEST(Emulator, VotesAndTickets) {
    unsigned votes = 0, counter = 0, last = 0, expected = 0;
    for (unsigned l = 0; l < 32; l += 3) expected |= 1u << l;
    ASSERT_EQ(launch({dim3(1), dim3(32), 0, false}, ballot_kernel, &votes), cudaSuccess);
    EXPECT_EQ(votes, expected);
    ASSERT_EQ(launch({dim3(3), dim3(50), 0, false}, ticket_kernel, &counter, &last), cudaSuccess);
    EXPECT_EQ(counter, 0u);
    EXPECT_EQ(last, 1u);
}

TEST(Emulator, LaunchesFromTwoHostThreadsDoNotMix) {
    const auto work = [] {
        for (int i = 0; i < 20; ++i) {
            std::vector<float> x(256, 1.0f), out(1);
            ASSERT_EQ(launch({dim3(1), dim3(256), 0, false}, block_sum_kernel,
                             static_cast<const float*>(x.data()), out.data()),
                      cudaSuccess);
            ASSERT_EQ(out[0], 256.0f);
        }
    };
    std::thread one(work), two(work);
    one.join();
    two.join();
}

// When each warp took its first step behind a barrier, and its last before the next.
void steps_kernel(unsigned* clock, unsigned* first, unsigned* last) {
    const unsigned warp = threadIdx.x / 32;
    __syncthreads();
    if (threadIdx.x % 32 == 0) first[warp] = (*clock)++;
    for (int i = 0; i < 5; ++i) __syncwarp();
    if (threadIdx.x % 32 == 0) last[warp] = (*clock)++;
    __syncthreads();
}

TEST(Emulator, SomeWarpsRunAheadWhenShuffled) {
    const char* order = getenv("JLATENT_EMULATOR_ORDER");
    const bool shuffled = order == nullptr || strncmp(order, "shuffle", 7) == 0;
    unsigned clock = 0, first[16], last[16];
    ASSERT_EQ(launch({dim3(1), dim3(512), 0, false}, steps_kernel, &clock, first, last), cudaSuccess);
    int ahead = 0;
    for (const unsigned l : last)
        for (const unsigned f : first) ahead += l < f;
    EXPECT_EQ(ahead > 0, shuffled) << ahead << " pairs of warps";
}

// ---- faults: each ends its launch with a text, and the next launch works ----

void divergent_barriers(int* x) {
    if (threadIdx.x < 32) {
        __syncthreads();
    } else {
        *x = 1;
        __syncthreads();
    }
}
void missing_lanes(int* x) {
    if (threadIdx.x < 16) *x = __shfl_xor_sync(0xffffffffu, static_cast<int>(threadIdx.x), 1);
}
void lane_outside_mask(int* x) {
    if (threadIdx.x < 16) *x = __shfl_sync(0x0000ffffu, static_cast<int>(threadIdx.x), 20);
}
void waits_for_ever(int* x) {
    if (threadIdx.x % 2 == 0)
        __syncthreads();
    else
        *x = __shfl_sync(0xffffffffu, 1, 0);
}
void grid_sync_alone(int* x) {
    *x = 1;
    cooperative_groups::this_grid().sync();
}
void cluster_sync_alone(int* x) {
    *x = 1;
    cooperative_groups::this_cluster().sync();
}
void too_much_shared(int* x) {
    JL_SHARED(char, big, [49 * 1024]);
    big[0] = static_cast<char>(*x);
}

TEST(Emulator, FaultsAreReportedAndTheNextLaunchWorks) {
    const struct {
        void (*kernel)(int*);
        const char* text;
    } faults[] = {
        {divergent_barriers, "different places"},
        {missing_lanes, "exited"},
        {lane_outside_mask, "not in the mask"},
        {waits_for_ever, "wait for ever"},
        {grid_sync_alone, "cooperative"},
        {cluster_sync_alone, "in clusters"},
        {too_much_shared, "48 KiB"},
    };
    for (const auto& fault : faults) {
        int x = 0;
        const cudaError_t error = launch({dim3(2), dim3(64), 0, false}, fault.kernel, &x);
        EXPECT_EQ(error, cudaErrorLaunchFailure) << fault.text;
        EXPECT_NE(std::string(cudaGetErrorString(error)).find(fault.text), std::string::npos)
            << cudaGetErrorString(error);
        std::vector<float> ones(64, 1.0f), out(1);
        ASSERT_EQ(launch({dim3(1), dim3(64), 0, false}, block_sum_kernel,
                         static_cast<const float*>(ones.data()), out.data()),
                  cudaSuccess);
        EXPECT_EQ(out[0], 64.0f);
    }
}

TEST(Emulator, ImpossibleLaunchesAreRefused) {
    int x = 0;
    EXPECT_EQ(launch({dim3(1), dim3(1025), 0, false}, grid_sync_alone, &x), cudaErrorInvalidConfiguration);
    EXPECT_EQ(launch({dim3(0), dim3(32), 0, false}, grid_sync_alone, &x), cudaErrorInvalidConfiguration);
    EXPECT_EQ(launch({dim3(6), dim3(32), 0, false, nullptr, 4}, cluster_sync_alone, &x),
              cudaErrorInvalidConfiguration);
    EXPECT_EQ(launch({dim3(16), dim3(32), 0, false, nullptr, 16}, cluster_sync_alone, &x),
              cudaErrorInvalidConfiguration);
    EXPECT_EQ(launch({dim3(1), dim3(32), 300 << 10, false}, grid_sync_alone, &x),
              cudaErrorInvalidConfiguration);
    EXPECT_NE(std::string(cudaGetErrorString(cudaErrorInvalidConfiguration)).find("307200 bytes"),
              std::string::npos);
}

}  // namespace
}  // namespace jlatent::emulator
