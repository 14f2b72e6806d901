// What every .cu file shares: launching, 16-byte accesses, reductions. Compiles with nvcc, and with g++ for
// the emulator.
#pragma once
#ifdef JL_EMULATED
#include "emulated_cuda.h"
#else
#include <cooperative_groups.h>
#include <cuda_runtime.h>
// The emulator gives each block its own copy, with guards; on CUDA these are plain shared memory.
#define JL_SHARED(T, name, extent) __shared__ T name extent
#define JL_DYNAMIC_SHARED(T, name)                                     \
    extern __shared__ __align__(16) unsigned char jl_dynamic_shared[]; \
    T* name = reinterpret_cast<T*>(jl_dynamic_shared)
#endif

#include "host_device.h"
#include "jlatent.h"
#include "status.h"

namespace jlatent::JL_TABLE {

constexpr int kBlock = 256;  // threads a block, unless an operation says otherwise
constexpr int kWarp = 32;

inline cudaStream_t cuda_stream(jl_stream stream) { return reinterpret_cast<cudaStream_t>(stream); }

inline jl_status launched(const char* operation, cudaError_t error) {
    return error == cudaSuccess ? JL_OK
                                : fail(JL_DEVICE_ERROR, "%s: %s", operation, cudaGetErrorString(error));
}

// In clusters of so many neighbouring blocks, which run at the same time and may wait for each other.
template <class... Parameters, class... Args>
jl_status launch_clusters(const char* operation, unsigned cluster, dim3 grid, dim3 block, size_t shared_bytes,
                          jl_stream stream, void (*kernel)(Parameters...), Args... args) {
#ifdef JL_EMULATED
    return launched(operation,
                    emulator::launch({grid, block, shared_bytes, false, cuda_stream(stream), cluster}, kernel,
                                     Parameters(args)...));
#else
    cudaLaunchAttribute clusters = {};
    clusters.id = cudaLaunchAttributeClusterDimension;
    clusters.val.clusterDim = {cluster, 1, 1};
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared_bytes;
    config.stream = cuda_stream(stream);
    config.attrs = &clusters;
    config.numAttrs = cluster > 1 ? 1 : 0;
    return launched(operation, cudaLaunchKernelEx(&config, kernel, Parameters(args)...));
#endif
}

template <class... Parameters, class... Args>
jl_status launch(const char* operation, dim3 grid, dim3 block, size_t shared_bytes, jl_stream stream,
                 void (*kernel)(Parameters...), Args... args) {
    return launch_clusters(operation, 1, grid, block, shared_bytes, stream, kernel, args...);
}

// The largest cluster, a power of two up to `wanted`, of which the device can run any at all; 1 where it knows no clusters.
template <class... Parameters>
unsigned largest_cluster(unsigned wanted, dim3 block, void (*kernel)(Parameters...)) {
    unsigned cluster = wanted;
#ifdef JL_EMULATED
    (void)block, (void)kernel;
#else
    for (; cluster > 1; cluster /= 2) {
        cudaLaunchAttribute clusters = {};
        clusters.id = cudaLaunchAttributeClusterDimension;
        clusters.val.clusterDim = {cluster, 1, 1};
        cudaLaunchConfig_t config = {};
        config.gridDim = dim3(cluster);
        config.blockDim = block;
        config.attrs = &clusters;
        config.numAttrs = 1;
        int active = 0;
        if (cudaOccupancyMaxActiveClusters(&active, kernel, &config) == cudaSuccess && active > 0) break;
        cudaGetLastError();  // that it knows none is no error
    }
#endif
    return cluster;
}

// Waits for all threads of the cluster; what they wrote before is seen after.
__device__ inline void cluster_sync() {
#if defined(JL_EMULATED) || __CUDA_ARCH__ >= 900
    cooperative_groups::this_cluster().sync();
#endif
}

// A number of its own, not the device's: the same on every GPU, so that sums keep their order there too.
#ifdef JL_EMULATED
constexpr int64_t kMultiprocessors = 2;  // few, so that small cases go round grid strides
#else
constexpr int64_t kMultiprocessors = 132;  // H100, H200; A100 has 108
#endif

// Blocks of a fixed grid: enough to fill the device, never more than there is work. Fixed, so that sums keep
// their order.
inline unsigned fixed_grid(int64_t wanted, int blocks_a_multiprocessor = 8) {
    const int64_t most = kMultiprocessors * blocks_a_multiprocessor;
    return static_cast<unsigned>(wanted < 1 ? 1 : wanted < most ? wanted : most);
}

// ---- 16-byte accesses: four neighbouring floats; what is misaligned or at the end goes one by one ----

struct Quad {
    float v[4];
};

__device__ inline bool aligned16(const void* p) { return (reinterpret_cast<uintptr_t>(p) & 15) == 0; }
__device__ inline bool aligned8(const void* p) { return (reinterpret_cast<uintptr_t>(p) & 7) == 0; }

// Elements [i, i + count) of p, count <= 4; the rest of the quad is 0.
__device__ inline Quad load_quad(const float* p, int64_t i, int count) {
    if (count == 4 && aligned16(p + i)) {
        const float4 q = __ldcs(reinterpret_cast<const float4*>(p + i));
        return {{q.x, q.y, q.z, q.w}};
    }
    Quad q = {{0.0f, 0.0f, 0.0f, 0.0f}};
    JL_UNROLL
    for (int k = 0; k < 4; ++k)  // constant indices keep v in registers
        if (k < count) q.v[k] = p[i + k];
    return q;
}

__device__ inline void store_quad(float* p, int64_t i, int count, const Quad& q) {
    if (count == 4 && aligned16(p + i)) {
        __stcs(reinterpret_cast<float4*>(p + i), make_float4(q.v[0], q.v[1], q.v[2], q.v[3]));
        return;
    }
    JL_UNROLL
    for (int k = 0; k < 4; ++k)
        if (k < count) p[i + k] = q.v[k];
}

// The same for bf16, in 8 bytes.
__device__ inline Quad load_quad(const uint16_t* p, int64_t i, int count) {
    Quad q = {{0.0f, 0.0f, 0.0f, 0.0f}};
    if (count == 4 && aligned8(p + i)) {
        const ushort4 h = *reinterpret_cast<const ushort4*>(p + i);
        return {{float_of_bf16(h.x), float_of_bf16(h.y), float_of_bf16(h.z), float_of_bf16(h.w)}};
    }
    JL_UNROLL
    for (int k = 0; k < 4; ++k)
        if (k < count) q.v[k] = float_of_bf16(p[i + k]);
    return q;
}

__device__ inline void store_quad(uint16_t* p, int64_t i, int count, const Quad& q) {
    if (count == 4 && aligned8(p + i)) {
        *reinterpret_cast<ushort4*>(p + i) = make_ushort4(bf16_of_float(q.v[0]), bf16_of_float(q.v[1]),
                                                          bf16_of_float(q.v[2]), bf16_of_float(q.v[3]));
        return;
    }
    JL_UNROLL
    for (int k = 0; k < 4; ++k)
        if (k < count) p[i + k] = bf16_of_float(q.v[k]);
}

// ---- reductions: fixed trees, so that a sum is the same in every run ----

// Sum over the `width` lanes (a power of two) that share the warp's lane / width; every one of them gets it.
template <class T>
__device__ inline T warp_sum(T v, int width = kWarp) {
    for (int offset = width / 2; offset > 0; offset /= 2) v += __shfl_xor_sync(0xffffffffu, v, offset);
    return v;
}

// Sum over the block; thread 0 gets it. All threads must call. Two calls in a row are safe.
template <class T>
__device__ inline T block_sum(T v) {
    JL_SHARED(T, partial, [kWarp]);
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp,
              warps = (blockDim.x + kWarp - 1) / kWarp;
    v = warp_sum(v);
    __syncthreads();  // an earlier call's readers are done
    if (lane == 0) partial[warp] = v;
    __syncthreads();
    if (warp == 0) v = warp_sum(lane < warps ? partial[lane] : T{0});
    return v;
}

// Sum, or maximum, over a block of kBlock threads; all of them get it.
template <bool kMaximum>
__device__ double block_total(double v) {
    JL_SHARED(double, partial, [kBlock]);
    __syncthreads();  // an earlier call's readers are done
    partial[threadIdx.x] = v;
    __syncthreads();
    for (unsigned width = kBlock / 2; width > 0; width /= 2) {
        if (threadIdx.x < width) {
            const double a = partial[threadIdx.x], b = partial[threadIdx.x + width];
            partial[threadIdx.x] = kMaximum ? (a > b ? a : b) : a + b;
        }
        __syncthreads();
    }
    return partial[0];
}

// Grid-wide finish: true in exactly one block, the last to arrive, once every block's writes before the call
// are visible to it. `counter` was zero before the launch and is zero again after. All threads of the block
// must call.
__device__ inline bool last_block(unsigned* counter) {
    JL_SHARED(unsigned, ticket, [1]);
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) ticket[0] = atomicInc(counter, gridDim.x * gridDim.y * gridDim.z - 1);
    __syncthreads();
    const bool last = ticket[0] == gridDim.x * gridDim.y * gridDim.z - 1;
    if (last) __threadfence();
    return last;
}

// ---- workspace: counters first, then whatever the operation keeps ----

constexpr size_t kWorkspaceHeader = 256;  // holds the counters; zero between launches

inline unsigned* workspace_counter(jl_workspace w) { return static_cast<unsigned*>(w.data); }
inline float* workspace_floats(jl_workspace w) {
    return reinterpret_cast<float*>(static_cast<char*>(w.data) + kWorkspaceHeader);
}

}  // namespace jlatent::JL_TABLE
