// Tensor cores (sm_80 on) and copies to shared memory that run beside the arithmetic; for nvcc, and for the emulator.
//
// mma_f16, mma_bf16   sum [16, 8] += a [16, 16] b [16, 8], f32 sums, by a whole warp. With g = lane / 4, t = lane % 4,
//                     two neighbouring halves a word, the lower one first:
//                       a   rows g, g + 8, g, g + 8 at columns 2t, 2t, 2t + 8, 2t + 8
//                       b   rows 2t and 2t + 8 of column g
//                       sum row g at columns 2t, 2t + 1; row g + 8 at the same
//                     Products are exact; sums are cut, not rounded: at most 2 (D + 32) 2^-23 |x| |e| off after D products
//                     in a row of mma, for rows of a and columns of b of norms |x| and |e|. The emulator cuts as well.
// load_matrices       four 8x8 matrices of halves: lane l names row l % 8 of matrix l / 8, 16 bytes in shared memory, and
//                     gets elements 2t and 2t + 1 of row g of each; transposed: of column g.
// copy_async_16       16 bytes from global to shared memory; they are there once the thread has waited for the group that
//                     copy_async_commit() closed, and another thread sees them behind a barrier. copy_async_wait<n>():
//                     until at most the n youngest groups are still on their way. With a condition that does not hold, zeros
//                     arrive, and nothing is read. copy_async_4: 4 bytes, so too.
#pragma once
#include "launch.h"

namespace jlatent::JL_TABLE {

#ifdef JL_EMULATED

inline void copy_async_commit() { emulator::end_copy_group(); }
template <int kGroupsLeft>
void copy_async_wait() {
    emulator::copy_async_arrive(kGroupsLeft);
}

#else

__device__ __forceinline__ void mma_f16(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ __forceinline__ void mma_bf16(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ __forceinline__ uint32_t shared_address(const void* p) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

// volatile, and with memory clobbered: shared memory changes behind barriers.
__device__ __forceinline__ void load_matrices(uint32_t (&out)[4], const uint16_t* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(shared_address(row))
                 : "memory");
}

__device__ __forceinline__ void load_matrices_transposed(uint32_t (&out)[4], const uint16_t* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(shared_address(row))
                 : "memory");
}

// Past the first-level cache, which shared memory takes its space from.
__device__ __forceinline__ void copy_async_16(void* to, const void* from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)), "l"(from) : "memory");
}

__device__ __forceinline__ void copy_async_16(void* to, const void* from, bool live) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from),
                 "r"(live ? 16 : 0)
                 : "memory");
}

__device__ __forceinline__ void copy_async_4(void* to, const void* from, bool live) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(to)), "l"(from),
                 "r"(live ? 4 : 0)
                 : "memory");
}

__device__ __forceinline__ void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

template <int kGroupsLeft>
__device__ __forceinline__ void copy_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(kGroupsLeft) : "memory");
}

#endif

// Two floats as fp16, `low` in the lower half: to the nearest, ties to even; what is too large becomes infinite.
__device__ inline uint32_t f16_pair(float low, float high) {
#ifdef JL_EMULATED
    return f16_of_float(low) | static_cast<uint32_t>(f16_of_float(high)) << 16;
#else
    uint32_t pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
#endif
}

__device__ inline float f16_value(uint16_t half) {
#ifdef JL_EMULATED
    return float_of_f16(half);
#else
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half));
    return value;
#endif
}

// The same as bf16.
__device__ inline uint32_t bf16_pair(float low, float high) {
#ifdef JL_EMULATED
    return bf16_of_float(low) | static_cast<uint32_t>(bf16_of_float(high)) << 16;
#else
    uint32_t pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
#endif
}

// The nearest fp16.
__device__ inline float f16_rounded(float f) { return f16_value(static_cast<uint16_t>(f16_pair(f, 0.0f))); }

}  // namespace jlatent::JL_TABLE
