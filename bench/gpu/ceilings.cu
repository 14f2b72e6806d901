// The copy ceiling: how fast this GPU reads and writes its own memory when it does nothing else. Writes one
// JSON object to the file named on the command line.
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

constexpr int kPairs = 2;  // buffers take turns, and each is many times the cache (60 MB on H200)
constexpr size_t kBytes = size_t{1} << 30;  // of one buffer
constexpr size_t kQuads = kBytes / sizeof(float4);
constexpr int kBlock = 256;
constexpr int kPerThread = 4;  // loads in flight a thread
constexpr unsigned kGrid = kQuads / (kBlock * kPerThread);
constexpr int kWarmUps = 10, kLaunches = 100;
static_assert(kQuads % (kBlock * kPerThread) == 0, "the grid covers a buffer exactly");

void check(cudaError_t error, const char* what) {
    if (error == cudaSuccess) return;
    std::fprintf(stderr, "ceilings: %s: %s\n", what, cudaGetErrorString(error));
    std::exit(1);
}

// Every quad has words of its own, so that a quad copied to the wrong place shows.
__device__ uint4 pattern(size_t i) {
    const unsigned low = static_cast<unsigned>(i), high = static_cast<unsigned>(i >> 32);
    return make_uint4(low, high, low * 2654435761u, ~low);
}

__global__ void fill(uint4* to) {
    const size_t i = blockIdx.x * size_t{blockDim.x} + threadIdx.x;
    to[i] = pattern(i);
}

__global__ void count_wrong(const uint4* copied, unsigned long long* wrong) {
    const size_t i = blockIdx.x * size_t{blockDim.x} + threadIdx.x;
    const uint4 is = copied[i], expected = pattern(i);
    if (is.x != expected.x || is.y != expected.y || is.z != expected.z || is.w != expected.w)
        atomicAdd(wrong, 1ull);
}

// Nothing is read twice, so nothing needs to stay in the cache.
__global__ void copy(const float4* __restrict__ from, float4* __restrict__ to) {
    const size_t first = blockIdx.x * size_t{kBlock * kPerThread} + threadIdx.x;
    float4 quads[kPerThread];
#pragma unroll
    for (int k = 0; k < kPerThread; ++k) quads[k] = __ldcs(from + first + k * kBlock);
#pragma unroll
    for (int k = 0; k < kPerThread; ++k) __stcs(to + first + k * kBlock, quads[k]);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: ceilings FILE\n");
        return 2;
    }
    float4 *from[kPairs], *to[kPairs];
    unsigned long long *wrong, found = 0;
    check(cudaMalloc(&wrong, sizeof *wrong), "allocate");
    check(cudaMemset(wrong, 0, sizeof *wrong), "clear");
    for (int pair = 0; pair < kPairs; ++pair) {
        check(cudaMalloc(&from[pair], kBytes), "allocate a buffer of 1 GiB");
        check(cudaMalloc(&to[pair], kBytes), "allocate a buffer of 1 GiB");
        check(cudaMemset(to[pair], 0xFF, kBytes), "poison");
        fill<<<kQuads / kBlock, kBlock>>>(reinterpret_cast<uint4*>(from[pair]));
        copy<<<kGrid, kBlock>>>(from[pair], to[pair]);
        count_wrong<<<kQuads / kBlock, kBlock>>>(reinterpret_cast<const uint4*>(to[pair]), wrong);
    }
    check(cudaGetLastError(), "launch");
    check(cudaMemcpy(&found, wrong, sizeof found, cudaMemcpyDeviceToHost), "verify the copy");
    if (found != 0) {
        std::fprintf(stderr, "ceilings: %llu of %zu quads were copied wrongly\n", found, kPairs * kQuads);
        return 1;
    }

    // An event after each launch; the host waits only at the end.
    std::vector<cudaEvent_t> events(kLaunches + 1);
    for (cudaEvent_t& event : events) check(cudaEventCreate(&event), "create an event");
    for (int i = 0; i < kWarmUps; ++i) copy<<<kGrid, kBlock>>>(from[i % kPairs], to[i % kPairs]);
    check(cudaEventRecord(events[0]), "record");
    for (int i = 0; i < kLaunches; ++i) {
        copy<<<kGrid, kBlock>>>(from[i % kPairs], to[i % kPairs]);
        check(cudaEventRecord(events[i + 1]), "record");
    }
    check(cudaDeviceSynchronize(), "copy");

    std::vector<double> rates(kLaunches);
    for (int i = 0; i < kLaunches; ++i) {
        float ms = 0.0f;
        check(cudaEventElapsedTime(&ms, events[i], events[i + 1]), "time");
        rates[i] = 2.0 * kBytes / (ms * 1e6);  // read and written
    }
    std::sort(rates.begin(), rates.end());

    std::FILE* file = std::fopen(argv[1], "w");
    if (file == nullptr) {
        std::perror(argv[1]);
        return 1;
    }
    std::fprintf(
        file,
        "{\"what\": \"copy of 1 GiB, float4, bytes read and written\", \"unit\": \"GB/s\", \"launches\": %d, "
        "\"median\": %.1f, \"p10\": %.1f, \"p90\": %.1f}\n",
        kLaunches, rates[kLaunches / 2], rates[kLaunches / 10], rates[kLaunches - 1 - kLaunches / 10]);
    return std::fclose(file) == 0 ? 0 : 1;
}
