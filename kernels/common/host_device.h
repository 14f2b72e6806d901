// Lets one header of arithmetic serve nvcc, the emulator and the CPU compiler.
//
// JL_TABLE is the name of the implementation being compiled (avx512, avx2, baseline, emulated, cuda).
// Everything an operation defines lives in namespace jlatent::JL_TABLE, so that one library can hold several
// builds of the same source and the linker never merges an AVX-512 inline function into the baseline one.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define JL_HOST_DEVICE __host__ __device__ __forceinline__
#define JL_UNROLL _Pragma("unroll")
#else
#define JL_HOST_DEVICE inline __attribute__((always_inline))
#define JL_UNROLL _Pragma("GCC unroll 16")
#endif

namespace jlatent::JL_TABLE {

JL_HOST_DEVICE float float_of_bits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

JL_HOST_DEVICE uint32_t bits_of_float(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

}  // namespace jlatent::JL_TABLE
