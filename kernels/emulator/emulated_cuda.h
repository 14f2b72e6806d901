// What the .cu files use of CUDA, for a C++ compiler. Grows as they need more.
#pragma once
#include <cmath>
#include <cstring>

#include "emulator.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

#define threadIdx (jlatent::emulator::current.thread_index)
#define blockIdx (jlatent::emulator::current.block_index)
#define blockDim (jlatent::emulator::current.block_dim)
#define gridDim (jlatent::emulator::current.grid_dim)

#define JL_STRING2(x) #x
#define JL_STRING(x) JL_STRING2(x)
#define JL_HERE(name) name " at " __FILE__ ":" JL_STRING(__LINE__)

// The address of a static in a lambda is a name for the declaration.
#define JL_SHARED(T, name, extent)                                      \
    T(&name)                                                            \
    extent = *static_cast<T(*) extent>(jlatent::emulator::shared_array( \
        []() -> const void* {                                           \
            static const char tag = 0;                                  \
            return &tag;                                                \
        }(),                                                            \
        sizeof(T extent)))
#define JL_DYNAMIC_SHARED(T, name) T* name = static_cast<T*>(jlatent::emulator::dynamic_shared())

#define __syncthreads() jlatent::emulator::sync_threads(JL_HERE("__syncthreads"))
#define __syncwarp() jlatent::emulator::sync_warp(0xffffffffu, JL_HERE("__syncwarp"))
#define __shfl_sync(mask, value, lane)                                                      \
    jlatent::emulator::shuffle_value(jlatent::emulator::Shuffle::kIndex, mask, value, lane, \
                                     JL_HERE("__shfl_sync"))
#define __shfl_xor_sync(mask, value, bits)                                                \
    jlatent::emulator::shuffle_value(jlatent::emulator::Shuffle::kXor, mask, value, bits, \
                                     JL_HERE("__shfl_xor_sync"))
#define __shfl_up_sync(mask, value, delta)                                                \
    jlatent::emulator::shuffle_value(jlatent::emulator::Shuffle::kUp, mask, value, delta, \
                                     JL_HERE("__shfl_up_sync"))
#define __shfl_down_sync(mask, value, delta)                                                \
    jlatent::emulator::shuffle_value(jlatent::emulator::Shuffle::kDown, mask, value, delta, \
                                     JL_HERE("__shfl_down_sync"))
#define __ballot_sync(mask, predicate) jlatent::emulator::ballot(mask, predicate, JL_HERE("__ballot_sync"))

#define mma_f16(sum, a, b) \
    jlatent::emulator::multiply(jlatent::emulator::Factors::kF16, sum, a, b, JL_HERE("mma.sync"))
#define mma_bf16(sum, a, b) \
    jlatent::emulator::multiply(jlatent::emulator::Factors::kBf16, sum, a, b, JL_HERE("mma.sync"))
#define load_matrices(out, row) jlatent::emulator::load_matrices_from(out, row, false, JL_HERE("ldmatrix"))
#define load_matrices_transposed(out, row) \
    jlatent::emulator::load_matrices_from(out, row, true, JL_HERE("ldmatrix.trans"))
#define copy_async_16(...) jlatent::emulator::copy_async<uint64_t, 2>(JL_HERE("cp.async"), __VA_ARGS__)
#define copy_async_4(...) jlatent::emulator::copy_async<uint32_t, 1>(JL_HERE("cp.async"), __VA_ARGS__)

namespace cooperative_groups {
struct grid_group {
    void sync() const { jlatent::emulator::sync_grid("grid.sync()"); }
};
inline grid_group this_grid() { return {}; }
struct cluster_group {
    void sync() const { jlatent::emulator::sync_cluster("cluster.sync()"); }
};
inline cluster_group this_cluster() { return {}; }
}  // namespace cooperative_groups

struct alignas(16) float4 {
    float x, y, z, w;
};
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
struct alignas(8) ushort4 {
    unsigned short x, y, z, w;
};
inline ushort4 make_ushort4(unsigned short x, unsigned short y, unsigned short z, unsigned short w) {
    return {x, y, z, w};
}

// Cache hints change nothing here; an aligned type still has to be aligned.
template <class T>
T jl_checked_load(const T* p) {
    return *p;
}
#define __ldcs(p) jl_checked_load(p)
#define __ldcg(p) jl_checked_load(p)
template <class T>
void __stcs(T* p, T value) {
    *p = value;
}

inline void __threadfence() {}  // all threads run on one host thread

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }

inline unsigned atomicAdd(unsigned* p, unsigned value) {
    return __atomic_fetch_add(p, value, __ATOMIC_RELAXED);
}

// Adds 1, back to 0 after `most`; returns the old value.
inline unsigned atomicInc(unsigned* p, unsigned most) {
    unsigned old = __atomic_load_n(p, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(p, &old, old >= most ? 0 : old + 1, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED)) {
    }
    return old;
}
